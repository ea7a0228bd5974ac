"""Markdown of the book as any notebook program shows it: no MyST directives and roles."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from pybtex.database import Person, parse_file

from tools.notebooks import BOOK, notebook_path, read, source

FENCE = re.compile(
    r"^(?P<mark>`{3,}|:{3,})\{(?P<kind>[\w-]+)\} ?(?P<title>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=mark) *$",
    re.DOTALL | re.MULTILINE,
)
OPTION = re.compile(r"^:[\w-]+:.*\n", re.MULTILINE)
ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<text>[^`]+)`")
EQUATION_LABEL = re.compile(r"^\$\$ *\([\w-]+\) *$", re.MULTILINE)
TARGET = re.compile(r"^\([\w-]+\)=\n", re.MULTILINE)
TITLED = re.compile(r"^(?P<title>.+?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)


def plain(text: str) -> str:
    """Return the text with boxes as quotes and roles as words."""
    text = FENCE.sub(_box, text)
    text = EQUATION_LABEL.sub("$$", TARGET.sub("", text))
    return ROLE.sub(_role, text)


def _box(match: re.Match[str]) -> str:
    kind, title = match["kind"], match["title"].strip()
    body = plain(OPTION.sub("", match["body"])).strip("\n")
    if kind in ("figure", "image"):
        return f"![{body.splitlines()[0] if body else ''}]({title})"
    if kind in ("math",):
        return f"$$\n{body}\n$$"
    if kind in ("bibliography", "tableofcontents", "toctree"):
        return ""
    title = title if kind == "admonition" else (title or kind.capitalize())
    return "\n".join(
        [f"> **{plain(title)}**", ">", *(f"> {line}".rstrip() for line in body.split("\n"))]
    )


def _role(match: re.Match[str]) -> str:
    role, text = match["role"], match["text"]
    titled = TITLED.match(text)
    if titled and role in ("doc", "ref", "term", "numref"):
        return " ".join(titled["title"].split())
    return ROLES.get(role, _as_it_is)(text)


def _as_it_is(text: str) -> str:
    return text


def _chapter(target: str) -> str:
    name = target.rsplit("/", 1)[-1]
    number = name[:2]
    if not number.isdigit():
        return f"*{name.replace('_', ' ')}*"
    return f"chapter {int(number)}, *{_title(number)}*"


@cache
def _title(number: str) -> str:
    first = source(read(notebook_path(number))["cells"][0])
    return first.splitlines()[0].removeprefix("# ").strip()


@cache
def _references() -> dict[str, tuple[str, str]]:
    """Key -> names and year."""
    entries = parse_file(str(BOOK / "references.bib")).entries
    return {
        key: (_names(entry.persons.get("author", [])), entry.fields.get("year", "no year"))
        for key, entry in entries.items()
    }


def _names(authors: list[Person]) -> str:
    last = [" ".join(author.last_names).strip("{}") for author in authors]
    if len(last) > 2:
        return f"{last[0]} et al."
    return " and ".join(last) or "anonymous"


def _cited(form: Callable[[str, str], str], between: str) -> Callable[[str], str]:
    def cite(text: str) -> str:
        known = _references()
        keys = [key.strip() for key in text.split(",")]
        return between.join(form(*known[key]) if key in known else key for key in keys)

    return cite


ROLES: dict[str, Callable[[str], str]] = {
    "doc": _chapter,
    "eq": lambda label: "the equation above",
    "cite:t": _cited(lambda names, year: f"{names} ({year})", ", "),
    "cite:p": lambda text: f"({_cited(lambda names, year: f'{names} {year}', '; ')(text)})",
    "cite": lambda text: f"({_cited(lambda names, year: f'{names} {year}', '; ')(text)})",
}
