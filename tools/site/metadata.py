"""What search engines and link previews read: description, title, image, and address of a page."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx

LONGEST_DESCRIPTION = 160  # characters; search engines show no more
SHORTEST_PARAGRAPH = 60  # characters; anything shorter is a label, such as "Reading time: 10 min"
SENTENCE_END = re.compile(r"\w{3,}[.?!][\"”)]?(?= )")  # not the period of "Eq. 1"
PREVIEW = "_static/preview.png"


def description(document: nodes.document) -> str:
    """Return the first paragraph of a page, cut at a word; empty if there is none.

    A chapter's first paragraph is the question it answers.
    """
    for paragraph in document.findall(nodes.paragraph):
        text = re.sub(r"\s+", " ", paragraph.astext()).strip()
        if len(text) >= SHORTEST_PARAGRAPH:
            return shorten(text)
    return ""


def shorten(text: str) -> str:
    """Cut ``text`` after its last whole sentence that fits, or else after its last whole word."""
    if len(text) <= LONGEST_DESCRIPTION:
        return text
    head = text[: LONGEST_DESCRIPTION - 1]
    ends = [end.end() for end in SENTENCE_END.finditer(head) if end.end() > SHORTEST_PARAGRAPH]
    return head[: ends[-1]] if ends else head[: head.rindex(" ")] + "…"


def tags(app: Sphinx, page: str, title: str, document: nodes.document) -> str:
    """Return the meta tags of ``page``; those that hold an address only if the site has one."""
    base, told = app.config.html_baseurl, description(document)
    title = re.sub(r"<[^>]*>", "", title)
    found = [("name", "description", told), ("property", "og:description", told)]
    found += [("property", "og:title", title), ("property", "og:site_name", app.config.html_title)]
    found += [("property", "og:type", "article")]
    if base:
        found += [("property", "og:url", urljoin(base, app.builder.get_target_uri(page)))]
        found += [("property", "og:image", urljoin(base, PREVIEW))]
        found += [("name", "twitter:card", "summary_large_image")]
    return "\n".join(
        f'<meta {kind}="{name}" content="{escape(value)}"/>' for kind, name, value in found if value
    )
