"""The ledger of claims: its schema, its errors, and what its entries name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lasoftmoe.metrics.intervals import Interval
from tools.claims import places
from tools.claims.ledger import KINDS, OWN_TEST, VERDICTS, LedgerError, read_ledger
from tools.claims.places import headings, problems

ENTRY: dict[str, Any] = {
    "id": "A1",
    "claim": "Eq. 1 is CLIP's loss",
    "place": "Section 3",
    "kind": "formula",
    "verdict": "holds",
    "finding": "It is.",
    "section": "08_la_soft_moe: Summary",
    "tests": ["tests/tools/claims/test_ledger.py::test_a_good_entry_has_no_problems"],
}


def write(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "claims.yaml"
    path.write_text(yaml.safe_dump([*entries], sort_keys=False, allow_unicode=True))
    return path


def changed(folder: Path, **changes: Any) -> list[str]:
    """Problems of the entry above with some fields changed."""
    return problems(read_ledger(write(folder, ENTRY | changes)))


def test_the_committed_ledger_has_no_problems() -> None:
    """Every section, test, record, and plan exists; every number is its source's.

    Where a verdict rests on a record, the record still says so. If this fails after a new
    recording, look at the claim again and change its verdict, not the test.
    """
    assert problems(read_ledger()) == []


def test_it_has_the_claims_of_every_part_of_the_paper() -> None:
    claims = read_ledger()
    assert len(claims) >= 92
    assert {claim.kind for claim in claims} == set(KINDS)
    assert {claim.verdict for claim in claims} <= set(VERDICTS)
    for letter, least in {"A": 19, "B": 20, "C": 16, "D": 23, "E": 7, "F": 7}.items():
        numbers = {int(claim.id[1:]) for claim in claims if claim.id[0] == letter}
        assert set(range(1, least + 1)) <= numbers


def test_a_good_entry_has_no_problems(tmp_path: Path) -> None:
    assert changed(tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"section": "08_la_soft_moe: Summry"}, "no heading 'Summry'; did you mean 'Summary'?"),
        ({"section": "18_gone: Summary"}, "the book has no page '18_gone'"),
        ({"tests": ["tests/gone.py::test_it"]}, "there is no file of tests tests/gone.py"),
        (
            {"tests": ["tests/paper/test_tables.py::test_the_counts_of_table_2"]},
            "no test 'test_the_counts_of_table_2'; did you mean 'test_the_counts_of_table_1'?",
        ),
        ({"record": "tabel6"}, "there is no record 'tabel6'; did you mean 'table6'?"),
        ({"plan": "gone"}, "there is no analysis file studies/gone.yaml"),
        ({"finding": "ACER is {value}`mean table6 nobody acer`."}, "no row 'nobody'"),
        ({"finding": "ACER is {value}`mean tabel6 vanilla acer`."}, "no record 'tabel6'"),
        ({"finding": "ACER is 0.32."}, "the number 0.32 has no source"),
        (
            {"finding": "ACER is 0.33.", "numbers": {"0.33": "reported table2 Ours ACER"}},
            "it quotes 0.33, but reported table2 Ours ACER is 0.32",
        ),
        ({"numbers": {"0.33": "reported table9 Ours ACER"}}, "number 0.33: 'reported table9"),
    ],
)
def test_a_planted_name_that_leads_nowhere_is_found(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    (found,) = changed(tmp_path, **changes)
    assert found.startswith("A1: ")
    assert message in found


def test_places_in_the_paper_and_formulas_are_no_numbers_to_check(tmp_path: Path) -> None:
    text = "Section 4.4 and sections 2.3, with $x = 0.5$ and `rate=0.1`; version 1.2.3."
    assert changed(tmp_path, finding=text) == []
    assert changed(tmp_path, finding="From 0.32 to 0.53.") != []


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [((0, -1, 1), "open"), ((-2, -3, -1), "below zero"), ((2, 1, 3), "above zero")],
)
def test_a_record_that_no_longer_supports_a_verdict_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: tuple[float, ...], outcome: str
) -> None:
    monkeypatch.setattr(places, "value_of", lambda expression: Interval(*interval))
    for expected in ("open", "below zero", "above zero"):
        found = changed(tmp_path, expects={"difference table6 soft_moe": expected})
        assert bool(found) == (expected != outcome)
        if found:
            assert "look at the verdict again" in found[0]


def test_a_ratio_is_held_against_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for ratio, fine in ((1.2, True), (0.9, False)):
        monkeypatch.setattr(places, "value_of", lambda expression, ratio=ratio: ratio)
        found = changed(tmp_path, expects={"times a b c": "not below 0.95"})
        assert (not found) == fine


def test_the_ledgers_own_test_guards_a_verdict_that_says_what_it_expects(tmp_path: Path) -> None:
    expected = {"difference table6 soft_moe": "open"}
    assert changed(tmp_path, tests=[OWN_TEST], expects=expected) == []
    assert OWN_TEST.endswith(test_the_committed_ledger_has_no_problems.__name__)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": None}, "verdict"),
        ({"verdict": "true"}, "verdict is 'true'"),
        ({"kind": "opinion"}, "kind is 'opinion'"),
        ({"id": "Z1"}, "id is 'Z1'"),
        ({"finding": ""}, "finding is ''"),
        ({"section": "Chapter 8"}, "section is 'Chapter 8'"),
        ({"tests": ["test_it"]}, "tests.0 is 'test_it'"),
        ({"tests": []}, "the verdict 'holds' needs a test"),
        ({"tests": [OWN_TEST]}, "guards nothing without expects"),
        ({"verdict": "holds, with condition"}, "a condition belongs to the verdict"),
        ({"condition": "sometimes"}, "a condition belongs to the verdict"),
        ({"verdit": "holds"}, "verdit"),
        ({"numbers": {"0.32": 3}}, "numbers.0.32"),
    ],
)
def test_a_wrong_field_is_named_with_line_and_claim(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, ENTRY | {"id": "B1"}, ENTRY | changes)
    with pytest.raises(LedgerError) as caught:
        read_ledger(path)
    assert message in str(caught.value)
    assert f"{path}, line 10" in str(caught.value)


def test_a_claim_without_verdict_is_refused(tmp_path: Path) -> None:
    entry = {key: value for key, value in ENTRY.items() if key != "verdict"}
    with pytest.raises(LedgerError, match="A1: verdict is missing"):
        read_ledger(write(tmp_path, entry))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("claims: []", "is a dict; expected a list of claims"),
        ("[]", "expected a list of claims"),
        ("- holds", "'holds' is no claim"),
        ("- {id: A1", "cannot be read"),
        ("- id: A1\n  id: A2\n", "the field id is there twice"),
    ],
)
def test_files_that_are_no_ledger_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text)
    with pytest.raises(LedgerError, match=message):
        read_ledger(path)


def test_two_claims_with_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="two claims have the id A1"):
        read_ledger(write(tmp_path, ENTRY, ENTRY))
    with pytest.raises(LedgerError, match="cannot be read"):
        read_ledger(tmp_path / "gone.yaml")


def test_headings_are_those_of_pages_and_notebooks_and_not_comments_of_code() -> None:
    assert "Two commands" in headings("how_to_use")
    assert "one machine with four GPUs" not in headings("how_to_use")
    assert "Summary" in headings("08_la_soft_moe")
    assert headings("gone") == []
