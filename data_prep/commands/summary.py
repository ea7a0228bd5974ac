"""What a command that wrote or checked a dataset says at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_prep.errors import printable

if TYPE_CHECKING:
    from data_prep.manifest import PreparedDataset


def say(text: str) -> None:
    """Print a text that may hold a stranger's names: control codes are written out."""
    print("\n".join(printable(line) for line in text.split("\n")))


def summary(dataset: PreparedDataset) -> str:
    """One line on a prepared dataset: images, subjects, checksum."""
    counts, sums = dataset.info["counts"], dataset.info["checksums"]
    labels = ", ".join(f"{count} {label}" for label, count in counts["label"].items())
    return (
        f"{dataset.folder}: {counts['images']} images ({labels}) of {counts['subjects']} subjects, "
        f"checksum {sums['dataset'][:16]}"
    )
