"""Faces at 224 pixels, rendered for the other measurements, and the speed of rendering them.

Worker processes draw them on CPU cores, because the renderer of ``data_prep.synthetic`` draws on a
GPU no faster. When there is a renderer that draws whole batches on a GPU, ``render_faces`` is the
place that calls it, and ``rendering`` then compares both before it reports a speed.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.gpu.setting import Setting
from data_prep.building.parallel import run_units
from data_prep.manifest import read_dataset, write_dataset
from data_prep.seeds import derive_seed
from data_prep.synthetic.camera import capture, downsample_upsample
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.pictures import save_png
from data_prep.synthetic.scene.renderer import render

SUBJECTS = {"train": 200, "dev": 16, "test": 16}
TINY_SUBJECTS = {"train": 4, "dev": 2, "test": 2}
CAPTURES = 4
"""Live images of a subject; each also gives an attack, a copy at a third of the resolution."""


def faces_folder(setting: Setting) -> Path:
    """Return the folder of the prepared dataset, rendered at the first call."""
    folder = setting.work / f"faces-{_size(setting)}"
    if not (folder / "dataset.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        render_faces(folder, TINY_SUBJECTS if setting.tiny else SUBJECTS, _size(setting))
    return folder


def _size(setting: Setting) -> int:
    return 96 if setting.tiny else 224


def render_faces(folder: Path, subjects: dict[str, int], size: int, workers: int = 0) -> None:
    """Write a prepared dataset of live faces and blurred copies.

    Args:
        folder: Folder to create.
        subjects: Number of subjects by split.
        size: Side of the images in pixels.
        workers: Processes; 0 means one per core.
    """
    (folder / "images").mkdir(parents=True)
    splits = [split for split, count in subjects.items() for _ in range(count)]
    draw = functools.partial(draw_subject, folder=folder, size=size)
    workers = min(workers or os.cpu_count() or 1, len(splits))
    rows = [row for part in run_units(draw, range(len(splits)), workers, "faces") for row in part]
    manifest = pd.DataFrame(rows)
    split = [splits[int(subject)] for subject in manifest["subject"]]
    protocol = pd.DataFrame({"id": manifest["id"], "split": split})
    info = {"name": "rendered", "version": "1", "license": "CC0-1.0", "seed": 0}
    info |= {"generator": "benchmarks.gpu", "image_size": size}
    write_dataset(folder, manifest, {"p1": protocol}, info)


def draw_subject(number: int, folder: Path, size: int) -> list[dict[str, Any]]:
    """Draw one subject's captures and their copies; return their rows of the manifest."""
    torch.set_num_threads(1)
    person = sample_identities(1, derive_seed("gpu"), number).repeat(CAPTURES)
    sessions = sample_sessions(CAPTURES, derive_seed("gpu", number))
    live = capture(render(person, sessions, size).radiance, sessions, size)
    rows = []
    for images, kind in ((live, ("live",) * 3), (downsample_upsample(live, size // 3), ATTACK)):
        for index, image in enumerate(images):
            name = f"{number:03d}-{kind[2]}-{index}"
            save_png(image, folder / "images" / f"{name}.png")
            row = dict(zip(("label", "family", "type"), kind, strict=True))
            row |= {"id": name, "path": f"images/{name}.png", "subject": f"{number:03d}"}
            rows.append(row | {"source": name, "frame": 0})
    return rows


ATTACK = ("fake", "physical", "print")


def rendering(setting: Setting) -> dict[str, Any]:
    """Time rendering the faces that other measurements use; drawn again, they must be the same."""
    size = _size(setting)
    shutil.rmtree(setting.work / f"faces-{size}", ignore_errors=True)
    start = time.perf_counter()
    first = read_dataset(faces_folder(setting))
    seconds = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        render_faces(Path(folder) / "again", {"train": 2}, size, workers=1)
        again = read_dataset(Path(folder) / "again")
        same = [
            first.locate(path).read_bytes() == again.locate(path).read_bytes()
            for path in again.manifest["path"]
        ]
    setting.require_close("images that differ when drawn again", 1 - sum(same) / len(same), 0.0)
    images = len(first.manifest)
    workers = os.cpu_count()
    row = {"renderer": "data_prep.synthetic, on CPU cores", "size": size, "images": images}
    row |= {"workers": workers, "seconds": seconds, "images_per_second": images / seconds}
    summary = f"{images / seconds:.1f} images/s of {size} pixels on {workers} CPU cores"
    return {"rows": [row], "summary": summary}
