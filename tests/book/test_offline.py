"""Cheap guards on the built pages: nothing is loaded from outside, every picture is described."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from tests.book.conftest import PAGES

LOADING_TAG = re.compile(r"<(?:script|img|iframe|source|link|video|audio|object|embed)\b[^>]*>")
OUTSIDE = re.compile(r"\b(?:src|href|data|srcset)\s*=\s*[\"']?(?:https?:)?//", re.IGNORECASE)
STYLE_IMPORT = re.compile(r"(?:@import|url\()\s*[\"']?(?:https?:)?//")


def outside_loads(text: str) -> list[str]:
    """Tags that make a browser fetch something from another host."""
    tags = [tag for tag in LOADING_TAG.findall(text) if OUTSIDE.search(tag)]
    return [tag for tag in tags if 'rel="canonical"' not in tag] + STYLE_IMPORT.findall(text)


def pictures(text: str) -> list[str]:
    """The <img> tags of the article, without the logo and icons around it."""
    article = re.search(r"<article\b.*?</article>", text, re.DOTALL)
    return re.findall(r"<img\b[^>]*>", article[0] if article else "")


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://host/x.js"></script>',
        '<link rel="stylesheet" href="//host/x.css">',
        "<img alt='a' src='http://host/x.png'/>",
        "<style>@import url(https://host/font.css)</style>",
    ],
)
def test_the_guard_sees_what_loads_from_outside(tag: str) -> None:
    assert outside_loads(f"<p>{tag}</p>")


def test_the_guard_lets_links_to_click_on_pass() -> None:
    assert not outside_loads('<a href="https://host/paper">paper</a><img src="_images/a.png">')


@pytest.mark.parametrize("page", PAGES)
def test_pages_load_nothing_from_outside(site: Path, page: str) -> None:
    assert outside_loads((site / f"{page}.html").read_text()) == []


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_alt_text(site: Path, page: str) -> None:
    for tag in pictures((site / f"{page}.html").read_text()):
        alt = html.unescape("".join(re.findall(r'\balt="([^"]*)"', tag)))
        is_file_name = alt.endswith((".png", ".svg", ".jpg"))
        assert len(alt) > 20 and not is_file_name, f"no alt text on {tag[:200]}"
