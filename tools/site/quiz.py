"""Two directives: ``quiz``, the questions of a chapter, and ``quiz-files``, links to the bank.

```{quiz} 06
```
"""

from __future__ import annotations

from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from tools import quiz
from tools.site import downloads, solutions


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


class QuizFilesDirective(SphinxDirective):
    """Links to the bank for Moodle, on a site that shows solutions."""

    def run(self) -> list[nodes.Node]:
        """Return the links, or nothing on a site without solutions, which has no such files."""
        if solutions.chosen() == "none":
            return []
        links = " · ".join(
            f'<a href="{downloads.BLANK}/{name}" download>{name}</a>' for name in quiz.FILES
        )
        return [nodes.raw("", f'<p class="noprint">Download {links}</p>', format="html")]


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
