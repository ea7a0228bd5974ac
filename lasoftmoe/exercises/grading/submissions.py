"""What students handed in: a folder, a "download all" archive of Canvas or Moodle, or one file."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from lasoftmoe.exercises.grading.answers import MOST_BYTES

# Canvas: lovelaceada_LATE_123_4567_ch06.ipynb, or ch06-1.ipynb for a second try.
CANVAS = re.compile(r"^(?P<name>[^_]+)_(?P<late>LATE_)?(?P<user>\d+)_(?P<number>\d+)_(?P<file>.+)$")
# Moodle: Ada Lovelace_4567_assignsubmission_file_/ch06.ipynb
MOODLE = re.compile(r"^(?P<name>.+)_(?P<number>\d+)_assignsubmission_file_?(?P<rest>.*)$")


@dataclass(frozen=True)
class Submission:
    """One notebook that was handed in.

    Attributes:
        student_id: name of the student's folder, or what the archive calls the student.
        data: the bytes of the notebook.
        handed_in: the file's date.
        folder: the folder's name in a Moodle archive, for the feedback, or "".
        lms_user_id: Canvas's number of the student, or "".
        name: the student's name as the archive spells it, or "".
    """

    student_id: str
    data: bytes
    handed_in: datetime
    folder: str = ""
    lms_user_id: str = ""
    name: str = ""

    @property
    def sha256(self) -> str:
        """The digest of the notebook."""
        return hashlib.sha256(self.data).hexdigest()


def find_submissions(path: Path, chapter: str) -> list[Submission]:
    """Return the submissions of a chapter, one per student, sorted by student.

    Understands ``DIR/<student_id>/ch06.ipynb``, ``DIR/<student_id>/ch06/ch06.ipynb`` (nbgrader's
    ``submitted``), ``DIR/<student_id>.ipynb``, archives of Canvas and Moodle, and one notebook.

    Raises:
        FileNotFoundError: There is nothing at ``path``, or no notebook in it.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: name a folder, a .zip or a .ipynb")
    if path.is_file() and path.suffix == ".zip":
        found = _in_archive(path)
    elif path.is_file():
        found = [_from_file(path, path.stem)]
    else:
        found = _in_folder(path, chapter)
    if not found:
        raise FileNotFoundError(
            f"no notebook in {path}: expected {path}/<student_id>/ch{chapter}.ipynb"
        )
    latest: dict[str, Submission] = {}
    for one in sorted(found, key=lambda one: (one.student_id, one.handed_in)):
        latest[one.student_id] = one
    return list(latest.values())


def _from_file(path: Path, student_id: str) -> Submission:
    handed_in = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    with path.open("rb") as file:  # one byte more than allowed, so that too large a file shows
        return Submission(student_id, file.read(MOST_BYTES + 1), handed_in)


def _in_folder(folder: Path, chapter: str) -> list[Submission]:
    found = [_from_file(path, path.stem) for path in sorted(folder.glob("*.ipynb"))]
    for student in sorted(one for one in folder.iterdir() if one.is_dir()):
        named = [student / f"ch{chapter}.ipynb", student / f"ch{chapter}" / f"ch{chapter}.ipynb"]
        others = sorted(student.glob("*.ipynb"))
        path = next((path for path in [*named, *others] if path.is_file()), None)
        if path is not None:
            found.append(_from_file(path, student.name))
    return found


def _in_archive(path: Path) -> list[Submission]:
    found = []
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():  # read in memory: no path of the archive is ever written
            name = PurePosixPath(entry.filename)
            if name.suffix != ".ipynb" or "__MACOSX" in name.parts:
                continue
            with archive.open(entry) as file:
                data = file.read(MOST_BYTES + 1)
            found.append(_named(name, data, datetime(*entry.date_time, tzinfo=UTC)))
    return found


def _named(name: PurePosixPath, data: bytes, handed_in: datetime) -> Submission:
    for part in name.parts[:-1]:
        if match := MOODLE.match(part):
            return Submission(match["name"], data, handed_in, part, name=match["name"])
    if match := MOODLE.match(name.stem):
        return Submission(match["name"], data, handed_in, "", name=match["name"])
    if match := CANVAS.match(name.name):
        return Submission(
            match["name"], data, handed_in, lms_user_id=match["user"], name=match["name"]
        )
    parents = [part for part in name.parts[:-1] if not re.fullmatch(r"ch\d\d", part)]
    return Submission(parents[-1] if parents else name.stem, data, handed_in)
