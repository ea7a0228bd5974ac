"""Every page for readers who cannot see well, use no mouse, or read on a phone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.book.conftest import PAGES

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

# axe-core 4.14.1, unchanged from its npm package.
AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text("utf-8")
# Targets of at least 24 x 24 pixels (WCAG 2.2) are a rule that axe leaves off unless asked.
RUN_AXE = (
    "axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})"
)
SERIOUS = {"serious", "critical"}
SLIDER = ".widget-slider .noUi-handle"


def violations(page: Any) -> list[str]:
    """What axe calls serious or critical on a page, with the HTML that it means."""
    page.evaluate(AXE)
    found = page.evaluate(RUN_AXE)["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['html'][:150]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(visit, name: str, width: int, scheme: str) -> None:
    page = visit(name, width=width, color_scheme=scheme).page
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


def test_axe_would_find_what_is_wrong(visit) -> None:
    page = visit("notation").page
    page.evaluate(
        "document.querySelector('article').insertAdjacentHTML('beforeend', '<img src=\"x.png\">"
        '<p style="color: #bbb; background: #fff">hard to read</p>\')'
    )
    rules = {line.split()[0] for line in violations(page)}
    assert {"image-alt", "color-contrast"} <= rules


@pytest.mark.parametrize(("name", "value"), [("06_soft_moe", "0"), ("01_the_problem", "100%")])
def test_sliders_have_a_name_and_a_value_in_words(visit, name: str, value: str) -> None:
    handle = visit(name).page.locator(SLIDER)
    sync_api.expect(handle).to_have_attribute("aria-label", re.compile("slot|strength"))
    sync_api.expect(handle).to_have_attribute("aria-valuetext", value)
    handle.press("ArrowRight")
    sync_api.expect(handle).not_to_have_attribute("aria-valuetext", value)
    readout = handle.page.locator(".widget-slider .widget-readout").inner_text()
    sync_api.expect(handle).to_have_attribute("aria-valuetext", readout)


def test_the_focus_is_visible_at_every_stop_of_the_tab_key(visit) -> None:
    page = visit("07_linear_attention").page
    page.wait_for_load_state("networkidle")
    stops = []
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            "() => {const e = document.activeElement, s = getComputedStyle(e);"
            "return [e.outerHTML.slice(0, 300), s.outlineStyle, parseFloat(s.outlineWidth)]}"
        )
        stops.append(stop)
    seen = {html for html, _, _ in stops}
    assert any("Download this page" in html for html in seen)
    assert not any("mjx" in html for html in seen), "a formula is no stop"
    hidden = [html for html, style, width in stops if style == "none" or width < 2]
    assert hidden == []


@pytest.mark.parametrize("name", PAGES)
def test_header_cells_say_what_they_head(site: Path, name: str) -> None:
    tables = re.findall(r"<table\b.*?</table>", (site / f"{name}.html").read_text(), re.DOTALL)
    for cell in re.findall(r"<th\b[^>]*>", "".join(tables)):
        assert "scope=" in cell
    for table in tables:
        assert "<th" in table, table[:200]


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_code_and_equations_whole(visit, name: str) -> None:
    """Code wraps; what is still too wide scrolls inside itself, and the keyboard can reach it."""
    page = visit(name, width=390).page
    page.wait_for_load_state("networkidle")
    cut = page.evaluate(
        """() => [...document.querySelectorAll(
            'article pre, article table, mjx-container[display]')]
        .filter(box => box.checkVisibility() && box.getBoundingClientRect().width > 0)
        .filter(box => {
            for (let e = box; e.tagName !== 'ARTICLE'; e = e.parentElement) {
                const wide = e.scrollWidth > e.clientWidth + 1;
                if (wide && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX))
                    return e.tagName === 'PRE' || e.tabIndex !== 0;
            }
            return box.getBoundingClientRect().right > innerWidth + 1;
        }).map(box => box.outerHTML.slice(0, 120))"""
    )
    assert cut == []
