"""The implementation under test: a student's module, or the package's own."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from tests.course import ours

NOT_WRITTEN = "not written yet"


@pytest.fixture(scope="session")
def implementation() -> ModuleType:
    """The module that COURSE_IMPL names, or ours."""
    name = os.environ.get("COURSE_IMPL")
    return importlib.import_module(name) if name else ours


@pytest.fixture
def call(implementation, request) -> Callable[..., Any]:
    """The function that a test is about; the test is skipped while it is not written."""
    name = request.node.get_closest_marker("about").args[0]
    function = getattr(implementation, name, None)
    if function is None:
        pytest.skip(NOT_WRITTEN)

    def asked(*args: Any) -> Any:
        try:
            return function(*args)
        except NotImplementedError:
            pytest.skip(NOT_WRITTEN)

    return asked


def pytest_terminal_summary(terminalreporter) -> None:
    """Say what holds, in words: one line a test."""
    if not os.environ.get("COURSE_IMPL"):
        return
    said = {"passed": "holds", "failed": "DOES NOT HOLD", "skipped": NOT_WRITTEN}
    for state, words in said.items():
        for report in terminalreporter.stats.get(state, []):
            name = report.nodeid.rpartition("::test_")[2].replace("_", " ")
            terminalreporter.write_line(f"{words:<15} {name}")
