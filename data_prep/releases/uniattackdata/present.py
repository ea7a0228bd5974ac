"""Which of the listed images are really there, and whether all of each can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from data_prep.contract.checks import DatasetError
from data_prep.media.images import inspect_images
from data_prep.releases.uniattackdata.files import what_is_wrong
from data_prep.releases.uniattackdata.listed import SKIPPED, Report, some_of
from data_prep.releases.uniattackdata.options import Options
from data_prep.releases.uniattackdata.repeats import same_content


def drop_absent(
    table: pd.DataFrame, root: Path, report: Report, options: Options, word: str = "absent"
) -> pd.DataFrame:
    """Leave out the images that are not there, which only ``allow_missing`` permits.

    Raises:
        DatasetError: images are absent, with numbers by split and type and examples.
    """
    wrong = what_is_wrong([root / place for place in table["place"]], root)
    return _leave_out(table, wrong, word, report, options)


def read_contents(
    table: pd.DataFrame, root: Path, report: Report, options: Options
) -> pd.DataFrame:
    """Read every image once; adds ``width``, ``height`` and ``sha256``, leaves damaged ones out.

    Raises:
        DatasetError: images are damaged and ``allow_missing`` is not set.
    """
    if options.quick:
        report["contents"] = "not read (--quick)"
        return table
    facts = inspect_images([root / place for place in table["place"]], options.workers)
    table = table.assign(
        width=[fact.width for fact in facts],
        height=[fact.height for fact in facts],
        sha256=[fact.sha256 for fact in facts],
        misnamed=[fact.misnamed for fact in facts],
    )
    table = _leave_out(table, [fact.error for fact in facts], "damaged", report, options)
    sizes = Counter(zip(table["width"], table["height"], strict=True))
    report["contents"] = "every image read"
    report["sizes"] = {f"{w} x {h}": count for (w, h), count in sizes.most_common(12)}
    report["different_sizes"] = len(sizes)
    report["misnamed"] = some_of(table[table["misnamed"] != ""])
    report["equal_contents"] = same_content(table)
    return table.drop(columns="misnamed")


def _leave_out(
    table: pd.DataFrame, wrong: Sequence[str], word: str, report: Report, options: Options
) -> pd.DataFrame:
    reason = pd.Series(wrong, index=table.index, dtype=object)
    out = table[reason != ""]
    kinds = out.groupby(["split", "type"]).size()
    by_kind = {f"{split}, {kind}": int(number) for (split, kind), number in kinds.items()}
    left_out = [(row.place, f"{word}: {reason[row.Index]}") for row in out.itertuples()]
    report.setdefault(SKIPPED, []).extend(left_out)
    found = some_of(out.assign(where=out["where"] + ": " + reason[out.index]))
    report[word] = {**found, "by_split_and_type": by_kind}
    if len(out) and len(out) == len(table):
        raise DatasetError(f"all {len(table)} images are {word}; is --root the right folder?")
    if len(out) and not options.allow_missing:
        numbers = "; ".join(f"{kind}: {number}" for kind, number in by_kind.items())
        examples = "".join(f"\n  {text}" for text in found["examples"])
        raise DatasetError(
            f"{len(out)} of {len(table)} images are {word} ({numbers}):{examples}\nComplete the "
            "copy, or pass --allow-missing to go on without them"
        )
    return table[reason == ""]
