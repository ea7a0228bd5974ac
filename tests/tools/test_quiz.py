"""The quiz bank: complete, with a reason for every answer, and the same in all its forms."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from tools import notebooks, quiz

GOOD = "::01-01:: Which? {\n=This \\= that #Because.\n~Other #No.\n}"


def test_every_chapter_has_ten_questions_with_three_or_more_answers() -> None:
    bank = quiz.read_bank()
    counts = Counter(question.chapter for question in bank)
    assert counts == dict.fromkeys(notebooks.chapter_numbers(), 10)
    assert len({question.name for question in bank}) == len({q.text for q in bank}) == len(bank)
    for question in bank:
        assert len(question.answers) >= 3 and sum(one.right for one in question.answers) == 1
        assert all(one.reason.endswith((".", ".”")) for one in question.answers), question.name


def test_the_right_answer_is_not_always_at_the_same_place() -> None:
    bank = quiz.read_bank()
    places = Counter([one.right for one in question.answers].index(True) for question in bank)
    assert all(places[place] > len(bank) / 6 for place in range(3))


def test_the_right_answer_is_not_given_away_by_its_length() -> None:
    bank = quiz.read_bank()
    longest = [max(question.answers, key=lambda one: len(one.text)).right for question in bank]
    assert sum(longest) < 0.4 * len(bank)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (GOOD.replace("~Other", "=Other"), "01-01: expected one right answer"),
        (GOOD.replace(" #No.", ""), "01-01: expected `=answer #reason`"),
        (GOOD.replace("\\=", "="), "a backslash before other signs"),
        (GOOD.replace("::01-01::", "01-01"), "a quiz question looks like"),
    ],
)
def test_a_damaged_bank_is_refused(tmp_path: Path, wrong: str, message: str) -> None:
    (tmp_path / "bank").write_text(wrong)
    with pytest.raises(ValueError, match=message):
        quiz.read_bank(tmp_path / "bank")


def test_escaped_signs_are_read_as_they_are_meant(tmp_path: Path) -> None:
    (tmp_path / "bank").write_text(f"// words\n\n{GOOD}\n")
    (question,) = quiz.read_bank(tmp_path / "bank")
    assert {one.text for one in question.answers} == {"This = that", "Other"}


def test_moodle_gets_the_same_questions(tmp_path: Path) -> None:
    gift, xml = quiz.write(tmp_path)
    assert gift.read_bytes() == quiz.BANK.read_bytes()
    nodes = ET.parse(xml).getroot().findall("question")
    kinds = Counter(node.get("type") for node in nodes)
    assert kinds == {"category": len(notebooks.chapter_numbers()), "multichoice": 90}
    asked = [node for node in nodes if node.get("type") == "multichoice"]
    for node, question in zip(asked, quiz.read_bank(), strict=True):
        assert node.findtext("questiontext/text") == question.text
        right = [one for one in node.findall("answer") if one.get("fraction") == "100"]
        assert [one.findtext("text") for one in right] == [
            a.text for a in question.answers if a.right
        ]
        assert all(one.findtext("feedback/text") for one in node.findall("answer"))


def test_a_chapter_without_questions_is_told() -> None:
    with pytest.raises(ValueError, match="no questions of chapter '77'"):
        quiz.chapter_questions("77")
