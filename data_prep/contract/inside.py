"""Paths checked to be inside the folders that a dataset may read from, with links followed.

A path in a list or a table is a stranger's text. It is opened only if its real place, with all
links followed, is inside one of the given folders.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from data_prep.errors import DatasetError


def common_folder(folders: Sequence[Path], advice: str) -> Path:
    """Return the nearest folder that holds all, which a dataset may declare as its images' root.

    Raises:
        DatasetError: If that is the whole file system, or if there is none; ``advice`` is added.
    """
    real = [os.path.realpath(folder) for folder in folders]
    try:
        common = Path(os.path.commonpath(real))
    except ValueError:  # two drives
        common = None
    if common is None or common == Path(common.anchor):
        raise DatasetError(
            f"{' and '.join(real)} have no folder in common that a dataset could refer to; {advice}"
        )
    return common


class Inside:
    """Check of paths against folders; the real place of a directory is looked up once."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """``folders`` are what may be read; they may themselves be links."""
        self._folders = [os.path.realpath(folder) for folder in folders]
        self._beginnings = tuple(folder.rstrip(os.sep) + os.sep for folder in self._folders)
        self._real: dict[str, str] = {}

    def locate(self, path: Path) -> Path:
        """Return ``path`` if it is inside; a missing file is no error here.

        Raises:
            DatasetError: If the path points outside the folders, or its links go round in circles.
        """
        # As text: a dataset has many images, and pathlib takes several times as long.
        directory, name = os.path.split(path)
        try:
            real = f"{self._real_directory(directory)}{os.sep}{name}"
            if stat.S_ISLNK(os.lstat(path).st_mode):
                real = os.path.realpath(path, strict=True)
        except (FileNotFoundError, NotADirectoryError):
            real = os.path.realpath(path)
        except OSError as error:
            raise DatasetError(
                f"{path} cannot be followed ({error.strerror}): a symbolic link that leads back "
                "to itself? Remove it, or put the file there"
            ) from error
        if not f"{real}{os.sep}".startswith(self._beginnings):
            allowed = " and ".join(self._folders)
            raise DatasetError(
                f"{path} points outside {allowed}, to {real}, so it was not read. If a link to "
                "other storage is meant, name that storage's folder itself"
            )
        return path

    def _real_directory(self, directory: str) -> str:
        if directory not in self._real:
            self._real[directory] = os.path.realpath(directory, strict=True)
        return self._real[directory]
