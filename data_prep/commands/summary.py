"""Final output of commands that write or check a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_prep.errors import printable

if TYPE_CHECKING:
    from data_prep.manifest import PreparedDataset


def say(text: str) -> None:
    """Print text with names from untrusted files; control codes are escaped."""
    print("\n".join(printable(line) for line in text.split("\n")))


def summary(dataset: PreparedDataset) -> str:
    """Summarize a prepared dataset in one line: images, subjects, checksum."""
    counts, sums = dataset.info["counts"], dataset.info["checksums"]
    labels = ", ".join(f"{count} {label}" for label, count in counts["label"].items())
    return (
        f"{dataset.folder}: {counts['images']} images ({labels}) of {counts['subjects']} subjects, "
        f"checksum {sums['dataset'][:16]}"
    )
