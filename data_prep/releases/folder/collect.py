"""What lies in a folder of live or of fake pictures: type, subject, and what cannot be used.

The rules are these. Below ``--fake`` the first folder names the attack, unless ``--type`` names it
for all. The next folder (below ``--live``: the first) names the subject; ``--subjects-from`` takes
another rule. Deeper folders mean nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data_prep.contract.checks import DatasetError
from data_prep.contract.inside import Inside
from data_prep.media.kinds import VIDEO, kind_of
from data_prep.taxonomy import FAKE, LIVE

OUTSIDE = "a link that leads out of the folder or to itself"
_RULES = ("folder", "name", "file")
_FIRST_WORD = re.compile(r"[^_\-. ]+")


@dataclass(frozen=True)
class Found:
    """One usable file; ``name`` is unique: the label and the path below its folder."""

    name: str
    path: str
    label: str
    type: str
    subject: str
    is_video: bool


@dataclass(frozen=True)
class Skipped:
    """One file that is not used, and why."""

    name: str
    reason: str


class SubjectRule:
    """How to read the subject from a file's path: ``folder``, ``name``, ``file`` or a pattern.

    ``folder``: the folder next to the top (the rules above). ``name``: the file's name up to the
    first ``_``, ``-``, ``.`` or space. ``file``: every file is a subject of its own. Anything else
    is a regular expression with one group, searched for in the path below the folder.
    """

    def __init__(self, rule: str) -> None:
        """Compile the rule.

        Raises:
            ValueError: neither a known word nor a pattern with one group.
        """
        self.rule = rule
        self._pattern = None
        if rule in _RULES:
            return
        try:
            self._pattern = re.compile(rule)
        except re.error as error:
            raise ValueError(
                f"--subjects-from {rule!r} is no regular expression: {error}"
            ) from error
        if self._pattern.groups != 1:
            raise ValueError(
                f"--subjects-from {rule!r}: expected {', '.join(_RULES)}, or a regular expression "
                "with one group in parentheses, like '(id[0-9]+)'"
            )

    def subject(self, parts: tuple[str, ...], whole: str) -> str | None:
        """The subject of a file; ``parts`` is its path without the attack's folder."""
        if self.rule == "folder":
            return parts[0] if len(parts) > 1 else None
        if self.rule == "file":
            return whole
        pattern, text = (_FIRST_WORD, parts[-1]) if self.rule == "name" else (self._pattern, whole)
        match = pattern.search(text)
        return (match[1] if pattern.groups else match[0]) if match else None


def collect(
    folder: Path, label: str, rule: SubjectRule, type_name: str | None = None
) -> tuple[list[Found], list[Skipped]]:
    """All usable files of a folder, nested folders included, in the order of their names.

    Args:
        folder: what ``--live`` or ``--fake`` names; nothing outside is read, links included.
        label: ``live`` or ``fake``.
        rule: where the subject stands.
        type_name: the attack of all files; None: the first folder's name.

    Raises:
        DatasetError: no such folder, or a file's place does not tell its attack or its subject.
    """
    if not folder.is_dir():
        raise DatasetError(f"no folder at {folder}; --{label} is the folder of {label} pictures")
    found, skipped, inside = [], [], Inside([folder])
    for path, reason in _files(folder):
        below = path.relative_to(folder).as_posix()
        reason = reason or _unusable(path, below, inside)
        if reason:
            # A name that is not UTF-8 can be listed only with its odd bytes written out.
            shown = os.fsencode(below).decode("utf-8", "backslashreplace")
            skipped.append(Skipped(f"{label}/{shown}", reason))
        else:
            found.append(_describe(path, below, label, rule, type_name))
    return found, skipped


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """All files and links to folders, and the folders of which nothing can be used with reason."""
    closed: list[OSError] = []
    for directory, names, files in os.walk(folder, onerror=closed.append):
        names.sort()
        links = [name for name in names if Path(directory, name).is_symlink()]
        for name in sorted([*files, *links]):
            yield Path(directory, name), ""
        if not (names or files) and Path(directory) != folder:
            yield Path(directory), "an empty folder"
    for error in closed:
        yield Path(error.filename), f"a folder that cannot be opened ({error.strerror})"


def _unusable(path: Path, below: str, inside: Inside) -> str:
    try:
        inside.locate(path)
        path.stat()
    except DatasetError:
        return OUTSIDE
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    if path.is_dir():
        return "a link to a folder (folders are not followed twice)"
    if not path.is_file():
        return "not a file"
    if any(part.startswith(".") for part in PurePosixPath(below).parts):
        return "hidden"
    if "\\" in below or not below.isprintable():
        return "a backslash or a control character in its name"
    return kind_of(path)[1] if path.stat().st_size else "empty file"


def _describe(
    path: Path, below: str, label: str, rule: SubjectRule, type_name: str | None
) -> Found:
    parts = PurePosixPath(below).parts
    kind = LIVE if label == LIVE else type_name
    if kind is None:
        if len(parts) < 2:
            raise DatasetError(
                f"{path} lies directly in the folder of fakes; put it into a folder named after "
                "its attack, or name the attack of all with --type"
            )
        kind, parts = parts[0], parts[1:]
    subject = rule.subject(parts, below)
    if not subject:
        raise DatasetError(
            f"{path}: the rule --subjects-from {rule.rule!r} finds no subject; put it into a "
            "folder named after the person, or choose another rule: name (up to the first _ or "
            "-), file (every file another person), or a regular expression with one group"
        )
    is_video = kind_of(path)[0] == VIDEO
    return Found(f"{label}/{below}", str(path), label, kind, subject, is_video)


__all__ = ["FAKE", "LIVE", "OUTSIDE", "Found", "Skipped", "SubjectRule", "collect"]
