"""Protocols that leave one type of attack out: how does a detector meet what it never saw?"""

from __future__ import annotations

import pandas as pd

from data_prep.contract.checks import DatasetError
from data_prep.taxonomy import LIVE, attack_type


def leave_one_type_out(manifest: pd.DataFrame, base: pd.DataFrame, held_out: str) -> pd.DataFrame:
    """Train and dev as in ``base`` without the held-out type; test on live and on that type.

    Subjects keep the split that they have in ``base``, so nobody is in two splits. Images of the
    held-out type need not be in ``base``: those of its test subjects are tested.

    Args:
        manifest: the dataset's manifest.
        base: a protocol, columns ``id`` and ``split``, that gives every subject its split.
        held_out: name of the attack type.

    Returns:
        Columns ``id`` and ``split``, in the manifest's order.

    Raises:
        ValueError: no attack has that name.
        DatasetError: no test subject has an image of the type, or a subject is in two splits.
    """
    attack_type(held_out)
    split_of_id = base.set_index("id")["split"]
    known = manifest[manifest["id"].isin(split_of_id.index)]
    pairs = pd.DataFrame({"subject": known["subject"], "split": known["id"].map(split_of_id)})
    pairs = pairs.drop_duplicates()
    crossing = pairs[pairs["subject"].duplicated()]
    if len(crossing):
        raise DatasetError(
            f"subject {crossing['subject'].iloc[0]!r} is in two splits of the base protocol; "
            "expected each subject in one"
        )
    split = manifest["subject"].map(pairs.set_index("subject")["split"])
    in_base = manifest["id"].isin(split_of_id.index)
    is_type = manifest["type"] == held_out
    trained = in_base & split.isin(("train", "dev")) & ~is_type
    tested = (split == "test") & ((in_base & (manifest["type"] == LIVE)) | is_type)
    if not (tested & is_type).any():
        raise DatasetError(
            f"no image of type {held_out!r} belongs to a test subject; types in the manifest: "
            + ", ".join(sorted(manifest["type"].unique()))
        )
    chosen = trained | tested
    table = pd.DataFrame({"id": manifest.loc[chosen, "id"], "split": split[chosen]})
    return table.reset_index(drop=True)
