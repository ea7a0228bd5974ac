"""What a look at a prepared dataset finds: counts, and files that are not as they should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from data_prep.contract.checks import SPLITS, DatasetError
from data_prep.contract.repeats import equal_files
from data_prep.manifest import PreparedDataset, check_files
from data_prep.media.images import ImageFacts, inspect_images
from data_prep.taxonomy import ATTACK_TYPES, LIVE

SMALLEST_SIDE = 48
SMALLEST_FILE = 1024
ALL = "all"


@dataclass(frozen=True)
class Finding:
    """Something a reader of the dataset should know.

    Attributes:
        title: what it is, in a few words.
        serious: whether training or testing on the dataset fails or misleads.
        rows: one line for every image or pair concerned.
        advice: what it means and what to do.
    """

    title: str
    serious: bool
    rows: Sequence[str]
    advice: str


@dataclass(frozen=True)
class Inspection:
    """Everything that is known of a dataset after one pass over its files.

    Attributes:
        dataset: what was looked at.
        counts: images by family and type (rows) and by split or ``all`` (columns), by protocol;
            the first, named ``all``, counts every image.
        images: the manifest with ``width``, ``height``, ``bytes``, ``sha256`` and ``error``.
        findings: the serious ones first.
    """

    dataset: PreparedDataset
    counts: dict[str, pd.DataFrame]
    images: pd.DataFrame = field(repr=False)
    findings: list[Finding]

    @property
    def serious(self) -> bool:
        """Whether something was found that has to be put right."""
        return any(finding.serious for finding in self.findings)

    @property
    def readable(self) -> pd.DataFrame:
        """The images that decode."""
        return self.images[self.images["error"] == ""]


def inspect_dataset(dataset: PreparedDataset, workers: int | None = None) -> Inspection:
    """Read every file of a dataset once; its tables were checked when it was read."""
    images = _images(dataset, workers)
    findings = [*_broken(images), *_changed(dataset, images), *_repeated(dataset, images)]
    findings += [*_tiny(images), *_misnamed(images)]
    findings.sort(key=lambda finding: not finding.serious)
    return Inspection(dataset, count_tables(dataset), images, findings)


def count_tables(dataset: PreparedDataset) -> dict[str, pd.DataFrame]:
    """Images of each family and type: all of them, then by split of each protocol."""
    manifest = dataset.manifest
    tables = {ALL: _counted(manifest.assign(split=ALL), [ALL])}
    for name, protocol in dataset.protocols.items():
        tables[name] = _counted(protocol.merge(manifest, on="id"), list(SPLITS))
    return tables


def ordered_types(types: pd.Series) -> list[str]:
    """Live first, then the taxonomy's order, then what a dataset declares itself."""
    present = set(types)
    known = dict.fromkeys((LIVE, *ATTACK_TYPES, *sorted(present)))
    return [name for name in known if name in present]


def _counted(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    table = rows.groupby(["family", "type", "split"]).size().unstack("split", fill_value=0)
    table = table.reindex(columns=columns, fill_value=0)
    order = {name: place for place, name in enumerate(ordered_types(rows["type"]))}
    table = table.loc[sorted(table.index, key=lambda pair: order[pair[1]])]
    if len(columns) > 1:
        table[ALL] = table.sum(axis=1)
    table.loc[(ALL, ALL), :] = table.sum()
    table.columns.name = None
    return table.astype(int)


def _images(dataset: PreparedDataset, workers: int | None) -> pd.DataFrame:
    places, refused = [], {}
    for row, path in enumerate(dataset.manifest["path"]):
        try:
            places.append(dataset.locate(path))
        except DatasetError as error:  # a link that leads out: it is not opened
            refused[row] = str(error)
            places.append(Path())
    wanted = [row for row in range(len(places)) if row not in refused]
    facts: dict[int, ImageFacts] = dict(
        zip(wanted, inspect_images([places[row] for row in wanted], workers), strict=True)
    )
    nothing = ImageFacts(b"", 0, 0, "", "")
    found = [facts.get(row, nothing) for row in range(len(places))]
    return dataset.manifest.assign(
        width=[fact.width for fact in found],
        height=[fact.height for fact in found],
        sha256=[fact.sha256.hex() for fact in found],
        misnamed=[fact.misnamed for fact in found],
        error=[refused.get(row, fact.error) for row, fact in enumerate(found)],
        bytes=[_size(path) if row not in refused else 0 for row, path in enumerate(places)],
        missing=[row not in refused and not path.exists() for row, path in enumerate(places)],
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _broken(images: pd.DataFrame) -> list[Finding]:
    missing = images[images["missing"]]
    damaged = images[(images["error"] != "") & ~images["missing"]]
    findings = []
    if len(missing):
        rows = [f"{row.path} ({row.id})" for row in missing.itertuples()]
        advice = "The manifest names files that are not there: put them back, or prepare again."
        findings.append(Finding("missing files", True, rows, advice))
    if len(damaged):
        rows = [f"{row.path} ({row.id}): {row.error}" for row in damaged.itertuples()]
        advice = "These files do not decode: copy them again from their source."
        findings.append(Finding("unreadable files", True, rows, advice))
    return findings


def _changed(dataset: PreparedDataset, images: pd.DataFrame) -> list[Finding]:
    if (images["error"] != "").any():
        return []  # the checksum of what is left would say nothing more
    try:
        check_files(dataset)
    except DatasetError as error:
        advice = "Files are not those that the dataset was written with: write it again."
        return [Finding("changed files", True, [str(error)], advice)]
    return []


def _repeated(dataset: PreparedDataset, images: pd.DataFrame) -> list[Finding]:
    """Equal bytes under several ids: harmless in one split, a leak across two."""
    found = equal_files(images[images["error"] == ""], dataset.protocols)
    labels, leaks, same = (
        [", ".join(group["path"]) for group in groups]
        for groups in (found.across_labels, found.across_splits, found.others)
    )
    return [
        Finding(title, serious, rows, advice)
        for title, serious, rows, advice in (
            ("equal files labeled live and fake", True, labels, "One of the labels is wrong."),
            (
                "equal files in two splits",
                True,
                leaks,
                "A model is tested on what it was trained or tuned on: drop one of each.",
            ),
            (
                "duplicate files",
                False,
                same,
                "Equal bytes under several names, within one split: they count more than once.",
            ),
        )
        if rows
    ]


def _tiny(images: pd.DataFrame) -> list[Finding]:
    readable = images[images["error"] == ""]
    side = readable[["width", "height"]].min(axis=1)
    tiny = readable[(side < SMALLEST_SIDE) | (readable["bytes"] < SMALLEST_FILE)]
    rows = [
        f"{r.path}: {r.width} × {r.height} pixels, {r.bytes:,} bytes" for r in tiny.itertuples()
    ]
    advice = (
        f"Shorter than {SMALLEST_SIDE} pixels on a side, or under {SMALLEST_FILE:,} bytes: little "
        "of a face is left in them."
    )
    return [Finding("tiny files", False, rows, advice)] if rows else []


def _misnamed(images: pd.DataFrame) -> list[Finding]:
    wrong = images[images["misnamed"] != ""]
    rows = [f"{row.path} is {row.misnamed}" for row in wrong.itertuples()]
    advice = "They are read by what they hold, not by their names; other programs may stumble."
    return [Finding("files with the wrong ending", False, rows, advice)] if rows else []
