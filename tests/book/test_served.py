"""The site as `make serve` sends it: weights, metadata, and what is absent without an address."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.book.conftest import PAGES, SETTLED

HEAVIEST_PAGE = 3_000_000  # bytes as sent, with everything that it loads
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The address of a running server."""
    command = [sys.executable, "-m", "tools.site.serve", "--port", "0", "--folder", str(site)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().split()[0]
        server.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light_as_sent(chromium: Any, address: str, name: str) -> None:
    page = chromium.new_context().new_page()
    done: list[Any] = []
    page.on("requestfinished", lambda request: done.append(request))
    page.goto(f"{address}{name}.html", wait_until="networkidle")
    page.wait_for_function(SETTLED)
    sent = {request.url: request.sizes()["responseBodySize"] for request in done}
    page.context.close()
    heaviest = sorted(sent.items(), key=lambda item: -item[1])[:4]
    assert len(sent) > 5 and sum(sent.values()) <= HEAVIEST_PAGE, heaviest


@pytest.mark.slow
def test_an_unknown_address_leads_back_into_the_book(chromium: Any, address: str) -> None:
    page = chromium.new_page()
    answer = page.goto(f"{address}some/where/else.html", wait_until="networkidle")
    assert answer.status == 404 and page.locator("article h1").inner_text() == "Page not found"
    page.locator("nav.bd-links a").nth(1).click()
    page.wait_for_url(f"{address}{PAGES[1]}.html")
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_describes_itself(site: Path, name: str) -> None:
    text = (site / f"{name}.html").read_text()
    (told,) = re.findall(r'<meta name="description" content="([^"]*)"', text)
    assert 40 < len(told) <= 200
    assert 'property="og:title"' in text and 'name="docbuild:last-update"' in text
    assert re.search(r"<p>Version [\d.]+(, commit .*)?\.</p>", text)


@pytest.mark.parametrize("name", PAGES)
def test_without_addresses_nothing_points_to_none(site: Path, name: str) -> None:
    text = (site / f"{name}.html").read_text()
    if 'rel="canonical"' in text:
        pytest.skip("this copy was built with an address")
    for absent in ("og:url", "og:image", "mybinder", "colab.research", "source-repository-button"):
        assert absent not in text


def test_pages_without_formulas_load_no_mathjax(site: Path) -> None:
    loading = {name for name in PAGES if "mathjax/tex" in (site / f"{name}.html").read_text()}
    assert not loading & {"index", "how_to_use", "status", "bibliography"}
    assert {"notation", "06_soft_moe"} <= loading


def test_chapters_are_numbered(site: Path) -> None:
    assert "<title>6. Soft MoE" in (site / "06_soft_moe.html").read_text()
