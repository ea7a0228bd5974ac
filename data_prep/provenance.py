"""Origin of results: the code, command, machine, and package versions behind them."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
"""The folder that holds the packages: a checkout, an unpacked archive, or site-packages."""
PACKAGES = ("lasoftmoe", "torch", "open_clip_torch", "accelerate", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Origin:
    """Where recorded results come from.

    Attributes:
        date: ISO 8601 with a time zone.
        commit: The checkout's commit, 40 hexadecimal digits, or None.
        command: The command that measured the results.
        hardware: The machine's GPU or processor.
        versions: Versions of Python and torch at least.
        no_commit: Why there is no commit; empty if there is one.

    Raises:
        ValueError: A field is missing or malformed, so the results cannot be traced.
    """

    date: str
    commit: str | None
    command: str
    hardware: str
    versions: dict[str, str]
    no_commit: str = ""

    def __post_init__(self) -> None:
        """Check every field."""
        if self.commit is None and not self.no_commit:
            raise ValueError("commit is null, and no_commit does not say why")
        if self.commit is not None and not re.fullmatch("[0-9a-f]{40}", self.commit):
            raise ValueError(f"commit {self.commit!r} is not 40 hexadecimal digits")
        try:
            zone = datetime.fromisoformat(self.date).tzinfo
        except (TypeError, ValueError) as error:
            raise ValueError(f"date {self.date!r} is not in ISO 8601") from error
        if zone is None:
            raise ValueError(f"date {self.date!r} names no time zone")
        for name in ("command", "hardware"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is empty")
        lacking = {"python", "torch"} - set(self.versions)
        if lacking:
            raise ValueError(f"versions lack {', '.join(sorted(lacking))}")

    @classmethod
    def now(cls, command: str) -> Origin:
        """Return the origin of results that ``command`` has just measured on this machine."""
        found, reason = None, ""
        try:
            found = checkout_commit()
        except LookupError as error:
            reason = str(error)
        date = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(date, found, command, hardware(), versions(), reason)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for a JSON file, without an empty ``no_commit``."""
        fields = asdict(self)
        if not self.no_commit:
            del fields["no_commit"]
        return fields


def commit() -> str | None:
    """Return the commit of :func:`checkout_commit`, or None if there is none."""
    try:
        return checkout_commit()
    except LookupError:
        return None


def checkout_commit(root: Path = ROOT) -> str:
    """Return the commit checked out in ``root``, the folder that holds the packages.

    The commit of a repository around that folder says nothing about this code.

    Raises:
        LookupError: If ``root`` is not the top of a repository that tracks this file, or git fails.
    """
    top = Path(_git(root, "rev-parse", "--show-toplevel"))
    if top.resolve() != root.resolve():
        raise LookupError(f"{root} is not a checkout; it is inside another repository, {top}")
    _git(root, "ls-files", "--error-unmatch", "data_prep/provenance.py")
    return _git(root, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    # Variables such as GIT_DIR, set in hooks, would point at another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=10, check=True
        )
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().partition("\n")[0]
        raise LookupError(f"git reads no commit of {folder}: {reason}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LookupError(f"git reads no commit of {folder}: {error}") from error
    return done.stdout.strip()


def code_digest(paths: Iterable[Path], root: Path) -> str:
    """Return a SHA-256 digest of code, in hexadecimal.

    It ignores comments, docstrings, and layout of Python files and the order of ``paths``. It
    covers all bytes of other files and each file's path below ``root``.
    """
    digest = hashlib.sha256()
    names = {path.resolve().relative_to(root.resolve()).as_posix(): path for path in paths}
    for name, path in sorted(names.items()):
        content = _statements(path) if path.suffix == ".py" else path.read_bytes()
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 digest of one file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hardware() -> str:
    """Name the machine's GPU, or its processor and number of cores if torch sees no GPU."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{_processor()}, {os.cpu_count()} cores"


def versions() -> dict[str, str]:
    """Return the versions of Python and of those ``PACKAGES`` that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _statements(path: Path) -> bytes:
    """Source code of a module without comments, docstrings, and layout."""
    tree = ast.parse(path.read_bytes(), path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # A string on its own is a docstring of the code around or above it.
            node.body = [part for part in body if not _is_string(part)] or [ast.Pass()]
    return ast.unparse(tree).encode()


def _is_string(statement: ast.stmt) -> bool:
    alone = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return alone and isinstance(statement.value.value, str)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
