"""Fingerprints that tell whether a notebook's stored outputs are still valid.

The execution cache of Jupyter Book compares code cells only. An edit to an imported package,
another preset, or other data would leave stale outputs in the book. These fingerprints cover
everything that a run can depend on. Comments, docstrings, and layout of Python code do not count.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import nbformat
from packaging.requirements import Requirement

from data_prep.provenance import code_digest

PACKAGES = ("lasoftmoe", "data_prep")
SKIPPED_FOLDERS = {"__pycache__", ".ipynb_checkpoints"}
# Prose and the look of the site: no cell reads them.
PROSE_SUFFIXES = {".ipynb", ".md", ".yaml", ".yml", ".bib", ".css", ".svg"}


def digest(parts: Iterable[tuple[str, bytes]]) -> str:
    """Hash named byte strings; the order of ``parts`` does not matter."""
    total = hashlib.sha256()
    for name, content in sorted(parts):
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def files_below(folder: Path) -> list[Path]:
    """Return every file below ``folder``, except caches."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not SKIPPED_FOLDERS & set(path.parts)
    ]


def installed_versions(distribution: str = "lasoftmoe") -> list[tuple[str, bytes]]:
    """Return the installed versions of the packages that ``distribution`` needs at run time."""
    found = [("python", sys.version.encode())]
    for line in requires(distribution) or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found.append((requirement.name, version(requirement.name).encode()))
        except PackageNotFoundError:
            found.append((requirement.name, b"absent"))
    return found


def settings() -> list[tuple[str, bytes]]:
    """Return the project's environment variables, such as the preset."""
    return [(key, value.encode()) for key, value in os.environ.items() if "LASOFTMOE_" in key]


def shared_fingerprint(root: Path, datasets: Iterable[Path]) -> str:
    """Hash what all notebooks depend on.

    Covers the packages with their presets, records, and weights; files next to the notebooks that
    code may read; ``constraints.txt`` and installed versions; the environment's settings; and
    ``dataset.json`` of each dataset folder, which holds the checksum of the whole dataset.
    """
    files = [path for package in PACKAGES for path in files_below(root / package)]
    files += [
        path
        for path in files_below(root / "book")
        if path.suffix not in PROSE_SUFFIXES and "/_" not in path.relative_to(root).as_posix()
    ]
    files.append(root / "constraints.txt")
    parts = installed_versions() + settings()
    parts.append(("files", code_digest(files, root).encode()))
    for number, folder in enumerate(datasets):
        info = folder / "dataset.json"
        parts.append((f"dataset {number}", info.read_bytes() if info.exists() else b"absent"))
    return digest(parts)


def notebook_fingerprint(shared: str, notebook: Path) -> str:
    """Hash the code of one notebook together with ``shared``, what all notebooks depend on.

    Prose does not count, because a corrected sentence must not train a model again.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    code = [
        (f"{index:04}", f"{sorted(cell.metadata.get('tags', []))}\n{cell.source}".encode())
        for index, cell in enumerate(cell for cell in cells if cell.cell_type == "code")
    ]
    return digest([("shared", shared.encode()), *code])


def site_fingerprint(root: Path, notebooks: Iterable[str]) -> str:
    """Hash what the pages depend on: sources, configuration, tools, and ``notebooks``.

    ``notebooks`` are the fingerprints of all notebooks.
    """
    files = [*files_below(root / "book"), root / "_config.yml", *files_below(root / "tools")]
    content = code_digest(files, root).encode()
    return digest([("files", content), ("runs", "\n".join(notebooks).encode())])
