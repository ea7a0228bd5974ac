"""Images of equal bytes: harmless within a split, a leak across two, an error with two labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from data_prep.contract.checks import DatasetError


@dataclass(frozen=True)
class EqualFiles:
    """Groups of images of equal bytes, each a table with the columns given.

    Attributes:
        across_labels: live in one place and fake in another: one of the labels is wrong.
        across_splits: in two splits of a protocol: a model is tested on what it was trained on.
        others: within one label and one split: they count more than once.
    """

    across_labels: list[pd.DataFrame]
    across_splits: list[pd.DataFrame]
    others: list[pd.DataFrame]

    def summary(self, examples: int = 3) -> dict[str, Any]:
        """Numbers of groups and the first of them, as plain values for a report."""
        groups = [*self.across_labels, *self.across_splits, *self.others]
        return {
            "images": sum(map(len, groups)) - len(groups),
            "with_two_labels": len(self.across_labels),
            "across_splits": len(self.across_splits),
            "examples": [" = ".join(group["id"]) for group in groups[:examples]],
        }


def equal_files(
    images: pd.DataFrame, protocols: Mapping[str, pd.DataFrame] | None = None
) -> EqualFiles:
    """Find the images of equal bytes.

    Args:
        images: one row per image with ``id``, ``label``, and ``sha256``; rows without one are left
            out. Without ``protocols``, also ``split``.
        protocols: tables with ``id`` and ``split``, by name.
    """
    if protocols is None:
        protocols = {"": images[["id", "split"]]}
    splits = [dict(zip(table["id"], table["split"], strict=True)) for table in protocols.values()]
    known = images[images["sha256"].map(bool)]
    repeated = known[known["sha256"].duplicated(keep=False)]
    labels, crossing, others = [], [], []
    for _, group in repeated.groupby("sha256", sort=False):
        if group["label"].nunique() > 1:
            labels.append(group)
        elif any(len({split[key] for key in group["id"] if key in split}) > 1 for split in splits):
            crossing.append(group)
        else:
            others.append(group)
    return EqualFiles(labels, crossing, others)


def told_equal(summary: dict[str, Any] | None) -> list[str]:
    """Lines for a report on what ``EqualFiles.summary`` found; none where that is nothing."""
    if not summary or not summary["images"]:
        return []
    refused = summary["across_splits"] or summary["with_two_labels"]
    return [
        f"{summary['images']} images have the same bytes as another ({summary['across_splits']} "
        f"groups across splits, {summary['with_two_labels']} with two labels)"
        + ("; `check` refuses them" if refused else ""),
        *(f"  {example}" for example in summary["examples"]),
    ]


def refuse_equal_files(images: pd.DataFrame, protocols: Mapping[str, pd.DataFrame]) -> None:
    """Check that no two images of equal bytes have different labels or are in different splits.

    Raises:
        DatasetError: names one group of them.
    """
    found = equal_files(images, protocols)
    for groups, what, advice in (
        (found.across_labels, "are labeled live and fake", "one of the labels is wrong"),
        (
            found.across_splits,
            "are in two splits",
            "a model would be tested on what it was trained or tuned on",
        ),
    ):
        if groups:
            told = " = ".join(groups[0]["id"][:6])
            raise DatasetError(
                f"{len(groups)} groups of images have equal bytes and {what}, the first is {told}: "
                f"{advice}. Remove all but one of each from the sources and write the dataset again"
            )
