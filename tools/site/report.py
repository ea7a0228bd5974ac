"""The report of the reproduction as a PDF: ``python -m tools.site.report``, after ``make book``."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import sync_playwright

from tools.site.pdf import BUILD, chromium, print_page

PAGE = BUILD / "html" / "reproduction.html"
PDF = BUILD / "reproduction.pdf"


def print_report(target: Path = PDF) -> Path:
    """Print the built page to ``target``.

    Raises:
        SystemExit: There is no built page, or no Chromium.
    """
    if not PAGE.exists():
        raise SystemExit(f"no {PAGE}: run make book first")
    browser_path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(PAGE.as_uri())
        print_page(page, target)
        browser.close()
    return target


if __name__ == "__main__":
    print(print_report())
