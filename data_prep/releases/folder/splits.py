"""Who is train, dev and test: people are dealt, never single pictures."""

from __future__ import annotations

import pandas as pd

from data_prep.contract.checks import SPLITS, DatasetError
from data_prep.seeds import derive_seed
from data_prep.taxonomy import LABELS


def split_subjects(
    manifest: pd.DataFrame, shares: tuple[float, float, float], seed: int
) -> pd.Series:
    """The split of every row: subjects of each kind are dealt by ``shares``, in a seeded order.

    The kinds are: with live and fake pictures, with one of them only. A split whose share is not
    zero gets a subject of a kind as soon as there are enough.

    Args:
        manifest: with ``subject`` and ``label``.
        shares: of train, dev and test; they add up to 1.
        seed: fixes the order, for each subject apart from who else is there.

    Raises:
        ValueError: see ``check_shares``.
        DatasetError: a split that was asked for has no live or no fake image.
    """
    check_shares(shares)
    kinds = manifest.groupby("subject")["label"].agg(lambda labels: "+".join(sorted(set(labels))))
    split_of: dict[str, str] = {}
    for _, subjects in sorted(kinds.groupby(kinds)):
        names = sorted(subjects.index, key=lambda name: derive_seed("split", seed, name))
        for name, split in zip(names, _deal(len(names), shares), strict=True):
            split_of[name] = split
    splits = manifest["subject"].map(split_of)
    _check(manifest, splits, shares)
    return splits


def check_shares(shares: tuple[float, float, float]) -> None:
    """Check the shares of train, dev, and test.

    Raises:
        ValueError: one of them is negative or not a number, or they do not add up to 1.
    """
    if not (min(shares) >= 0 and abs(sum(shares) - 1) <= 1e-6):
        raise ValueError(f"splits are {shares}; expected three shares that add up to 1")


def _deal(number: int, shares: tuple[float, float, float]) -> list[str]:
    """``number`` names of splits, by shares; each split in use gets one of the first ones."""
    used = [index for index, share in enumerate(shares) if share > 0]
    counts = [0, 0, 0]
    # The split that is furthest behind its share gets the next subject; train before test.
    for dealt in range(number):
        empty = [index for index in used if counts[index] == 0]
        behind = {index: shares[index] * (dealt + 1) - counts[index] for index in empty or used}
        counts[max(behind, key=lambda index: (round(behind[index], 9), -index))] += 1
    return [SPLITS[index] for index, count in enumerate(counts) for _ in range(count)]


def _check(manifest: pd.DataFrame, splits: pd.Series, shares: tuple[float, float, float]) -> None:
    for split, share in zip(SPLITS, shares, strict=True):
        present = set(manifest.loc[splits == split, "label"])
        lacking = [label for label in LABELS if label not in present]
        if share > 0 and lacking:
            people = manifest.groupby("label")["subject"].nunique().to_dict()
            raise DatasetError(
                f"the split {split} has no {lacking[0]} picture: subjects with live pictures: "
                f"{people.get('live', 0)}, with fakes: {people.get('fake', 0)}; three of each are "
                "needed at least. Add people, or leave splits out (--splits 0 0 1 makes all of it "
                "test)"
            )
