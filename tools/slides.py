"""Slides for each chapter, made from its notebook: ``python -m tools.slides`` (after make book).

A deck opens with the chapter's question, shows each section's first sentences and formula, its
figures, and what the paper says, asks questions of the quiz bank, and ends in the summary and the
exercises. It is one HTML file without scripts from other hosts. Space, Page Down, and the arrow
keys turn slides, and printing gives one slide per sheet.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import takewhile
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools import notebooks, quiz
from tools.notebooks import Cell, Notebook
from tools.plain_markdown import FENCE, plain

SITE = notebooks.ROOT / "_build" / "html"
EXECUTED = notebooks.ROOT / "_build" / "executed" / "laptop"
MATHJAX = "../_static/vendor/mathjax/tex-mml-chtml.js"
SUMMARY, LAST = "Summary", "Exercises"
SENTENCES = 3  # of a section's beginning that stand on a slide
FORMULA = re.compile(r"^\$\$.*?^\$\$$|^\$\$.*?\$\$$", re.DOTALL | re.MULTILINE)
SHORT = 4  # words; a shorter sentence ("Count.") says nothing by itself
ROWS = 13  # lines of a table that fit on a slide
LIST = re.compile(r"\s*(?:- |1\. )")
TABLE = re.compile(r"^(?:\|.*\n?){3,}", re.MULTILINE)
SENTENCE = re.compile(r"(?<=[.?!:])\s+(?=[A-Z*`$\"(])")
STYLE = (Path(__file__).parent / "slides.css").read_text(encoding="utf-8")
TURN = (Path(__file__).parent / "slides.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Slide:
    """One slide: its title as text, and HTML below it."""

    title: str
    body: str
    kind: str = "text"


@dataclass(frozen=True)
class Section:
    """A section of a notebook: its heading, its words, and its cells of code."""

    title: str
    words: str
    code: tuple[Cell, ...]


def as_html(text: str) -> str:
    """Return Markdown of the book as HTML, with formulas as MathJax reads them."""
    return _renderer().render(plain(text))


def line_html(text: str) -> str:
    """Return one line of Markdown as HTML without a paragraph around it."""
    return _renderer().renderInline(plain(text))


@cache
def _renderer() -> MarkdownIt:
    renderer = MarkdownIt("commonmark", {"html": True}).enable("table")
    dollarmath_plugin(renderer, renderer=_formula)
    return renderer


def _formula(text: str, options: dict[str, bool]) -> str:
    start, end = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f"{start}{escape(text)}{end}"


def sections(notebook: Notebook) -> list[Section]:
    """Return the sections of a notebook, the opening left out."""
    found: list[tuple[str, list[str], list[Cell]]] = []
    for cell in notebook["cells"]:
        text = notebooks.source(cell)
        if cell["cell_type"] == "code":
            if found:
                found[-1][2].append(cell)
            continue
        pieces = re.split(r"^###? (.+)$", text, flags=re.MULTILINE)
        if found:
            found[-1][1].append(pieces[0])
        for title, words in zip(pieces[1::2], pieces[2::2], strict=True):
            found.append((title.strip(), [words], []))
    return [Section(title, "\n\n".join(words), tuple(code)) for title, words, code in found]


def opening(notebook: Notebook) -> tuple[str, str, list[str]]:
    """Return title, question, and objectives of a chapter."""
    text = notebooks.source(notebook["cells"][0])
    box = FENCE.search(text)
    body = box["body"] if box else ""
    question, _, rest = body.partition("**Afterwards you can**")
    objectives = " ".join(rest.partition("\n\n")[0].split()).rstrip(".")
    title = text.splitlines()[0].removeprefix("# ")
    return title, question.strip(), [one for one in re.split(r";\s*(?:and )?", objectives) if one]


def beginning(words: str) -> str:
    """Return the first sentences of a section as a list, its first list, and its first formula."""
    without_boxes = FENCE.sub("", words)
    formula = FORMULA.search(without_boxes)
    parts = [part for part in FORMULA.sub("", without_boxes).split("\n\n") if part.strip()]
    lists = [place for place, part in enumerate(parts) if LIST.match(part)]
    texts = [part for part in parts if not part.lstrip().startswith(("#", "|", "-", "1.", "<"))]
    sentences = [one for one in SENTENCE.split(" ".join(" ".join(texts[:1]).split())) if one]
    told = [one for one in sentences if len(one.split()) >= SHORT] or sentences
    # A list that the first paragraph introduces says more than the sentences before it.
    follows = lists and lists[0] == 1
    items = parts[1] if follows else "\n".join(f"- {one}" for one in told[:SENTENCES])
    above = told[-1] if follows and told else ""
    return "\n\n".join([above, items, formula[0] if formula else ""])


def tables(words: str) -> Iterator[str]:
    """Give the tables of a section that fit on a slide."""
    for table in TABLE.findall(FENCE.sub("", words)):
        if table.count("\n") <= ROWS:
            yield table


def quotes(words: str) -> Iterator[str]:
    """Give the texts of the boxes that quote the paper."""
    for box in FENCE.finditer(words):
        if box["title"].strip() == "From the paper":
            yield re.sub(r"^:class:.*\n", "", box["body"])


def figures(section: Section) -> Iterator[tuple[str, str]]:
    """Give address and description of each figure that a section draws."""
    for cell in section.code:
        described = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt")
        for output in cell.get("outputs", []):
            data = output.get("data", {}).get("image/png")
            if data and described:
                yield f"data:image/png;base64,{''.join(data).strip()}", described


def question_slides(question: quiz.Question) -> list[Slide]:
    """Return a question, then the same with its answer."""
    items = "".join(f"<li>{escape(one.text)}</li>" for one in question.answers)
    right = next(one for one in question.answers if one.right)
    letter = "ABCDEFGH"[question.answers.index(right)]
    asked = f'<p>{escape(question.text)}</p><ol class="choices">{items}</ol>'
    told = (
        f"<p>{escape(question.text)}</p><p><strong>{letter}. {escape(right.text)}</strong></p>"
        f"<p>{escape(right.reason)}</p>"
    )
    return [Slide("What do you think?", asked, "quiz"), Slide("Why", told, "quiz")]


def section_slides(section: Section) -> Iterator[Slide]:
    """Give the slides of one section."""
    drawn = list(figures(section))
    guess = "<p class='guess'>What do you expect the figure to show?</p>" if drawn else ""
    yield Slide(section.title, as_html(beginning(section.words)) + guess)
    for table in tables(section.words):
        yield Slide(section.title, as_html(table), "table")
    for quote in quotes(section.words):
        yield Slide("From the paper", as_html(quote), "quote")
    for address, described in drawn:
        body = f'<img src="{address}" alt="{escape(described, quote=True)}">'
        yield Slide(section.title, body, "figure")


def slides(notebook: Notebook, number: str) -> list[Slide]:
    """Return the slides of a chapter.

    Args:
        notebook: with its outputs.
        number: two digits.
    """
    title, question, objectives = opening(notebook)
    questions = quiz.chapter_questions(number)
    asked = questions[0], questions[4], questions[-1]  # one after each third of the sections
    items = "".join(f"<li>{line_html(one)}</li>" for one in objectives)
    made = [Slide(f"{int(number)}. {title}", as_html(question), "title")]
    made += [Slide("Afterwards you can", f"<ul>{items}</ul>")]
    found = list(takewhile(lambda one: one.title != LAST, sections(notebook)))
    taught = [one for one in found if one.title != SUMMARY]
    ends = [-(-third * len(taught) // 3) for third in (1, 2, 3)]
    for place, section in enumerate(taught, 1):
        made += section_slides(section)
        for end, question in zip(ends, asked, strict=True):
            if place == end:
                made += question_slides(question)
    made += [Slide(SUMMARY, as_html(_list(one.words))) for one in found if one.title == SUMMARY]
    return [*made, Slide(LAST, _exercises(number))]


def _list(words: str) -> str:
    """The list at the beginning of a summary, without what follows it."""
    match = re.search(r"^- .*?(?=\n\n(?!- )|\Z)", words.strip(), re.DOTALL | re.MULTILINE)
    return match[0] if match else words


def _exercises(number: str) -> str:
    rows = "".join(
        f"<li><code>{one.function}</code> {'★' * one.difficulty} "
        f"({notebooks.points(one.points)})</li>"
        for one in notebooks.chapter(number).exercises
    )
    page = f"../{notebooks.notebook_path(number).stem}.html"
    return f'<ol>{rows}</ol><p><a href="{page}">The chapter, with figures that move</a></p>'


def deck(notebook: Notebook, number: str) -> str:
    """Return the whole page of a chapter's slides."""
    made = slides(notebook, number)
    body = "\n".join(
        f'<section class="slide {one.kind}" tabindex="-1" aria-label="Slide {place}">'
        f"<h{1 if place == 1 else 2}>{line_html(one.title)}</h{1 if place == 1 else 2}>\n"
        f"{one.body}<footer>{place} / {len(made)}</footer></section>"
        for place, one in enumerate(made, 1)
    )
    math = f'<script defer src="{MATHJAX}"></script>\n' if r"\(" in body or r"\[" in body else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Slides: {escape(made[0].title)}</title>\n<style>\n{STYLE}</style>\n{math}"
        f"</head>\n<body>\n<main>\n{body}\n</main>\n<script>\n{TURN}</script>\n</body>\n</html>\n"
    )


def write_all(chapters: Sequence[Path], executed: Path, out: Path) -> list[Path]:
    """Write a deck for every chapter that has exercises, and return their paths.

    Args:
        chapters: notebooks of the book.
        executed: folder of the same notebooks with outputs.
        out: folder of the decks.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name in sorted(path.stem for path in chapters):
        if name[:2] in notebooks.chapter_numbers():
            page = deck(notebooks.read(executed / f"{name}.ipynb"), name[:2])
            written.append(out / f"{name}.html")
            written[-1].write_text(page, encoding="utf-8")
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and write all decks."""
    parser = argparse.ArgumentParser(
        description="Write slides for each chapter, from the notebooks that make book ran.",
        epilog="example: python -m tools.slides --out _build/html/slides",
        allow_abbrev=False,
    )
    parser.add_argument("--executed", type=Path, default=EXECUTED, help="notebooks with outputs")
    parser.add_argument("--out", type=Path, default=SITE / "slides", help="default: in the site")
    given = parser.parse_args(arguments)
    if not given.executed.is_dir():
        raise SystemExit(f"{given.executed} does not exist: run make book first")
    chapters = [notebooks.notebook_path(number) for number in notebooks.chapter_numbers()]
    for path in write_all(chapters, given.executed, given.out):
        print(path)


if __name__ == "__main__":
    main()
