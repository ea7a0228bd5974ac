"""The page of the ledger in Chromium: filtered with the keyboard, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.claims.ledger import VERDICTS, read_ledger

pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

STATUS = ".ledger-filter [role=status]"
SHOWN = "ul.ledger > li:visible"


@pytest.mark.parametrize("width", [1280, 390])
def test_the_keyboard_filters_by_verdict_and_kind(visit, width: int) -> None:
    page, claims = visit("claims", width=width).page, read_ledger()
    assert page.locator(SHOWN).count() == len(claims)
    page.locator(".ledger-filter select").first.focus()
    page.keyboard.type("contra")
    mine = [claim for claim in claims if claim.verdict == "contradicted"]
    assert page.locator(STATUS).inner_text() == f"{len(mine)} of {len(claims)} claims"
    page.keyboard.press("Tab")
    page.keyboard.type("mech")
    mine = [claim for claim in mine if claim.kind == "mechanism"]
    assert page.locator(SHOWN).count() == len(mine) > 0
    page.get_by_role("button", name="Show all").press("Enter")
    page.wait_for_function(f"document.querySelector('{STATUS}').innerText.startsWith('1')")
    assert page.locator(SHOWN).count() == len(claims)


def test_words_filter_too_and_a_link_shows_its_claim(visit) -> None:
    page = visit("claims").page
    page.get_by_role("searchbox", name="Words").fill("Instance Norm")
    assert 0 < page.locator(SHOWN).count() < 20
    page.evaluate("location.hash = '#claim-f2'")
    page.wait_for_selector("#claim-f2", state="visible")


def test_controls_have_names_and_the_result_is_told(visit) -> None:
    page = visit("claims").page
    for role, name in (("combobox", "Verdict"), ("combobox", "Kind"), ("searchbox", "Words")):
        assert page.get_by_role(role, name=re.compile(f"^{name}")).count() == 1
    assert page.locator(STATUS).count() == 1


def test_the_counts_are_those_of_the_ledger(visit) -> None:
    page, claims = visit("claims").page, read_ledger()
    rows = page.locator(".ledger-counts tbody tr").all_inner_texts()
    counts = {row.split("\t")[0].strip(): int(row.split("\t")[1]) for row in rows}
    claims = [claim for claim in claims if claim.kind != "hearsay"]
    expected = {verdict: sum(c.verdict == verdict for c in claims) for verdict in VERDICTS}
    assert counts == {**expected, "all": len(claims)}


def test_every_link_of_the_ledger_leads_to_a_heading(site: Path) -> None:
    text = (site / "claims.html").read_text()
    body = text[text.index('class="ledger') :]
    targets = set(re.findall(r'href="([\w]+\.html)#([\w-]+)"', body[: body.index("</article>")]))
    assert len(targets) > 30
    for page, anchor in targets:
        assert f'id="{anchor}"' in (site / page).read_text(), f"{page}#{anchor}"


def test_links_of_chapters_lead_to_claims(site: Path) -> None:
    ledger = (site / "claims.html").read_text()
    for claim in read_ledger():
        if claim.page[0].isdigit():
            link = f"claims.html#claim-{claim.id.lower()}"
            assert link in (site / f"{claim.page}.html").read_text()
        assert f'id="claim-{claim.id.lower()}"' in ledger
