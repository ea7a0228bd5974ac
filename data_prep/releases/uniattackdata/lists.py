"""Lists of a protocol: one image a line, ``<path> <integer>`` or the path alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from data_prep.contract.checks import DatasetError

_LABELED = re.compile(r"(?P<path>.*\S)\s+(?P<integer>-?\d+)")
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
        return DatasetError(f"{self.file}, line {self.number}: {self.path!r}: {text}")


def read_list(file: Path) -> list[Line]:
    """Read a list; a byte order mark, CRLF, blank lines and spaces in names are fine.

    Raises:
        DatasetError: the list is missing, empty or not UTF-8, or a path could lead out of the
            release; names the file and the line.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DatasetError(
            f"{file}, line {line}: not UTF-8 text ({error.reason}); convert the list to UTF-8"
        ) from error
    except OSError as error:
        raise DatasetError(f"{file}: the list cannot be read ({error.strerror})") from error
    # Not splitlines(), which also breaks at characters that may stand in names.
    numbered = enumerate((line.strip() for line in text.split("\n")), 1)
    lines = [_parse(line, file, number) for number, line in numbered if line]
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
