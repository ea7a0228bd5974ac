"""Lists of a protocol: one image a line, ``<path> <integer>`` or the path alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import DatasetError, shown
from data_prep.reading import read_lines

_LABELED = re.compile(r"(?P<path>.*\S)\s+(?P<integer>-?[0-9]{1,18})")
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True)
class Line:
    """One line: the image's path (as written, less ``.`` and ``//``) and its integer, if any.

    Paths are words here, not objects: there are tens of thousands of them.
    """

    path: str
    integer: int | None
    file: Path
    number: int

    def error(self, text: str) -> DatasetError:
        """An error that names the file, the line and the image."""
        return DatasetError(f"{self.file}, line {self.number}: {shown(self.path, 400)}: {text}")


def read_list(file: Path) -> list[Line]:
    """Read a list; a byte order mark, CRLF, blank lines and spaces in names are fine.

    Raises:
        DatasetError: the list is missing, empty or not UTF-8, or a path could lead out of the
            release; names the file and the line.
    """
    lines = [_parse(line, file, number) for number, line in read_lines(file)]
    if not lines:
        raise DatasetError(
            f"{file} has no lines; expected one image a line, like "
            "'UniAttackData/Data/live/east-asia/EA-321/real.rssdk/color/0070.jpg 0'"
        )
    return lines


def _parse(text: str, file: Path, number: int) -> Line:
    labeled = _LABELED.fullmatch(text)
    written = labeled["path"] if labeled else text
    parts = [part for part in written.split("/") if part not in ("", ".")]
    line = Line("/".join(parts), int(labeled["integer"]) if labeled else None, file, number)
    if written.startswith("/") or _DRIVE.match(written):
        raise line.error("an absolute path; expected one relative to the release")
    if ".." in parts:
        raise line.error("'..' could lead out of the release; such a line is never followed")
    if "\\" in written or "\0" in written:
        raise line.error("a backslash or a null; expected '/' between folders")
    if not parts:
        raise line.error("no image is named; expected '<path> <label>'")
    return line
