"""Damaged and hostile files for the fuzz test, and what must hold for each of them.

Run as a program it reads a folder of such files under a limit of memory, one line each:
``python -m tests.data_prep.fuzzing FOLDER SEED FIRST COUNT``.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from data_prep.building.shards import write_shards
from tests.data_prep.small import write_small
from tests.data_prep.videos import numbered, write_video

ADDED = 3 * 2**29
"""Address space in bytes that the child may take beyond its libraries."""
GROWTH = 900 * 2**20
"""Memory in bytes that reading small files may add: one image of 100 million pixels fits."""

SHARD = "shards/train-00000-of-00001.parquet"
RULES = "dev_share: 0.3\ntypes: {1: live, 2: print}\nrotation: {phone: 90}\npatterns: ['(x)']\n"
WORDS = (b"[", b'{"a":', b"null", b"9" * 40, b"NaN", b"&a ", b"*a", b"\x1b[2J", b"../")
LIST = b"".join(
    b"UniAttackData/Data/live/east-asia/EA-%03d/real.rssdk/color/%04d.jpg 0\n" % (n, n)
    for n in range(20)
)


def seeds(folder: Path) -> dict[str, bytes]:
    """Small whole files of every kind that is read, by a name that tells the kind."""
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
    found = {}
    for kind in ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM"):
        found[f"image.{kind.lower()}"] = encoded(Image.fromarray(pixels), kind)
    exif = Image.Exif()
    exif[0x0112] = 6
    found["turned.jpeg"] = encoded(Image.fromarray(pixels), "JPEG", exif=exif)
    found["alpha.png"] = encoded(Image.fromarray(pixels).convert("RGBA"), "PNG")
    deep = np.linspace(0, 65535, 768).astype(np.uint16).reshape(24, 32)
    found["deep.png"] = encoded(Image.fromarray(deep), "PNG")
    for name, codec in (("a.mp4", "libx264"), ("b.avi", "mpeg4"), ("c.webm", "libvpx-vp9")):
        path = write_video(folder / name, numbered(8, 48, 32), codec)
        found[f"video-{name}"] = path.read_bytes()
    with h5py.File(folder / "r.hdf5", "w") as recording:
        recording["Color_Data"] = np.zeros((4, 3, 6, 8), np.uint8)
    found["recording.hdf5"] = (folder / "r.hdf5").read_bytes()
    write_small(folder / "set")
    found["info.json"] = (folder / "set/dataset.json").read_bytes()
    found["manifest.parquet"] = (folder / "set/manifest.parquet").read_bytes()
    write_shards(folder / "set", folder / "packed", workers=1)
    found["shard.parquet"] = (folder / "packed" / SHARD).read_bytes()
    found["index.json"] = (folder / "packed/shards/index.json").read_bytes()
    found["table.parquet"] = parquet(
        text=pa.array(["a", "b", None] * 9),
        category=pa.array(["a", "b", None] * 9).dictionary_encode(),
        large=pa.array([b"a", b"b", None] * 9, pa.large_binary()),
        fixed=pa.array([b"aa", b"bb", None] * 9, pa.binary(2)),
        number=pa.array([1, 2, None] * 9),
    )
    found["nested.parquet"] = parquet(
        lists=pa.array([["a"] * 99] * 27), structs=pa.array([{"a": "b"}] * 27)
    )
    found["rules.yaml"] = RULES.encode()
    found["list.txt"] = LIST
    return found


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def damaged(data: bytes, draw: np.random.Generator) -> bytes:
    """A file with some of: flipped bytes, numbers set to extremes, a part cut out or doubled."""
    changed = bytearray(data)
    for _ in range(int(draw.integers(1, 6))):
        place = int(draw.integers(0, max(1, len(changed))))
        length = int(draw.integers(1, 64))
        kind = int(draw.integers(0, 6))
        if kind == 0 and changed:
            changed[place % len(changed)] = int(draw.integers(0, 256))
        elif kind == 1:
            extreme = (b"\0", b"\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0")[int(draw.integers(0, 4))]
            changed[place : place + len(extreme)] = extreme
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place:place] = changed[place : place + length] * int(draw.integers(1, 20))
        elif kind == 4:
            changed[place : place + length] = draw.bytes(length)
        else:
            word = WORDS[int(draw.integers(0, len(WORDS)))]
            changed[place:place] = word * int(draw.integers(1, 90))
    return bytes(changed)


def read_one(name: str, path: Path) -> None:
    """Read a file as a command would."""
    from data_prep.errors import ReadError
    from data_prep.manifest import read_image, validate
    from data_prep.media.images import inspect_image
    from data_prep.media.kinds import kind_of
    from data_prep.media.video import sample_frames
    from data_prep.reading import read_table
    from data_prep.releases.jfsfdb.clips import read_hdf5
    from data_prep.releases.jfsfdb.table import SUBSETS
    from data_prep.releases.uniattackdata.lists import read_list
    from data_prep.releases.uniattackdata.names import parse_name

    kind = name.partition(".")[0].partition("-")[0]
    if kind in ("info", "manifest"):
        target = "dataset.json" if kind == "info" else "manifest.parquet"
        (path.parent / "set" / target).write_bytes(path.read_bytes())
        try:
            validate(path.parent / "set")
        finally:
            write_small(path.parent / "set")
    elif kind in ("shard", "index"):
        shutil.copytree(path.parent / "packed", path.parent / "changed", dirs_exist_ok=True)
        data, index = path.read_bytes(), path.parent / "changed/shards/index.json"
        if kind == "index":
            index.write_bytes(data)
        else:  # of the size that the index knows
            whole = json.loads(index.read_bytes())
            for entry in whole["shards"]:
                if entry["file"] == Path(SHARD).name:
                    entry["bytes"] = len(data)
            index.write_text(json.dumps(whole))
            (path.parent / "changed" / SHARD).write_bytes(data)
        validate(path.parent / "changed")
    elif kind == "table":
        read_table(path)
    elif kind == "nested":
        try:
            read_table(path)
        except ReadError:
            return  # as for the whole file
        raise AssertionError("a table of lists was read")
    elif kind == "rules":
        SUBSETS["siw"].with_rules(path)
    elif kind == "list":
        for line in read_list(path):
            try:
                parse_name(line.path)
            except ValueError as error:  # what its caller expects
                raise line.error(str(error)) from error
    elif kind == "recording":
        for _ in read_hdf5(path, 3):
            pass
    elif kind == "video":
        for _ in sample_frames(path, 3, at_least=1):
            pass
    else:
        facts = inspect_image(path)
        kind_of(path.with_suffix(""))
        pixels = read_image(path, name)
        assert not facts.error or name.endswith("jpeg"), f"read, but reported as {facts.error}"
        assert pixels.dtype == np.uint8 and pixels.ndim == 3


def main(folder: Path, seed: int, first: int, count: int) -> dict[str, object]:
    """Read ``count`` damaged files; returns those that broke a promise, and the memory taken."""
    from data_prep.errors import DatasetError
    from data_prep.media.video import VideoError

    folder.mkdir(parents=True)
    whole = seeds(folder)
    for name, data in whole.items():  # whole files are read first, so that all is imported
        (folder / name).write_bytes(data)
        read_one(name, folder / name)
    outside: list[str] = []
    sys.addaudithook(lambda event, what: outside.append(_written(event, what, folder)))
    bound_memory()
    before, started = peak(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    names, broken, read = sorted(whole), [], 0
    for number in range(first, first + count):
        draw = np.random.default_rng((seed, number))
        name = names[number % len(names)]
        path = folder / name
        path.write_bytes(damaged(whole[name], draw))
        print(f"{number} {name}", flush=True)
        try:
            read_one(name, path)
            read += 1
        except (DatasetError, VideoError) as error:
            if len(str(error)) > 4_000 or _out_of_memory(error):
                broken.append(f"{number} {name}: {type(error).__name__} {str(error)[:200]}")
        except Exception as error:
            broken.append(f"{number} {name}: {type(error).__name__} {str(error)[:200]}")
    return {
        "read": read,
        "broken": broken,
        "outside": sorted(set(filter(None, outside))),
        "grown": peak() - before,
        "seconds": resource.getrusage(resource.RUSAGE_SELF).ru_utime - started,
    }


def bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + ADDED
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _written(event: str, what: tuple, folder: Path) -> str:
    """The path that Python opens for writing outside the folder, else nothing."""
    if event != "open" or not isinstance(what[0], str | bytes) or not isinstance(what[2], int):
        return ""
    writes = what[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    path = os.path.realpath(os.fsdecode(what[0]))
    return path if writes and not path.startswith(f"{folder}/") and path != "/dev/null" else ""


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__
    return False


if __name__ == "__main__":
    place, *numbers = sys.argv[1:]
    print(json.dumps(main(Path(place).resolve(), *map(int, numbers))))
