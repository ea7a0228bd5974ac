"""Put your own implementation to the course tests: ``python -m tools.course_tests my_moe``.

The module is found from the current folder. It defines functions of
`lasoftmoe.exercises.adapters`, as many as are written.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.notebooks import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests and return pytest's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python -m tools.course_tests my_moe",
        allow_abbrev=False,
    )
    parser.add_argument("module", help="such as my_moe, for my_moe.py in this folder")
    name = parser.parse_args(arguments).module.removesuffix(".py").replace("/", ".")
    sys.path.insert(0, str(Path.cwd()))
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise SystemExit(
            f"there is no module {name!r} in {Path.cwd()}: copy "
            "lasoftmoe/exercises/adapters.py to my_moe.py and write its functions"
        ) from None
    os.environ["COURSE_IMPL"] = name
    options = ["-q", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-m", "not slow"]
    return int(pytest.main([*options, "--rootdir", str(ROOT), str(ROOT / "tests" / "course")]))


if __name__ == "__main__":
    sys.exit(main())
