"""The role ``value``: a number that a page names and the build looks up (see ``tools.values``)."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner

from tools.values import UnknownValue, text_of


def value_role(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Inliner,
    options: dict[str, Any] | None = None,
    content: list[str] | None = None,
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Return the number's text; a name that leads nowhere is an error of the build."""
    try:
        found = text_of(text)
        # In a command, two hyphens are two hyphens.
        return [nodes.literal("", found) if text.startswith("command ") else nodes.Text(found)], []
    except UnknownValue as error:
        message = inliner.reporter.error(f"value: {error}", line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
