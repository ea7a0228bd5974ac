"""Kill builds of datasets at random moments, and look at what they end with.

``python -m tests.data_prep.kills --kills 25`` builds a miniature with each command in a process of
its own, ends that with SIGKILL after a random time, starts it again, and so on until it is through.
Then another recipe replaces the dataset with ``--overwrite``, and is killed in the same way. Every
dataset that gets to its end must have the bytes of one that nobody disturbed; sources, and files
that somebody put into the folder, must still be there, even where the build has to write a table.
``TQDM_DISABLE=1`` hides progress bars.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from data_prep.building.journal import WORK, read_journal
from data_prep.building.resume import prepare_folder
from data_prep.building.shards import write_shards
from data_prep.manifest import write_dataset
from data_prep.media.faces import CropRules
from data_prep.releases.folder import FolderOptions, import_folders
from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset
from data_prep.releases.uniattackdata import Options, import_uniattackdata
from data_prep.synthetic.dataset import write_synthetic_dataset
from tests.data_prep.releases import jfsfdb
from tests.data_prep.releases.drawn import write_face
from tests.data_prep.releases.uniattackdata import build_official
from tests.data_prep.small import INFO
from tests.data_prep.videos import numbered, write_video

Build = Callable[[Path, int], Any]
"""Builds a dataset in a folder by one of two recipes, replacing what the other one made."""

NOTE = "notes.txt"
RECIPES = 2


@dataclass
class Outcome:
    """What a series of kills came to; ``moments`` says where the kills hit."""

    command: str
    kills: int = 0
    datasets: int = 0
    other_bytes: int = 0
    lost_files: int = 0
    failures: list[str] = field(default_factory=list)
    moments: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        """Whether nothing was lost, changed, or refused."""
        return not (self.other_bytes or self.lost_files or self.failures)


def folder(home: Path) -> Build:
    """Copies of images, and frames of a video."""
    for person in range(8):
        write_face(home / f"live/p{person}/a.jpg", 40 + person)
        write_face(home / f"fake/print/p{person}/c.jpg")
    write_video(home / "live/p1/clip.mp4", numbered(12))

    def build(out: Path, recipe: int) -> None:
        options = FolderOptions(copy=True, frames=4 + recipe, workers=1)
        import_folders(home / "live", home / "fake", out, options, overwrite=True)

    return build


def subset(home: Path) -> Build:
    """Crops of a set of videos."""
    root = jfsfdb.siw(home / "siw")

    def build(out: Path, recipe: int) -> None:
        wishes = Wishes(frames=2 + recipe, crop=CropRules(size=48), allow_missing=True)
        prepare_subset("siw", root, out, wishes, workers=1, overwrite=True)

    return build


def shards(home: Path) -> Build:
    """A dataset packed into shards."""
    rows = []
    for number in range(60):
        kind = "print" if number % 2 else "live"
        name = f"{number:02d}-{kind}"
        write_face(home / f"set/images/{name}.png")
        label, family = ("fake", "physical") if number % 2 else ("live", "live")
        row = {"id": name, "path": f"images/{name}.png", "label": label, "family": family}
        rows.append({**row, "type": kind, "subject": name, "source": name, "frame": 0})
    manifest = pd.DataFrame(rows)
    split = [("train", "dev", "test")[number % 3] for number in range(60)]
    protocol = pd.DataFrame({"id": manifest["id"], "split": split})
    write_dataset(home / "set", manifest, {"p1": protocol}, {**INFO, "image_size": None})

    def build(out: Path, recipe: int) -> None:
        size = 1000 + 500 * recipe
        write_shards(home / "set", out, shard_size=size, workers=1, overwrite=True)

    return build


def uniattackdata(home: Path) -> Build:
    """Tables that refer to a release."""
    root = build_official(home / "release")

    def build(out: Path, recipe: int) -> None:
        options = Options(skip_counts=True, allow_missing=bool(recipe), workers=1)
        import_uniattackdata(root, "p1", out, options, overwrite=True)

    return build


def synthetic(home: Path) -> Build:
    """The embedded dataset in its tiny preset."""
    (home / "none").mkdir(parents=True)

    def build(out: Path, recipe: int) -> None:
        write_synthetic_dataset(out, "tiny", seed=recipe, workers=1, overwrite=True)

    return build


COMMANDS = {
    "folder": folder,
    "jfsfdb": subset,
    "shards": shards,
    "uniattackdata": uniattackdata,
    "synthetic": synthetic,
}


def run_series(command: str, kills: int, seed: int, home: Path) -> Outcome:
    """Kill one command's builds until there were ``kills`` kills; ends when none is half done."""
    moments, outcome = random.Random(f"{command} {seed}"), Outcome(command)
    build = COMMANDS[command](home / "sources")
    before = contents(home / "sources")
    calm, seconds = [], 0.0
    for recipe in range(RECIPES):
        start = time.perf_counter()
        _attempt(build, home / f"calm-{recipe}/out", recipe, None, outcome)
        seconds = max(seconds, time.perf_counter() - start)
        calm.append(contents(home / f"calm-{recipe}/out"))
    number = 0
    while outcome.kills < kills and not outcome.failures:
        out = home / f"try-{number}/out"
        for recipe in range(RECIPES):
            limit = 0.7 * seconds
            while _attempt(build, out, recipe, moments.uniform(0, limit), outcome):
                limit *= 1.2  # where every attempt begins again, one has to get through
            found = contents(out)
            noted = recipe == 0 or found.pop(NOTE, None) == b"mine"
            outcome.lost_files += not noted
            outcome.datasets += 1
            outcome.other_bytes += found != calm[recipe]
            (out / NOTE).write_bytes(b"mine")
        number += 1
    outcome.lost_files += _tables_lost(build, home)
    outcome.lost_files += contents(home / "sources") != before
    return outcome


def _tables_lost(build: Build, home: Path) -> int:
    """How many files of somebody a build replaces that lie where it has to write a table."""
    calm, out, lost = home / "calm-0/out", home / "trap/out", 0
    known = read_journal(calm)
    context = multiprocessing.get_context("fork")  # whose lock ends with it
    begun = context.Process(target=prepare_folder, args=(out, known.recipe, False, known.late))
    begun.start()
    begun.join()
    # In the order of writing, so that one after another is in the way.
    names = sorted(known.tables.files, key=lambda name: (calm / name).stat().st_mtime_ns)
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"mine")
    for number, name in enumerate(names):
        attempt = Outcome("trap")
        _attempt(build, out, 0, None, attempt)
        kept = [(out / left).read_bytes() == b"mine" for left in names[number:]]
        lost += not attempt.failures or not all(kept)
        (out / name).unlink()
    _attempt(build, out, 0, None, Outcome("trap"))
    return lost + (contents(out) != contents(calm))


def _attempt(build: Build, out: Path, recipe: int, seconds: float | None, outcome: Outcome) -> bool:
    """Run a build in a process of its own; whether it was killed (``None``: it never is)."""
    # forked, so that an attempt takes milliseconds to start instead of an import of torch
    process = multiprocessing.get_context("fork").Process(target=_alone, args=(build, out, recipe))
    process.start()
    process.join(seconds)
    killed = process.is_alive()
    process.kill()
    process.join()
    if killed:
        outcome.kills += 1
        outcome.moments[_moment(out)] += 1
    elif process.exitcode:
        outcome.failures.append(f"exit code {process.exitcode} after {outcome.kills} kills")
    return killed


def _alone(build: Build, out: Path, recipe: int) -> None:
    """Build with a lock of one's own for progress bars.

    tqdm's is shared with forked processes, and one that is killed while it draws keeps it forever.
    """
    tqdm.set_lock(threading.RLock())
    build(out, recipe)


def _moment(out: Path) -> str:
    """Where a kill hit, told by what it left."""
    work, finished = out / WORK, (out / "dataset.json").is_file()
    if not (work / "recipe.json").is_file():
        return "finished, cleaning up" if finished and work.is_dir() else "before the first unit"
    if any(out.rglob(".unfinished-*")):
        return "while a file was written"
    if finished:
        return "after dataset.json, before the journal"
    if any(work.glob("*.log")):
        return "within a unit, or between tables"
    return "between units"


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by their paths in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def main(arguments: list[str] | None = None) -> int:
    """Kill as often as asked; 1 if anything was lost, changed, or refused."""
    parser = argparse.ArgumentParser(prog="python -m tests.data_prep.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=25, help="of each command, at least")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, help="also write the outcomes here")
    parser.add_argument("commands", nargs="*", default=list(COMMANDS), help="default: all")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    outcomes = []
    for command in options.commands:
        with tempfile.TemporaryDirectory() as name:
            outcomes.append(run_series(command, options.kills, options.seed, Path(name)))
        one = outcomes[-1]
        print(
            f"{command}: {one.kills} kills ({dict(one.moments)}); {one.datasets} datasets came to "
            f"their end, {one.other_bytes} with other bytes; {one.lost_files} times a file of "
            f"somebody else was lost; failures: {one.failures or 'none'}",
            flush=True,
        )
    if options.json:
        rows = [vars(outcome) | {"moments": dict(outcome.moments)} for outcome in outcomes]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return int(not all(outcome.good for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
