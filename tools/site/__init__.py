"""Sphinx extension of the built book: its links, its metadata, and repairs of its pages.

Jupyter Book loads it by its name in ``_config.yml``. Each of the other modules here does one thing;
this one connects them to Sphinx's events.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from tools.site import (
    addresses,
    downloads,
    last_run,
    ledger,
    markup,
    metadata,
    origin,
    quiz,
    solutions,
    values,
)

AFTER_OTHER_EXTENSIONS = 900


def configure(app: Sphinx, config: Config) -> None:
    """Complete the settings that follow from others."""
    addresses.configure(config)
    origin.configure(config)
    config.html_static_path.append(str(ledger.STATIC))


def finish_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    """Change what the templates are about to write on one page."""
    if document is not None:  # the search page and the index have no text
        context["metatags"] += metadata.tags(app, page, context["title"], document)
    ledger.add_script(app, page, context)
    last_run.add(page, context)
    if "body" in context:
        context["body"] = markup.repair(context["body"])
    if document is not None and solutions.chosen() != "none":
        downloads.add_solved_button(page, Path(app.env.doc2path(page)), context)
    if not markup.has_equation(app.env, page, context.get("body", "")):
        markup.drop_mathjax(context["script_files"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_role("value", values.value_role)
    app.add_directive("ledger", ledger.Ledger)
    app.add_directive("quiz", quiz.QuizDirective)
    app.add_directive("quiz-files", quiz.QuizFilesDirective)
    app.connect("config-inited", configure)
    app.connect("doctree-resolved", ledger.resolve)
    app.connect("doctree-resolved", solutions.apply)
    app.connect("html-page-context", finish_page, priority=AFTER_OTHER_EXTENSIONS)
    app.connect("build-finished", addresses.write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
