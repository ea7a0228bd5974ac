"""Digest of the package's code, until a run's identity names the files that decide it."""

from __future__ import annotations

from pathlib import Path

from data_prep.provenance import code_digest, commit, file_hash, hardware, versions
from lasoftmoe.paths import PACKAGE

__all__ = ["code_hash", "commit", "file_hash", "hardware", "versions"]

# Rooms and modules that cannot change a run's result; everything else in the package can.
WITHOUT_EFFECT = (
    "__main__.py",
    "cli",
    "exercises",
    "plots",
    "pretraining",  # its outcome is the weights, which a run's hash covers by themselves
    "records",
)


def code_hash(package: Path = PACKAGE) -> str:
    """Return a digest of what the package's code does."""
    files = [
        path
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in WITHOUT_EFFECT
    ]
    return code_digest(files, package)
