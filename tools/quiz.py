"""The quiz bank ``book/_quiz/quiz.gift``: read, and written in the forms that Moodle imports.

    python -m tools.quiz --out DIR

The bank is in Moodle's GIFT format, of which this reads single-choice questions with a reason for
each answer.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.notebooks import BOOK

BANK = BOOK / "_quiz" / "quiz.gift"
FILES = ("quiz.gift.txt", "quiz.xml")
QUESTION = re.compile(
    r"::(?P<name>(?P<chapter>\d\d)-\d\d):: (?P<text>[^{}]+) \{\n(?P<body>.+)\n\}", re.DOTALL
)
SPLIT = re.compile(r"(?<!\\)#")
UNESCAPED = re.compile(r"(?<!\\)[=~#{}]")
ESCAPED = re.compile(r"\\([=~#{}:])")


@dataclass(frozen=True)
class Answer:
    """An answer on offer, and why it is right or wrong."""

    text: str
    reason: str
    right: bool


@dataclass(frozen=True)
class Question:
    """A question with its answers in the order in which they are shown.

    Attributes:
        name: such as ``"06-01"``.
        chapter: two digits.
        text: the question, or the beginning of a sentence that the answers end.
        answers: one of them is right.
    """

    name: str
    chapter: str
    text: str
    answers: tuple[Answer, ...]


def read_bank(path: Path = BANK) -> list[Question]:
    """Return all questions.

    Raises:
        ValueError: A part of the bank is not of the form that this reads.
    """
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip())
    return [_question(one) for one in blocks if not one.startswith(("//", "$CATEGORY"))]


def _question(block: str) -> Question:
    match = QUESTION.fullmatch(block)
    if match is None:
        raise ValueError(
            f"a quiz question looks like `::06-01:: Text {{`, a line for each answer, and `}}`; "
            f"got {block[:80]!r}"
        )
    answers = [_answer(line, match["name"]) for line in match["body"].splitlines()]
    if sum(answer.right for answer in answers) != 1:
        raise ValueError(f"quiz question {match['name']}: expected one right answer")
    # The bank names the right answer first. Here the order looks random, and is always the same.
    answers.sort(key=lambda one: hashlib.sha256(f"{match['name']}{one.text}".encode()).digest())
    return Question(match["name"], match["chapter"], _plain(match["text"]), tuple(answers))


def _answer(line: str, name: str) -> Answer:
    text, *reason = SPLIT.split(line[1:])
    parts = [text, *reason]
    if line[0] not in "=~" or len(parts) != 2 or any(UNESCAPED.search(part) for part in parts):
        raise ValueError(
            f"quiz question {name}: expected `=answer #reason` or `~answer #reason`, and a "
            f"backslash before other signs of = ~ # {{ }}; got {line!r}"
        )
    return Answer(_plain(text), _plain(parts[1]), right=line[0] == "=")


def _plain(text: str) -> str:
    return ESCAPED.sub(r"\1", " ".join(text.split()))


def chapter_questions(chapter: str) -> list[Question]:
    """Return the questions of a chapter, two digits.

    Raises:
        ValueError: There are none.
    """
    found = [question for question in read_bank() if question.chapter == chapter]
    if not found:
        raise ValueError(f"the quiz bank {BANK.name} has no questions of chapter {chapter!r}")
    return found


def moodle_xml(questions: Sequence[Question]) -> str:
    """Return the questions as Moodle XML, a category for each chapter."""
    quiz, chapter = ET.Element("quiz"), ""
    for question in questions:
        if question.chapter != chapter:
            chapter = question.chapter
            category = ET.SubElement(quiz, "question", type="category")
            _text(category, "category", f"$course$/top/La-SoftMoE CLIP/{chapter}")
        quiz.append(_moodle_question(question))
    ET.indent(quiz)
    return ET.tostring(quiz, encoding="unicode", xml_declaration=True) + "\n"


def _moodle_question(question: Question) -> ET.Element:
    node = ET.Element("question", type="multichoice")
    _text(node, "name", question.name)
    _text(node, "questiontext", question.text, format="plain_text")
    settings = {"defaultgrade": "1", "single": "true", "shuffleanswers": "1"}
    for name, value in {**settings, "answernumbering": "abc"}.items():
        ET.SubElement(node, name).text = value
    for answer in question.answers:
        fraction = "100" if answer.right else "0"
        choice = ET.SubElement(node, "answer", fraction=fraction, format="plain_text")
        ET.SubElement(choice, "text").text = answer.text
        _text(choice, "feedback", answer.reason, format="plain_text")
    return node


def _text(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(ET.SubElement(parent, name, attributes), "text").text = text


def write(out: Path) -> list[Path]:
    """Write `FILES` and return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    gift, xml = (out / name for name in FILES)
    gift.write_bytes(BANK.read_bytes())
    xml.write_text(moodle_xml(read_bank()), encoding="utf-8")
    return [gift, xml]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(
        description="Write the quiz bank for Moodle.",
        epilog="example: python -m tools.quiz --out quiz",
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    for path in write(parser.parse_args(arguments).out):
        print(path)


if __name__ == "__main__":
    main()
