"""The embedded dataset of synthetic faces, live and under fifteen attacks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from data_prep.building.lock import locks_released
from data_prep.building.resume import build_units, clean_up, prepare_folder
from data_prep.contract.leave_out import leave_one_type_out
from data_prep.manifest import PreparedDataset, read_dataset, write_dataset
from data_prep.synthetic.attacks.surrogate import load_surrogate
from data_prep.synthetic.plan import SubjectPlan, plan_subjects, preset_named
from data_prep.synthetic.recipe import GENERATOR, dataset_info, generator_digest
from data_prep.synthetic.subject import SubjectWork, make_subject
from data_prep.taxonomy import FAMILIES, LIVE, attack_type

# Families that each protocol uses for training (train and dev) and for testing.
PROTOCOLS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "p1": ((LIVE, *FAMILIES), (LIVE, *FAMILIES)),
    "p2.1": ((LIVE, "editing", "adversarial"), (LIVE, "physical")),
    "p2.2": ((LIVE, "physical"), (LIVE, "editing", "adversarial")),
}

# Types with a protocol that trains without them and uses no other attack for testing.
HELD_OUT = ("mask",)

_UNUSED_CODE = ("captions", "heads", "surrogate_training")


@locks_released()
def write_synthetic_dataset(
    folder: str | Path,
    preset: str = "laptop",
    seed: int = 0,
    workers: int | None = None,
    with_maps: bool = False,
    overwrite: bool = False,
) -> PreparedDataset:
    """Write the dataset of a preset, or continue an interrupted call with the same arguments.

    The bytes do not depend on ``workers``. Returns at once if the folder already holds this
    dataset. ``with_maps`` adds masks of the edits and depth of the faces.

    Raises:
        ValueError: If the preset is unknown, or the surrogate's weights are missing.
        DatasetError: If the folder holds something else.
    """
    sizes = preset_named(preset)
    load_surrogate()
    folder = Path(folder)
    recipe = {
        "generator": GENERATOR,
        "command": "synthetic",
        "code": generator_digest(*_UNUSED_CODE, weights=True),
        "preset": preset,
        "sizes": {split: asdict(size) for split, size in sizes.items()},
        "seed": seed,
        "with_maps": with_maps,
    }
    if not prepare_folder(folder, recipe, overwrite):
        plans = {f"s{plan.number:04d}": plan for plan in plan_subjects(sizes, seed)}
        units = {name: SubjectWork(p, seed, folder, with_maps) for name, p in plans.items()}
        rows = build_units(folder, units, make_subject, workers, "synthetic subjects")
        manifest = pd.DataFrame(rows)
        protocols = _protocols(manifest, plans)
        write_dataset(folder, manifest, protocols, dataset_info(f"synthetic-{preset}", recipe))
    clean_up(folder)
    return read_dataset(folder)


def _protocols(manifest: pd.DataFrame, plans: dict[str, SubjectPlan]) -> dict[str, pd.DataFrame]:
    split = manifest["subject"].map(lambda name: plans[name].split)
    ordinary = ~manifest["type"].map(lambda name: name != LIVE and attack_type(name).held_out)
    tables = {}
    for name, (training, testing) in PROTOCOLS.items():
        tested = (split == "test") & manifest["family"].isin(testing)
        trained = (split != "test") & manifest["family"].isin(training)
        chosen = ordinary & (tested | trained)
        table = pd.DataFrame({"id": manifest.loc[chosen, "id"], "split": split[chosen]})
        tables[name] = table.reset_index(drop=True)
    for name in HELD_OUT:
        tables[f"leave_out_{name}"] = leave_one_type_out(manifest, tables["p1"], name)
    return tables
