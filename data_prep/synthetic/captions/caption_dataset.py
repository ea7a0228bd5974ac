"""Captioned captures for pretraining: photos, prints, and screens of people.

The folder is a prepared dataset with one more table, ``captions.parquet``, which gives each id's
medium ("photo", "print", or "screen") and attributes (see ``captions.describe``). Sentences are not
stored, because ``captions.caption`` writes new ones in every epoch.

A random twentieth of the people is dev. (Taking every 20th person could coincide with the even
sequences of ``identity.sample_identities``, so that nobody in dev wears glasses.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from data_prep.building.lock import locks_released
from data_prep.building.resume import Row, build_units, clean_up, prepare_folder
from data_prep.manifest import PreparedDataset, read_dataset, write_dataset
from data_prep.seeds import derive_seed
from data_prep.synthetic.attacks.physical import print_attack, replay_attack
from data_prep.synthetic.camera import capture
from data_prep.synthetic.captions.captions import describe
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from data_prep.synthetic.pictures import save_png
from data_prep.synthetic.recipe import GENERATOR, dataset_info, generator_digest
from data_prep.synthetic.scene.renderer import render
from data_prep.taxonomy import FAKE, LIVE, family_of

_TYPE_OF_MEDIUM = {"photo": LIVE, "print": "print", "screen": "replay"}
_UNUSED_CODE = (
    "adversarial",
    "dataset",
    "digital",
    "edit_sources",
    "heads",
    "nuisance",
    "surrogate",
)
_DEV_SHARE = 1 / 20


@dataclass(frozen=True)
class _Person:
    number: int
    seed: int
    folder: Path


@locks_released()
def write_caption_dataset(
    folder: str | Path,
    subjects: int = 1500,
    seed: int = 0,
    workers: int | None = None,
    overwrite: bool = False,
) -> PreparedDataset:
    """Write two photos, a print, and a screen of each of ``subjects`` people.

    None of them is in the synthetic dataset or in the surrogate's training. In the protocol
    ``pretraining``, a random twentieth of the subjects is dev; the others are train.

    Raises:
        DatasetError: If the folder holds something else.
        ValueError: If ``subjects`` is less than 1.
    """
    if subjects < 1:
        raise ValueError(f"subjects is {subjects}; expected 1 or more")
    folder = Path(folder)
    recipe = {
        "generator": GENERATOR,
        "command": "captions",
        "code": generator_digest(*_UNUSED_CODE, "surrogate_training", weights=False),
        "subjects": subjects,
        "seed": seed,
    }
    if not prepare_folder(folder, recipe, overwrite):
        people = {f"c{n:05d}": _Person(n, seed, folder) for n in range(subjects)}
        rows = build_units(folder, people, _make_person, workers, "captioned people")
        _write_tables(folder, rows, recipe)
    clean_up(folder)
    return read_dataset(folder)


def _make_person(person: _Person) -> list[Row]:
    """Render, capture, and recapture one person in two sessions; write four images."""
    identity = sample_identities(1, derive_seed("captions", person.seed), person.number)
    sessions, recaptures = (
        sample_sessions(2, derive_seed("captions", purpose, person.seed), 2 * person.number)
        for purpose in ("session", "recapture")
    )
    generator = torch.Generator().manual_seed(derive_seed("captions", person.seed, person.number))
    identities = identity.repeat(2)
    radiance = render(identities, sessions).radiance
    first, second = capture(radiance, sessions).split(1)
    printed = print_attack(radiance[:1], sessions[0], recaptures[0], generator)
    shown = replay_attack(radiance[1:], sessions[1], recaptures[1], generator)
    pictures = [
        ("photo", 0, first),
        ("photo", 1, second),
        ("print", 0, capture(printed, recaptures[0])),
        ("screen", 1, capture(shown, recaptures[1])),
    ]
    words = describe(identities, sessions)
    rows = []
    for medium, session, image in pictures:
        row = _row(person.number, medium, session)
        save_png(image[0], person.folder / row["path"])
        rows.append({**row, "medium": medium, **words[session]})
    return rows


def _row(number: int, medium: str, session: int) -> Row:
    subject = f"c{number:05d}"
    name = f"{subject}-{medium}-{session}"
    kind = _TYPE_OF_MEDIUM[medium]
    return {
        "id": name,
        "path": f"images/{subject}/{medium}-{session}.png",
        "label": LIVE if kind == LIVE else FAKE,
        "family": family_of(kind),
        "type": kind,
        "subject": subject,
        "source": f"{subject}-session-{session}",
        "frame": 0,
    }


def _write_tables(folder: Path, rows: list[Row], recipe: dict[str, Any]) -> None:
    table = pd.DataFrame(rows)
    position = list(table.columns).index("medium")
    manifest = table.iloc[:, :position]
    captions = table[["id", *table.columns[position:]]]
    dev = _draw_dev(sorted(set(manifest["subject"])), recipe["seed"])
    split = manifest["subject"].isin(dev).map({True: "dev", False: "train"})
    protocol = pd.DataFrame({"id": manifest["id"], "split": split})
    info = dataset_info("synthetic-captions", recipe)
    write_dataset(folder, manifest, {"pretraining": protocol}, info, {"captions": captions})


def _draw_dev(people: list[str], seed: int) -> set[str]:
    order = np.random.default_rng(derive_seed("captions", "dev", seed)).permutation(people)
    return set(order[: round(_DEV_SHARE * len(people))].tolist())
