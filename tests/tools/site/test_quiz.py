"""The quiz on a page: each answer unfolds its reason, unless solutions are left out."""

from tools.quiz import Answer, Question
from tools.site.quiz import question_html

ASKED = Question(
    "01-01", "01", "Is 1 < 2?", (Answer("Yes", "It is.", True), Answer("No", "1.", False))
)


def test_an_answer_unfolds_its_reason() -> None:
    text = question_html(ASKED, solved=True)
    assert text.count("<details") == 2 and "<strong>Right.</strong> It is." in text
    assert "Is 1 &lt; 2?" in text


def test_without_solutions_no_reason_is_left() -> None:
    text = question_html(ASKED, solved=False)
    assert "<details" not in text and "Right" not in text and "It is." not in text
    assert "Yes" in text and "No" in text
