"""Command that writes constraints.txt: ``python -m tools.lock`` (``make lock``); needs uv.

The file has the newest versions that pyproject.toml allows, only names and versions.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOWEST_PYTHON = "3.11"
# Tested together; open_clip needs a torchvision that was built for this version of torch.
PINS = ("torch==2.14.1", "torchvision==0.29.2")
LINE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+]+")


def compile_constraints(pins: tuple[str, ...] = PINS) -> str:
    """Resolve pyproject.toml with all its extras to exact versions."""
    command = ["uv", "pip", "compile", "pyproject.toml", "--all-extras"]
    command += ["--python-version", LOWEST_PYTHON, "--upgrade", "--constraint", "-"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run(
        [str(uv), *command[1:]],
        cwd=ROOT,
        input="\n".join(pins),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"uv could not resolve pyproject.toml:\n{done.stderr}")
    return done.stdout


def check_lines(text: str) -> None:
    """Reject lines other than ``name==version``, such as the address of an index."""
    wrong = [line for line in text.splitlines() if not LINE.fullmatch(line)]
    if wrong:
        raise SystemExit(f"constraints.txt may hold only name==version, found: {wrong[:3]}")


def main() -> None:
    """Resolve, check, and replace constraints.txt in one step."""
    text = compile_constraints()
    check_lines(text)
    temporary = ROOT / "constraints.txt.new"
    temporary.write_text(text)
    temporary.replace(ROOT / "constraints.txt")
    print(f"constraints.txt: {len(text.splitlines())} packages")


if __name__ == "__main__":
    main()
