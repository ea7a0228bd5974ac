"""From a release of UniAttackData to a prepared dataset, or to an error that says what differs.

The order is: lists, labels, counts, repeats, files, contents. Nothing is written before all of it
is known to be right.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from data_prep.building.lock import locks_released
from data_prep.building.recipes import refuse_nested, refuse_other
from data_prep.building.resume import clean_up, prepare_folder
from data_prep.building.skipped import write_skipped
from data_prep.contract.checks import UNKNOWN, DatasetError
from data_prep.manifest import PreparedDataset, read_dataset, relative_root, write_dataset
from data_prep.releases.uniattackdata.attack_types import ATTACK_TYPES, UNKNOWN_ATTACK
from data_prep.releases.uniattackdata.layouts import Layout, find_layout
from data_prep.releases.uniattackdata.listed import (
    SKIPPED,
    Report,
    read_labeled,
    read_unlabeled,
)
from data_prep.releases.uniattackdata.options import Options
from data_prep.releases.uniattackdata.present import drop_absent, read_contents

GENERATOR = "data_prep.releases.uniattackdata"
LICENSE = "given out by its authors on application; their agreement holds"


@locks_released()
def import_uniattackdata(
    root: str | Path,
    protocol: str,
    out: str | Path,
    options: Options | None = None,
    overwrite: bool = False,
) -> PreparedDataset:
    """Prepare one protocol of a release; images stay where they lie.

    Args:
        root: the folder that holds ``UniAttackData`` (or the challenge's ``phase1``); nothing
            outside of it is read.
        protocol: p1, p1.1, p1.2, p1.3, p2.1 or p2.2.
        out: folder to write.
        options: how strict to be; default: nothing may be missing or differ.
        overwrite: replace a dataset that was made with other options.

    Raises:
        DatasetError: what differs, with file, line and remedy, or the release is inside ``out`` or
            holds it; nothing is then written.
    """
    options = options or Options()
    root = Path(os.path.realpath(root))
    recipe = _recipe(root, protocol, out, options)
    layout, out = find_layout(root, protocol), Path(out)
    refuse_nested(out, layout.folders)
    late = [key for key in recipe if key != "generator"]  # tables are all that there is
    refuse_other(out, recipe, overwrite, late)
    table, report = read_labeled(layout, protocol, options)
    unlabeled = read_unlabeled(layout)
    table = drop_absent(table, root, report, options)
    if len(unlabeled):
        unlabeled = drop_absent(unlabeled, root, report, options, "absent_unlabeled")
    table = read_contents(table, root, report, options)
    table = _test_from_dev(table, report, options)
    prepare_folder(out, recipe, overwrite, late, again=True)
    more = write_skipped(out, report.pop(SKIPPED))
    _write(out, layout, table, unlabeled, {"recipe": recipe, "report": report})
    clean_up(out, more)
    return read_dataset(out)


def _recipe(root: Path, protocol: str, out: str | Path, options: Options) -> dict[str, Any]:
    given = {key: value for key, value in asdict(options).items() if key != "workers"}
    where = relative_root(root, out)
    return {"generator": GENERATOR, "protocol": protocol, "root": where, **given}


def _test_from_dev(table: pd.DataFrame, report: Report, options: Options) -> pd.DataFrame:
    """Where test has no labels, test on some of dev, of each label the same share."""
    if options.test_from_dev == 0:
        return table
    if (table["split"] == "test").any():
        raise DatasetError("--test-from-dev is for releases without test labels; these have them")
    generator = np.random.default_rng(options.seed)
    dev = table[table["split"] == "dev"].sort_values("id")
    chosen = dev.groupby("label").sample(frac=options.test_from_dev, random_state=generator)
    report["test_from_dev"] = (
        f"{len(chosen)} of {len(dev)} dev images are the test split; subjects are unknown and may "
        "stand in both, which flatters the result"
    )
    split = table["split"].where(~table.index.isin(chosen.index), "test")
    return table.assign(split=split)


def _write(
    folder: Path,
    layout: Layout,
    table: pd.DataFrame,
    unlabeled: pd.DataFrame,
    facts: dict[str, Any],
) -> None:
    root = relative_root(layout.root, folder)
    table = table.assign(path=f"{root}/" + table["place"], source=table["video"])
    read = "sha256" in table
    digests = dict(zip(table["path"], table["sha256"], strict=True)) if read else {}
    hidden = ["place", "where", "split", "sha256"]
    manifest = table.drop(columns=hidden, errors="ignore").reset_index(drop=True)
    splits = table[["id", "split"]].reset_index(drop=True)
    tables = {}
    if len(unlabeled):
        rows = unlabeled.assign(path=f"{root}/" + unlabeled["place"])
        tables["unlabeled"] = rows[["id", "path", "split"]].reset_index(drop=True)
    protocol = facts["recipe"]["protocol"]
    info = {
        "name": f"uniattackdata-{protocol}",
        "version": layout.distribution,
        "license": LICENSE,
        "seed": facts["recipe"]["seed"],
        "generator": GENERATOR,
        "image_size": None,  # they differ; the reader brings all to one size
        "images_checked_by": "sha256" if read else "size",
        "root": root,
        "attack_types": UNKNOWN_ATTACK if UNKNOWN in set(manifest["type"]) else ATTACK_TYPES,
        # Adversarial attacks cover all 1,800 people in every split.
        "subjects_cross_splits": True,
        **facts,
    }
    write_dataset(folder, manifest, {protocol: splits}, info, tables, digests)
