"""Where a figure comes from: the code, the machine and the versions that made it."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from lasoftmoe.paths import PACKAGE, ROOT

PACKAGES = ("lasoftmoe", "torch", "open_clip_torch", "accelerate", "numpy", "scikit-learn")
# What cannot change a run's result; everything else in the package can.
WITHOUT_EFFECT = (
    "cli",
    "__main__.py",
    "cli.py",
    "comparison.py",
    "dry_run.py",
    "exercises",
    "intervals.py",
    "live.py",
    "logs.py",
    "paper.py",
    "plots.py",
    "preflight.py",
    "recorded.py",
    "tables.py",
    "pretraining",  # its outcome is the weights, which a run's hash covers by themselves
)


def code_hash(package: Path = PACKAGE) -> str:
    """A digest of what the package's code does: comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        if relative.parts[0] not in WITHOUT_EFFECT:
            digest.update(relative.as_posix().encode() + b"\0" + _statements(path) + b"\0")
    return digest.hexdigest()


def _statements(path: Path) -> bytes:
    tree = ast.parse(path.read_bytes(), path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            # a text that stands alone is a docstring or describes the line above
            node.body = [part for part in node.body if not _is_text(part)]
    return ast.dump(tree).encode()


def _is_text(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    alone = isinstance(statement, ast.Expr) and isinstance(value, ast.Constant)
    return alone and isinstance(value.value, str)


def file_hash(path: Path) -> str:
    """A digest of one file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hardware() -> str:
    """The machine in words: its GPU if it has one, else its processor."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_processor()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that matter."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The checkout's commit, ``None`` outside of a repository."""
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
