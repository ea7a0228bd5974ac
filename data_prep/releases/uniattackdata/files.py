"""Whether the listed images are there and can be read."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from data_prep.contract.inside import Inside
from data_prep.media.kinds import IMAGE_SUFFIXES

# Far more than cores: each waits for one answer, of a network as a rule.
_THREADS = 32
_CHUNK = 64


def what_is_wrong(paths: Sequence[Path], root: Path) -> list[str]:
    """For each path: empty when a file with contents is there, else why not.

    Paths are checked side by side, with a progress bar.

    Raises:
        DatasetError: a path leads out of ``root`` through a link, or a link leads to itself.
    """
    inside = Inside([root])

    def look(chunk: Sequence[Path]) -> list[str]:
        return [_look(path, inside) for path in chunk]

    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    found: list[str] = []
    with (
        ThreadPoolExecutor(_THREADS) as pool,
        tqdm(total=len(paths), desc="look for images", unit="image") as bar,
    ):
        for wrong in pool.map(look, chunks):
            found += wrong
            bar.update(len(wrong))
    return found


def _look(path: Path, inside: Inside) -> str:
    try:
        status = inside.locate(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return _missing(path, inside)
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(status.st_mode):
        return "not a file"
    return "" if status.st_size else "empty file"


def _missing(path: Path, inside: Inside) -> str:
    """Say whether the image lies there under another ending."""
    for suffix in (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES)):
        other = path.with_suffix(suffix)
        if other != path and inside.locate(other).is_file():
            return f"missing (but {other.name} is there)"
    return "missing"
