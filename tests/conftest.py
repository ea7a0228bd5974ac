"""Shapes that are checked while tests run, and fixtures that tests of several folders share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import jaxtyping
import pytest

# Before anything imports these modules: from here on, calls are checked against the shapes in
# their annotations.
jaxtyping.install_import_hook(["lasoftmoe.moe", "lasoftmoe.losses"], "beartype.beartype")

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fuzz", type=int, default=300, metavar="N", help="damaged files to read (default: 300)"
    )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, or a skip with the reason.

    It lives for one file of tests: Playwright keeps an event loop running while it is open, and
    tests of asynchronous code, which start their own, must not meet that one.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        pytest.skip("no chromium: apt-get install chromium, or name one in CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Leave shapes unchecked: for a function's own errors, compilation, and timing."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
