"""Pages for students and the teacher: one file each, no script, nothing from other hosts."""

from __future__ import annotations

import html
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from lasoftmoe.exercises.exercise import Chapter
from lasoftmoe.exercises.grading.grade import BLANK, RIGHT, Grade, Question

MOST_CODE = 4000  # characters of an answer on a page
STYLE = """
:root { color-scheme: light dark; --text: #1f2328; --page: #ffffff; --soft: #f2f4f7;
  --line: #8a929c; --good: #116329; --bad: #a40e26; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ed; --page: #15181c; --soft: #20252b;
  --line: #8b949e; --good: #6fdd8b; --bad: #ffa198; } }
body { background: var(--page); color: var(--text); font: 1rem/1.55 system-ui, sans-serif;
  margin: 0 auto; max-width: 46rem; padding: 1.5rem; overflow-wrap: anywhere; }
section { border-left: .3rem solid var(--line); background: var(--soft); margin: 1rem 0;
  padding: .6rem 1rem; }
section.right { border-color: var(--good); }
section.open { border-color: var(--bad); }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem; }
section h2 { margin: 0; }
.points { font-weight: 600; } .right .points { color: var(--good); }
.open .points { color: var(--bad); }
code, pre { font-family: ui-monospace, monospace; }
pre { white-space: pre-wrap; } summary { min-height: 24px; }
table { border-collapse: collapse; } th, td { border: 1px solid var(--line);
  padding: .3rem .7rem; text-align: left; vertical-align: top; }
th { overflow-wrap: normal; }
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def page(title: str, body: str) -> str:
    """Return a whole page; ``body`` is HTML."""
    return PAGE.format(title=html.escape(title), style=STYLE, body=body)


def with_code(text: str) -> str:
    """Escape a text and set what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _points(value: float) -> str:
    return f"{value:g}"


def _question(number: int, question: Question, source: str) -> str:
    kind = "right" if question.state == RIGHT else "open"
    unit = "point" if question.possible == 1 else "points"
    return (
        f'<section class="{kind}"><h2>{number}. <code>{question.function}</code></h2>\n'
        f'<p class="points">{_points(question.points)} of {_points(question.possible)} '
        f"{unit}, {question.state}</p>\n<p>{with_code(question.message)}</p>"
        f"{_graded(source)}</section>"
    )


def _graded(source: str) -> str:
    """The student's own cell, folded: of several that define a function, one counts."""
    if not source:
        return ""
    code = html.escape(source[:MOST_CODE])
    return f"<details><summary>The code that was graded</summary><pre>{code}</pre></details>"


def feedback_page(chapter: Chapter, grade: Grade, name: str = "") -> str:
    """Return a student's page: points and a reason for each question, no hidden input or answer."""
    lines = [f"<p>{html.escape(name or grade.student_id)}</p>"]
    total = f"{_points(grade.total)} of {_points(chapter.points)} points"
    if grade.late_days:
        total += f" ({_points(grade.points)} before the deduction, days late: {grade.late_days})"
    lines.append(f"<p><strong>{total}</strong></p>")
    lines += [
        _question(number, question, grade.sources.get(question.function, ""))
        for number, question in enumerate(grade.questions, 1)
    ]
    return page(f"Chapter {int(chapter.number)}: {chapter.title}", "\n".join(lines))


def summary_page(
    chapter: Chapter, grades: Sequence[Grade], limits: Mapping[str, bool], alike: int
) -> str:
    """Return the teacher's page: what to discuss next week, and how answers were limited."""
    handed_in = [grade for grade in grades if grade.sha256]
    totals = Counter(_points(grade.total) for grade in handed_in)
    rows = sorted(totals.items(), key=lambda item: -float(item[0]))
    body = [
        f"<p>{len(handed_in)} of {len(grades)} students handed in.</p>",
        "<h2>Totals</h2>",
        _table(["Points", "Students"], [[points, str(count)] for points, count in rows]),
        "<h2>Questions</h2>",
        _table(
            ["Question", "Right", "Blank", "Most frequent message"],
            [_row(exercise.function, handed_in) for exercise in chapter.exercises],
        ),
        f"<h2>Look at these</h2><p>{alike} pairs of answers look alike (similar.csv).</p>",
        _suspicious(handed_in),
        f"<h2>How answers were limited</h2><p>{_limits(limits)}</p>",
    ]
    return page(f"Chapter {int(chapter.number)}: summary for the teacher", "\n".join(body))


def _row(function: str, grades: Sequence[Grade]) -> list[str]:
    questions = [q for grade in grades for q in grade.questions if q.function == function]
    count = max(1, len(questions))
    right = sum(q.state == RIGHT for q in questions) / count
    blank = sum(q.state == BLANK for q in questions) / count
    messages = Counter(q.message for q in questions if q.state not in (RIGHT, BLANK))
    common = [f"{number} × {text}" for text, number in messages.most_common(1)]
    return [f"`{function}`", f"{right:.0%}", f"{blank:.0%}", *(common or ["none"])]


def _suspicious(grades: Sequence[Grade]) -> str:
    found = [
        f"{grade.student_id}, `{question.function}`"
        for grade in grades
        for question in grade.questions
        if question.suspicious
    ]
    if not found:
        return "<p>No answer mentions the package's own exercises.</p>"
    items = "".join(f"<li>{with_code(one)}</li>" for one in found)
    return f"<p>These answers mention the package's own exercises:</p><ul>{items}</ul>"


def _limits(limits: Mapping[str, bool]) -> str:
    if not limits:
        return "No answer ran: all grades were kept from an earlier run."
    said = {
        "files": ("no files but Python's and an empty folder", "files were NOT limited"),
        "network": ("no network", "the network was NOT cut off"),
        "user": ("as the user nobody", "as your own user"),
    }
    return "; ".join(said[name][0 if limits.get(name) else 1] for name in said) + "."


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    lines = [
        f'<tr><th scope="row">{with_code(row[0]).replace("_", "_<wbr>")}</th>'
        + "".join(f"<td>{with_code(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def write_moodle_feedback(path: Path, pages: Mapping[str, str], folders: Mapping[str, str]) -> None:
    """Write the archive that Moodle takes back: feedback in the folders of the submissions.

    Args:
        path: the archive.
        pages: student -> page.
        folders: student -> name of the folder in Moodle's own archive.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for student, folder in sorted(folders.items()):
            if folder and student in pages:
                entry = zipfile.ZipInfo(f"{folder}/feedback.html")  # a fixed date: equal archives
                archive.writestr(entry, pages[student])
