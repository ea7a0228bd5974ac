"""Links and tags that need an address are there with it and absent without."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from docutils import nodes

from tools.site import addresses, metadata

BASE = "https://books.example/softmoe/"


def config(repository: str = "", base: str = "") -> Any:
    options = {"repository_url": repository}
    return SimpleNamespace(
        html_baseurl=base, html_theme_options=options, html_title="Book", notfound_urls_prefix=None
    )


def app(folder: Path, base: str) -> Any:
    return SimpleNamespace(
        config=config(base=base),
        outdir=folder,
        builder=SimpleNamespace(name="html", get_target_uri=lambda page: f"{page}.html"),
        env=SimpleNamespace(found_docs={"index", "a&b"}),
    )


def page(*paragraphs: str) -> nodes.document:
    document = nodes.document(None, None)
    document += [nodes.paragraph("", text) for text in paragraphs]
    return document


def test_without_a_repository_no_button_is_switched_on() -> None:
    settings = config()
    addresses.configure(settings)
    assert settings.html_theme_options == {}
    assert settings.notfound_urls_prefix == "/"


@pytest.mark.parametrize(
    ("host", "services"),
    [
        ("github.com", {"binderhub_url", "colab_url"}),
        ("gitlab.com", {"binderhub_url"}),
        ("git.example", set()),
    ],
)
def test_a_repository_switches_on_what_its_host_allows(host: str, services: set[str]) -> None:
    settings = config(f"https://{host}/owner/book/", BASE)
    addresses.configure(settings)
    options = settings.html_theme_options
    assert (
        options["repository_url"] == f"https://{host}/owner/book"
        and options["use_repository_button"]
    )
    launched = {name for name in options.get("launch_buttons", {}) if name.endswith("_url")}
    assert launched == services
    assert settings.notfound_urls_prefix == "/softmoe/"


def test_the_sitemap_lists_every_page_at_its_full_address(tmp_path: Path) -> None:
    addresses.write_sitemap(app(tmp_path, BASE), None)
    found = [
        place.text for place in ElementTree.parse(tmp_path / "sitemap.xml").iter() if place.text
    ]
    assert f"{BASE}index.html" in found and f"{BASE}a&b.html" in found
    assert f"{BASE}sitemap.xml" in (tmp_path / "robots.txt").read_text()


@pytest.mark.parametrize(("base", "error"), [("", None), (BASE, ValueError())])
def test_no_sitemap_without_an_address_or_after_a_failure(
    tmp_path: Path, base: str, error: Any
) -> None:
    addresses.write_sitemap(app(tmp_path, base), error)
    assert not list(tmp_path.iterdir())


def test_tags_with_addresses_are_absent_without_one(tmp_path: Path) -> None:
    document = page(
        "Too short.", "One network that has to know <all> traces must compromise somewhere."
    )
    without = metadata.tags(app(tmp_path, ""), "ch", '<span class="n">6. </span>Soft MoE', document)
    assert 'property="og:title" content="6. Soft MoE"' in without
    assert 'name="description" content="One network that has to know &lt;all&gt;' in without
    assert "og:url" not in without and "og:image" not in without
    with_base = metadata.tags(app(tmp_path, BASE), "ch", "Soft MoE", document)
    assert (
        f'content="{BASE}ch.html"' in with_base
        and f'content="{BASE}_static/preview.png"' in with_base
    )


def test_a_long_paragraph_is_cut_after_a_sentence_or_a_word() -> None:
    sentence = "In a batch of 32 images, Eq. 1 insists that each belongs to its own caption."
    assert metadata.description(page(f"{sentence} {'word ' * 40}")) == sentence
    cut = metadata.description(page("word " * 60))
    assert len(cut) <= metadata.LONGEST_DESCRIPTION and cut.endswith("word…")
    assert metadata.description(page("Short.")) == ""
