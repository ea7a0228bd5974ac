"""The version and commit from which the pages were built, in the footer of each."""

from __future__ import annotations

from html import escape

from sphinx.config import Config

import lasoftmoe
from data_prep.provenance import commit


def configure(config: Config) -> None:
    """Append version and commit to the footer; the commit only in a checkout."""
    known, repository = commit(), config.html_theme_options.get("repository_url")
    words = f"Version {escape(lasoftmoe.__version__)}"
    if known:
        short = f"<code>{escape(known[:10])}</code>"
        link = f'<a href="{escape(repository)}/tree/{known}">{short}</a>' if repository else short
        words += f", commit {link}"
    footer = config.html_theme_options.get("extra_footer", "")
    config.html_theme_options["extra_footer"] = f"{footer}\n<p>{words}.</p>"
