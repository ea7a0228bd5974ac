"""What an import noticed, in words."""

from __future__ import annotations

from typing import Any

from data_prep.contract.repeats import told_equal
from data_prep.manifest import PreparedDataset

_FINDINGS = {
    "repeated_lines": "lines repeat an image of their split; each is kept once",
    "in_two_splits": "images stood in two splits; kept in the later one",
    "absent": "images are absent and left out",
    "absent_unlabeled": "images without labels are absent and left out",
    "damaged": "images are damaged and left out",
    "misnamed": "images are in another format than their name says; they are read all the same",
}


def describe(dataset: PreparedDataset) -> str:
    """The report kept in ``dataset.json``, a line a finding with examples below."""
    report = dataset.info["report"]
    lines = [
        f"{report['distribution']}; labels from {report['labels_from']}; integers: "
        f"{report['convention']}",
        f"lines: {_pairs(report['lines'])}; {report['counts']}",
        *(f"  {difference}" for difference in report["count_differences"]),
        *(f"WARNING: {warning}" for warning in report.get("warnings", ())),
        *_counts(dataset.info["counts"]["protocols"]),
    ]
    for key, words in _FINDINGS.items():
        finding = report.get(key, {"number": 0})
        if finding["number"]:
            kinds = finding.get("by_split_and_type")
            lines.append(f"{finding['number']} {words}" + (f" ({_pairs(kinds)})" if kinds else ""))
            lines += [f"  {example}" for example in finding["examples"]]
    if "unlabeled" in dataset.tables:
        number = len(dataset.tables["unlabeled"])
        lines.append(f"{number} images without labels: in the table 'unlabeled', in no split")
    return "\n".join([*lines, *_contents(report)])


def _contents(report: dict[str, Any]) -> list[str]:
    lines = [f"contents: {report['contents']}"]
    if "sizes" in report:
        lines.append(f"{report['different_sizes']} sizes, most often {_pairs(report['sizes'])}")
    lines += told_equal(report.get("equal_contents"))
    if "test_from_dev" in report:
        lines.append(report["test_from_dev"])
    return lines


def _counts(protocols: dict[str, dict[str, dict[str, int]]]) -> list[str]:
    return [
        f"  {split}: {_pairs(types)}"
        for splits in protocols.values()
        for split, types in splits.items()
        if types
    ]


def _pairs(numbers: dict[str, int]) -> str:
    return ", ".join(f"{key} {number}" for key, number in numbers.items())
