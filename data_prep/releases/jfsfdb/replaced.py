"""What it takes to do single clips of a finished dataset again: clips that were replaced since."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.errors import ReadError
from data_prep.manifest import read_dataset
from data_prep.reading import digest_file
from data_prep.releases.jfsfdb.clips import is_picture

Row = dict[str, Any]


def digest_clip(path: Path) -> str:
    """What a file or a folder of pictures consists of; empty where it cannot even be opened."""
    files, digest = [path], hashlib.sha256()
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if is_picture(file.name))
        for file in files:
            content = digest_file(file)
            digest.update(f"{file.name}\0{content}\n".encode("utf-8", "surrogateescape"))
    except (OSError, ReadError):
        return ""
    return digest.hexdigest()


def rows_of_units(out: Path, videos: Mapping[str, str]) -> dict[str, list[Row]]:
    """What ``prepare_clip`` returned for each unit, but for the digests of its crops.

    Args:
        out: a finished dataset.
        videos: the clip of every unit.
    """
    dataset = read_dataset(out)
    (protocol,) = dataset.protocols.values()
    images: dict[str, list[Row]] = defaultdict(list)
    for row in dataset.manifest.merge(protocol, on="id").to_dict("records"):
        images[row["video"]].append(row)
    clips = {row["video"]: row for row in dataset.tables["clips"].to_dict("records")}
    return {name: [{"clip": clips[video]}, *images[video]] for name, video in videos.items()}
