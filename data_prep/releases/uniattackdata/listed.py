"""What the lists of a protocol say: one table, checked against folders and published counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd
from tqdm import tqdm

from data_prep.contract.checks import SPLITS, UNKNOWN, DatasetError
from data_prep.contract.inside import Inside
from data_prep.releases.uniattackdata.attack_types import label_of
from data_prep.releases.uniattackdata.counts import (
    PUBLISHED,
    Difference,
    differences,
    live_by_split,
    shares_of_live,
)
from data_prep.releases.uniattackdata.labels import (
    Convention,
    check_labels,
    check_polarity,
    convention_of,
    doubtful_polarity,
    label_by_integer,
)
from data_prep.releases.uniattackdata.layouts import OFFICIAL, Layout
from data_prep.releases.uniattackdata.lists import Line, read_list
from data_prep.releases.uniattackdata.names import parse_name
from data_prep.releases.uniattackdata.options import Options
from data_prep.releases.uniattackdata.repeats import drop_repeated_lines, settle_overlap
from data_prep.taxonomy import LIVE

Report = dict[str, Any]
SKIPPED = "skipped"
"""Key of a report: place and reason of each image that is left out, until they are written."""


def read_labeled(layout: Layout, protocol: str, options: Options) -> tuple[pd.DataFrame, Report]:
    """The labeled images of a protocol, each once, and what there was to notice.

    The table has ``place`` (path from the root), ``split``, ``where`` (list and line) and the
    columns of a manifest but ``path``.

    Raises:
        DatasetError: a list is missing or malformed, a label disagrees with its folder, or the
            numbers of lines are not the published ones.
    """
    lists = _read_lists(layout, protocol, options)
    convention = convention_of(
        [line for lines in lists.values() for line in lines], options.live_is
    )
    official = layout.distribution == OFFICIAL
    warnings = []
    if not official and options.live_is is None:
        if not options.skip_counts:
            check_polarity(lists, live_by_split(protocol))
        warnings = doubtful_polarity(lists, shares_of_live(protocol))
    table = pd.concat([_table(layout, s, lines, convention) for s, lines in lists.items()])
    table = table.reset_index(drop=True)
    different = _compare_counts(protocol, table, not official, options)
    table, repeated = drop_repeated_lines(table)
    table, overlap = settle_overlap(table, options.drop_overlap)
    report = {
        "distribution": layout.distribution,
        "labels_from": "folders" if official else "integers",
        "convention": str(convention),
        "lines": {split: len(lines) for split, lines in lists.items()},
        "counts": _verdict(protocol, different, options),
        "count_differences": [str(difference) for difference in different],
        "repeated_lines": some_of(repeated),
        "in_two_splits": some_of(overlap),
        "warnings": warnings,
        SKIPPED: [
            *_told(repeated, "repeats an image of its split"),
            *_told(overlap, "is in a later split too, where it is kept"),
        ],
    }
    return table, report


def read_unlabeled(layout: Layout) -> pd.DataFrame:
    """The images whose labels are not given out: ``id``, ``place``, ``split``, ``where``."""
    folders: dict[str, str] = {}
    rows, inside = [], Inside([layout.root])
    for split, file in layout.unlabeled.items():
        for line in read_list(inside.locate(file)):
            row = {"id": line.path, "place": layout.place(line.path, folders)}
            rows.append({**row, "split": split, "where": _where(line), "type": "unlabeled"})
    return pd.DataFrame(rows, columns=["id", "place", "split", "where", "type"]).drop_duplicates(
        "place"
    )


def some_of(rows: pd.DataFrame, number: int = 3) -> Report:
    """How many rows, and the first of them in words."""
    first = rows.head(number)
    examples = [f"{a} ({b})" for a, b in zip(first["place"], first["where"], strict=True)]
    return {"number": len(rows), "examples": examples}


def _read_lists(layout: Layout, protocol: str, options: Options) -> dict[str, list[Line]]:
    absent = [split for split in SPLITS if split not in {*layout.lists, *layout.unlabeled}]
    if absent and not options.allow_missing:
        raise DatasetError(
            f"{layout.root} has no list of {protocol} for {', '.join(absent)}; get it, or pass "
            "--allow-missing"
        )
    inside = Inside([layout.root])
    return {split: read_list(inside.locate(file)) for split, file in layout.lists.items()}


def _table(layout: Layout, split: str, lines: list[Line], convention: Convention) -> pd.DataFrame:
    official = layout.distribution == OFFICIAL
    facts = _from_folders(lines, convention) if official else _from_integers(lines, convention)
    folders: dict[str, str] = {}
    rows = [
        {"place": layout.place(line.path, folders), "split": split, "where": _where(line), **fact}
        for line, fact in zip(tqdm(lines, desc=f"{split} list", unit="line"), facts, strict=True)
    ]
    return pd.DataFrame(rows)


def _from_folders(lines: list[Line], convention: Convention) -> list[dict[str, Any]]:
    names = []
    for line in lines:
        try:
            names.append(parse_name(line.path))
        except ValueError as error:
            raise line.error(str(error)) from error
    check_labels(lines, names, convention)
    return [
        {
            "id": f"{name.video}/{line.path.rpartition('/')[2]}",
            "label": label_of(name.family),
            **vars(name),
        }
        for line, name in zip(lines, names, strict=True)
    ]


def _from_integers(lines: list[Line], convention: Convention) -> list[dict[str, Any]]:
    """The challenge tells the label alone; every image then stands for a subject of its own."""
    rows = []
    for line in lines:
        label, name = label_by_integer(line, convention), line.path
        kind = LIVE if label == LIVE else UNKNOWN
        row = {"id": name, "label": label, "family": kind, "type": kind, "target": ""}
        person = {"subject": f"unknown/{name}", "region": UNKNOWN}
        rows.append({**row, **person, "video": name, "frame": 0})
    return rows


def _told(rows: pd.DataFrame, reason: str) -> list[tuple[str, str]]:
    return [(row.place, f"{row.where}: {reason}") for row in rows.itertuples()]


def _where(line: Line) -> str:
    return f"{line.file.name}, line {line.number}"


def _compare_counts(
    protocol: str, table: pd.DataFrame, by_label: bool, options: Options
) -> list[Difference]:
    column = "label" if by_label else "family"
    present = {split: Counter(rows[column]) for split, rows in table.groupby("split")}
    different = differences(protocol, present, by_label)
    if by_label:  # a split whose labels are not given out cannot be compared
        different = [difference for difference in different if difference.split in present]
    refused = [d for d in different if d.found > d.published or not options.allow_missing]
    if refused and not options.skip_counts:
        listed = "".join(f"\n  {difference}" for difference in refused)
        raise DatasetError(
            f"the lists of {protocol} differ from the published table:{listed}\nUse the whole "
            "lists; for a partial copy pass --allow-missing (it accepts fewer lines), for another "
            "edition of the release --skip-counts"
        )
    return different


def _verdict(protocol: str, different: list[Difference], options: Options) -> str:
    if protocol not in PUBLISHED:
        return f"not compared: no counts of {protocol} are known"
    if not different:
        return "equal to the published table"
    return "other than the published table" + (" (--skip-counts)" if options.skip_counts else "")
