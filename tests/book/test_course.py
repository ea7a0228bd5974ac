"""What belongs to a course: slides, the quiz, feedback pages, and the page for teachers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lasoftmoe.exercises.grading import feedback
from lasoftmoe.exercises.grading.grade import Grade, Question
from tests.book.conftest import BOOK, CHAPTERS, SETTLED
from tests.book.test_accessibility import violations
from tools import notebooks

DECKS = [name for name in CHAPTERS if name[:2].isdigit()]
SLIDE_CUT = """() => [...document.querySelectorAll('.slide')]
    .filter(slide => slide.scrollHeight > innerHeight + 2 || slide.scrollWidth > innerWidth + 1)
    .map(slide => slide.ariaLabel)"""


def test_points_on_the_page_for_teachers_are_those_of_the_exercises() -> None:
    rows = re.findall(
        r"^\| \{doc\}`[^<`]+<(\d\d)_\w+>` \|.*\| (\d+) \|$",
        (BOOK / "for_teachers.md").read_text(),
        re.MULTILINE,
    )
    numbers = notebooks.chapter_numbers()
    assert rows == [(number, str(notebooks.chapter(number).points)) for number in numbers]


def test_commands_on_the_pages_of_the_course_exist() -> None:
    text = "".join(
        (BOOK / f"{name}.md").read_text() for name in ("for_teachers", "capstone", "hosted")
    )
    targets = set(re.findall(r"^([a-z-]+):.*##", (BOOK.parent / "Makefile").read_text(), re.M))
    assert set(re.findall(r"make ([a-z-]+)", text)) <= targets


@pytest.mark.slow
@pytest.mark.parametrize("name", DECKS)
def test_slides_fit_load_from_file_and_are_accessible(visit, name: str) -> None:
    opened = visit(f"slides/{name}", width=1280)
    opened.page.set_viewport_size({"width": 1280, "height": 720})
    assert opened.problems() == {} and opened.page.locator("mjx-merror").count() == 0
    assert opened.page.evaluate(SLIDE_CUT) == []
    assert violations(opened.page) == []
    phone = visit(f"slides/{name}", width=390, color_scheme="dark").page
    assert violations(phone) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_keys_turn_slides(visit) -> None:
    page = visit("slides/06_soft_moe").page
    page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    page.wait_for_function("document.activeElement.ariaLabel === 'Slide 3'")
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("document.activeElement.ariaLabel === 'Slide 2'")


@pytest.mark.slow
def test_an_answer_of_the_quiz_unfolds_by_keyboard(visit) -> None:
    page = visit("quiz").page
    answer = page.locator(".quiz details").first
    assert not answer.locator("p").is_visible()
    answer.locator("summary").focus()
    page.keyboard.press("Enter")
    assert answer.locator("strong").inner_text() in ("Right.", "No.")
    assert page.locator(".quiz > li").count() == 10 * len(DECKS)


def pages() -> dict[str, str]:
    """A student's feedback and the teacher's summary."""
    chapter = notebooks.chapter("06")
    states = ("right", "wrong", "error", "blank", "time limit")
    questions = [
        Question(exercise.function, state, 2 * (state == "right"), 2, f"Look at `x`: {state}.")
        for exercise, state in zip(chapter.exercises, states, strict=True)
    ]
    grade = Grade("ann", "0" * 64, questions, 1.8, late_days=1)
    return {
        "feedback": feedback.feedback_page(chapter, grade, "Ann"),
        "summary": feedback.summary_page(chapter, [grade], {"files": True}, 1),
    }


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("kind", ["feedback", "summary"])
def test_pages_of_the_grader_are_accessible(
    chromium: Any, tmp_path: Path, kind: str, width: int, scheme: str
) -> None:
    (tmp_path / "page.html").write_text(pages()[kind])
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function(SETTLED)
    assert violations(page) == [] and len(asked) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
