"""Walk a release and match its clips with the patterns of a subset; nothing outside is read.

Every file and folder that is met and is no part of a clip is told, with the reason.
"""

from __future__ import annotations

import os
from pathlib import Path

from data_prep.contract.inside import Inside
from data_prep.errors import DatasetError, shown
from data_prep.media.kinds import IMAGE, VIDEO
from data_prep.releases.jfsfdb.clips import Clip, clip_kind
from data_prep.releases.jfsfdb.subset import IGNORED, Rules, Subset

Skipped = tuple[str, str]
"""A path in the release that is not used, and why."""


def find_clips(
    subset: Subset, root: Path, rules: Rules, skip_unknown: bool = False
) -> tuple[list[Clip], list[Skipped]]:
    """All clips of a release, in the order of their paths, and what else there is.

    Raises:
        DatasetError: there is no release, a link leads out of it, or (unless ``skip_unknown``)
            a clip has a name that the subset's patterns do not know.
    """
    if not root.is_dir():
        raise DatasetError(f"no folder at {root}; expected the release of {subset.title}")
    clips, unknown = [], []
    videos, skipped = candidates(root)
    for video in videos:
        # Bytes that are no UTF-8 come as lone surrogates, which no table can hold.
        described = subset.describe(video, rules) if video.isprintable() else None
        if described is None:
            unknown.append(video)
            skipped.append((_printable(video), "a name that no pattern knows"))
        elif described.type == IGNORED:
            skipped.append((_printable(video), "of the release, but no part of the benchmark"))
        else:
            clips.append(described)
    if not clips:
        raise DatasetError(
            f"{root} holds no clip of {subset.title}; expected {subset.layout} below it"
            + (f", found for example {unknown[0]!r}" if unknown else "")
        )
    if unknown and not skip_unknown:
        raise DatasetError(
            f"{root}: {len(unknown)} clips have names that are not of {subset.title}, the first is "
            f"{shown(unknown[0], 300)}; expected {subset.layout}. Move them away, give other "
            "patterns with --rules, or leave them out with --skip-unknown"
        )
    return clips, skipped


def candidates(root: Path) -> tuple[list[str], list[Skipped]]:
    """Videos, recordings and folders of images below ``root``, as paths in it; and the rest."""
    inside, found = Inside([root]), []
    skipped: list[Skipped] = []

    def skip(path: str | Path, reason: str) -> None:
        skipped.append((_printable(Path(path).relative_to(root).as_posix()), reason))

    def refused(error: OSError) -> None:
        skip(error.filename, f"a folder that cannot be opened ({error.strerror})")

    for folder, folders, files in os.walk(root, onerror=refused):
        here, pictures = Path(folder), False
        for name in folders:
            inside.locate(here / name)
            if name.startswith("."):
                skip(here / name, "hidden")
            elif (here / name).is_symlink():
                skip(here / name, "a link to a folder (folders are not followed twice)")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            # Located first, because where its name does not tell, a file is read.
            path = here / name if name.startswith(".") else inside.locate(here / name)
            kind, reason = clip_kind(path)
            if kind == VIDEO:
                found.append(path.relative_to(root).as_posix())
            elif kind == IMAGE and here != root:
                pictures = True
            else:
                skip(path, reason or "an image in no folder of frames")
        if pictures:
            found.append(here.relative_to(root).as_posix())
        if not (folders or files):
            skip(here, "an empty folder")
    return sorted(found), skipped


def _printable(name: str) -> str:
    """A path with bytes that are no UTF-8 written out, which a table could not hold."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
