"""Slides: what they take from a notebook, and what they leave."""

from __future__ import annotations

import re

from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from tools import notebooks, slides

OPENING = """# A chapter

```{admonition} The question
Something is odd. **What is it?**

**Afterwards you can** do *this*; say why; and do that.

**Time and hardware:** none.
```"""
WORDS = """## First idea

Short. One sentence with $x < y$. A second one cites {cite:p}`zou2024lasoftmoe`.
A third one is here. A fourth one is not.

$$
a = b
$$

```{admonition} From the paper
:class: from-the-paper
“It proves that.”
```"""
ENDING = """## Summary

- One
- Two

And a bridge.

## Exercises

### A riddle

Solve."""
PIXEL = "iVBORw0KGgo="


def chapter() -> notebooks.Notebook:
    drawn = new_output("display_data", {"image/png": PIXEL})
    alt = {"mystnb": {"image": {"alt": 'A line that "rises".'}}}
    cells = [
        new_markdown_cell(OPENING),
        new_code_cell("import torch"),
        new_markdown_cell(WORDS),
        new_code_cell("plot()", metadata=alt, outputs=[drawn]),
        new_markdown_cell(f"More words.\n\n{ENDING}"),
    ]
    return {"cells": cells}


def by_title(title: str) -> list[slides.Slide]:
    return [one for one in slides.slides(chapter(), "06") if one.title == title]


def test_a_deck_opens_with_the_question_and_ends_with_the_exercises() -> None:
    made = slides.slides(chapter(), "06")
    assert made[0].title == "6. A chapter" and "<strong>What is it?</strong>" in made[0].body
    assert made[1].body == "<ul><li>do <em>this</em></li><li>say why</li><li>do that</li></ul>"
    assert made[-1].title == "Exercises" and "dispatch_weights" in made[-1].body
    assert "(1 point)" in made[-1].body and "(1 points)" not in made[-1].body
    assert "A riddle" not in [one.title for one in made]
    assert "Time and hardware" not in "".join(one.body for one in made)


def test_a_section_gives_its_beginning_its_formula_its_quotation_and_its_figure() -> None:
    words, figure = by_title("First idea")
    assert (
        words.body.count("<li>") == 3 and "A fourth" not in words.body and "Short" not in words.body
    )
    assert r"\(x &lt; y\)" in words.body and r"\[" in words.body and "Zou et al. 2024" in words.body
    assert "What do you expect" in words.body
    assert f"base64,{PIXEL}" in figure.body and "A line that &quot;rises&quot;." in figure.body
    (quote,) = by_title("From the paper")
    assert "It proves that" in quote.body and ":class:" not in quote.body


def test_the_summary_is_its_list() -> None:
    (summary,) = by_title("Summary")
    assert summary.body.count("<li>") == 2 and "bridge" not in summary.body


def test_a_question_comes_before_its_answer() -> None:
    asked, told = by_title("What do you think?"), by_title("Why")
    assert len(asked) == len(told) == 3
    assert all("<strong>" not in one.body for one in asked)
    assert all("<strong>" in one.body for one in told)


def test_questions_come_after_the_sections_that_they_ask_about() -> None:
    words = "".join(f"## Section {number}\n\nSome words here.\n\n" for number in range(1, 5))
    cells = [new_markdown_cell(OPENING), new_markdown_cell(words + ENDING)]
    titles = [one.title for one in slides.slides({"cells": cells}, "06")]
    asked = ["What do you think?", "Why"]
    assert titles[2:-2] == [
        *["Section 1", "Section 2", *asked, "Section 3", *asked],
        *["Section 4", *asked],
    ]


def test_a_deck_loads_nothing_from_other_hosts() -> None:
    page = slides.deck(chapter(), "06")
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert page.count(slides.MATHJAX) == 1 and page.count("<h1>") == 1


def test_a_list_that_the_first_paragraph_introduces_is_shown() -> None:
    words = "There are many kinds of attack. Attacks come in two families:\n\n- one\n- two\n\nMore."
    assert slides.beginning(words).split("\n\n")[:2] == [
        "Attacks come in two families:",
        "- one\n- two",
    ]


def test_a_table_gets_a_slide_if_it_fits() -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert list(slides.tables(f"Words.\n\n{table}\nMore.")) == [table]
    assert not list(slides.tables(table + "| 1 | 2 |\n" * slides.ROWS))
