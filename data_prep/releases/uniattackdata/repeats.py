"""The same image in more than one line: twice in a split, in two splits, or under two names."""

from __future__ import annotations

import pandas as pd

from data_prep.contract.checks import SPLITS, DatasetError
from data_prep.contract.repeats import equal_files


def drop_repeated_lines(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the first of several equal paths in a split.

    Args:
        table: one row a line with ``place``, ``split``, ``label`` and ``where`` (file and line).

    Returns:
        The rest, and the lines dropped.

    Raises:
        DatasetError: two lines give one image different labels.
    """
    labels = table.groupby("place")["label"].nunique()
    if (labels > 1).any():
        both = table[table["place"] == labels.index[labels > 1][0]]
        said = "; ".join(f"{row.where}: {row.label}" for row in both.itertuples())
        raise DatasetError(f"one image has two labels ({said}); mend the list that is wrong")
    again = table.duplicated(["split", "place"])
    return table[~again], table[again]


def settle_overlap(table: pd.DataFrame, drop: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """See to it that no image stands in two splits.

    With ``drop`` it stays in the later one (test before dev before train), so that nothing that is
    tested has been trained on.

    Raises:
        DatasetError: an image stands in two splits and ``drop`` is not set; names both lines.
    """
    order = table["split"].map({split: number for number, split in enumerate(SPLITS)})
    latest = order.groupby(table["place"]).transform("max")
    earlier = order < latest
    if earlier.any() and not drop:
        place = table.loc[earlier, "place"].iloc[0]
        where = " and ".join(table.loc[table["place"] == place, "where"])
        raise DatasetError(
            f"{int(earlier.sum())} images stand in two splits, the first in {where}; testing on "
            "them would measure memory. Mend the lists, or pass --drop-overlap, which keeps such "
            "an image in the later split only"
        )
    return table[~earlier], table[earlier]


def same_content(table: pd.DataFrame) -> dict[str, object]:
    """Images of equal bytes under different paths: how many, how many across splits, examples.

    Args:
        table: one row an image with ``place``, ``split``, ``label`` and ``sha256``.
    """
    return equal_files(table.assign(id=table["place"])).summary()
