"""The built site in Debian's Chromium, opened from the file system as a reader would."""

from __future__ import annotations

import re

import pytest

from tests.book.conftest import CHAPTERS, PAGES

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", PAGES)
def test_page_loads_from_file_without_failed_or_outside_requests(visit, name: str) -> None:
    opened = visit(name)
    opened.page.wait_for_load_state("networkidle")
    assert opened.problems() == {}
    assert opened.page.locator("article h1").count() == 1
    assert opened.page.get_attribute("html", "lang") == "en"


@pytest.mark.parametrize("name", CHAPTERS)
def test_equations_of_chapters_are_typeset(visit, name: str) -> None:
    page = visit(name).page
    page.wait_for_selector("article mjx-container")
    assert page.locator("article mjx-container").count() > 0
    assert page.locator("mjx-merror").count() == 0


@pytest.mark.parametrize("name", CHAPTERS)
def test_figures_of_chapters_are_drawn_and_described(visit, name: str) -> None:
    page = visit(name).page
    page.wait_for_load_state("networkidle")
    pictures = page.locator("article img").evaluate_all(
        "images => images.map(i => ({width: i.naturalWidth, alt: i.alt, from: i.src}))"
    )
    assert pictures, "a chapter without a figure"
    for picture in pictures:
        assert picture["width"] > 0, picture
        assert picture["alt"].strip(), picture


def test_the_slider_over_slots_works_without_python(visit) -> None:
    page = visit("06_soft_moe").page
    page.wait_for_selector(".widget-slider .noUi-handle")
    before = page.locator(".widget-vbox img:visible").get_attribute("alt")
    page.locator(".widget-slider .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "old => [...document.querySelectorAll('.widget-vbox img')].some("
        "i => i.checkVisibility() && i.alt !== old)",
        arg=before,
    )


def test_the_attack_browser_works_without_python(visit) -> None:
    page = visit("01_the_problem").page
    page.wait_for_selector(".widget-slider .noUi-handle")
    shown = page.locator(".widget-vbox img:visible")
    assert shown.get_attribute("alt").startswith("print at 100%")
    page.select_option(".widget-dropdown select", label="pgd")
    page.locator(".widget-slider .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    sync_api.expect(shown).to_have_attribute("alt", re.compile(r"^pgd at 150%"))


def test_next_and_previous_walk_through_the_book(visit) -> None:
    page = visit(PAGES[0]).page
    for name in PAGES[1:]:
        page.click("a.right-next")
        page.wait_for_url(f"**/{name}.html")
    for name in reversed(PAGES[:-1]):
        page.click("a.left-prev")
        page.wait_for_url(f"**/{name}.html")


def test_search_finds_dispatch(visit) -> None:
    page = visit("search").page
    page.goto(page.url + "?q=dispatch")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)")
    assert any("06_soft_moe" in address for address in found), found


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_does_not_scroll_sideways(visit, name: str) -> None:
    page = visit(name, width=390).page
    page.wait_for_load_state("networkidle")
    wide = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
    assert max(wide) <= 390, f"{wide} pixels wide on a screen of 390"


def test_dark_mode_follows_the_reader(visit) -> None:
    opened = visit(PAGES[0], color_scheme="dark")
    assert opened.page.get_attribute("html", "data-theme") == "dark"
    assert opened.problems() == {}
