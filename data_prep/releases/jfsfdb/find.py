"""Walk a release and match its clips with the patterns of a subset; nothing outside is read."""

from __future__ import annotations

import os
from pathlib import Path

from data_prep.contract.inside import Inside
from data_prep.errors import DatasetError, shown
from data_prep.releases.jfsfdb.clips import CLIP_SUFFIXES, Clip, is_picture
from data_prep.releases.jfsfdb.subset import IGNORED, Rules, Subset


def find_clips(subset: Subset, root: Path, rules: Rules, skip_unknown: bool = False) -> list[Clip]:
    """All clips of a release, in the order of their paths.

    Raises:
        DatasetError: there is no release, a link leads out of it, or (unless ``skip_unknown``)
            a clip has a name that the subset's patterns do not know.
    """
    if not root.is_dir():
        raise DatasetError(f"no folder at {root}; expected the release of {subset.title}")
    clips, unknown = [], []
    for video in candidates(root):
        # Bytes that are no UTF-8 come as lone surrogates, which no table can hold.
        described = subset.describe(video, rules) if video.isprintable() else None
        if described is None:
            unknown.append(video)
        elif described.type != IGNORED:
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
    return clips


def candidates(root: Path) -> list[str]:
    """Videos, recordings and folders of pictures below ``root``, as paths in it."""
    inside = Inside([root])
    found = []
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        for name in folders:
            # A link to a folder inside would only repeat it, or go round in circles.
            inside.locate(here / name)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        clips = [name for name in files if name.lower().endswith(CLIP_SUFFIXES)]
        visible = [name for name in clips if not name.startswith(".")]
        found += [inside.locate(here / name).relative_to(root).as_posix() for name in visible]
        pictures = [inside.locate(here / name) for name in files if is_picture(name)]
        if here != root and pictures:
            found.append(here.relative_to(root).as_posix())
    return sorted(found)
