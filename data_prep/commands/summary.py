"""What a command that wrote or checked a dataset says at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_prep.manifest import PreparedDataset


def summary(dataset: PreparedDataset) -> str:
    """One line on a prepared dataset: images, subjects, checksum."""
    counts, sums = dataset.info["counts"], dataset.info["checksums"]
    labels = ", ".join(f"{count} {label}" for label, count in counts["label"].items())
    return (
        f"{dataset.folder}: {counts['images']} images ({labels}) of {counts['subjects']} subjects, "
        f"checksum {sums['dataset'][:16]}"
    )
