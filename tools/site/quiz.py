"""The directive ``quiz``: the questions of a chapter, each answer with a folded reason.

```{quiz} 06
```
"""

from __future__ import annotations

from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from tools import quiz
from tools.site import solutions


class QuizDirective(SphinxDirective):
    """Questions of the chapter named by two digits."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the questions as HTML; without solutions, the answers have no reasons."""
        self.env.note_dependency(str(quiz.BANK))
        try:
            questions = quiz.chapter_questions(self.arguments[0])
        except ValueError as problem:
            raise self.error(str(problem)) from None
        solved = solutions.chosen() != "none"
        body = "".join(question_html(question, solved) for question in questions)
        return [nodes.raw("", f'<ol class="quiz">{body}</ol>', format="html")]


def question_html(question: quiz.Question, solved: bool) -> str:
    """Return one question as an item of a list."""
    answers = "".join(f"<li>{_answer(one, solved)}</li>" for one in question.answers)
    return f'<li><p>{escape(question.text)}</p><ol class="quiz-answers">{answers}</ol></li>\n'


def _answer(answer: quiz.Answer, solved: bool) -> str:
    text = escape(answer.text)
    if not solved:
        return f"<p>{text}</p>"
    verdict = "Right." if answer.right else "No."
    reason = f"<p><strong>{verdict}</strong> {escape(answer.reason)}</p>"
    return f'<details class="answer"><summary>{text}</summary>{reason}</details>'
