"""The largest files that data preparation reads without being told to, in one table.

A small file may claim or unpack to far more than a machine holds. Every limit is above what
cameras and public datasets have, is named in the error that it causes, and can be raised:
``--limit NAME=NUMBER`` after any command of ``python -m data_prep``, or the environment variable
``DATA_PREP_LIMITS="NAME=NUMBER,..."``. Worker processes on this machine inherit both. On a
cluster, set the variable where its workers start.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType

VARIABLE = "DATA_PREP_LIMITS"

LIMITS = MappingProxyType(
    {
        "image_bytes": 256 * 2**20,  # one image file
        "image_pixels": 100_000_000,  # one image; the largest common phone sensors have 50 million
        "frame_pixels": 40_000_000,  # one frame of a video or recording; 8K has 33 million
        "video_frames": 2_000_000,  # 18 hours at 30 frames a second
        "text_bytes": 128 * 2**20,  # a list or a JSON file
        "text_items": 3_000_000,  # values of a JSON file, lines of a list
        "yaml_bytes": 2**20,  # a configuration
        "line_characters": 8_192,  # one line of a list; a path has at most 4,096
        "record_characters": 32 * 2**20,  # one line of a build's own journal
        "nesting": 64,  # levels of a JSON or YAML file
        "table_rows": 10_000_000,  # rows of a manifest or protocol
        "table_bytes": 8 * 2**30,  # text of a table in memory
        "download_bytes": 64 * 2**20,  # a file that a command downloads
    }
)


def limit(name: str) -> int:
    """Return a limit of the table, or what the user set instead.

    Raises:
        ValueError: If ``DATA_PREP_LIMITS`` names an unknown limit or gives no whole number.
    """
    return parse_limits(os.environ.get(VARIABLE, "")).get(name, LIMITS[name])


def too_large(name: str, found: int | str) -> str:
    """Return the end of a sentence: what was found, the limit, and how to raise it."""
    amount = f"{found:,}" if isinstance(found, int) else found
    return (
        f"has {amount} {name.partition('_')[2] or 'levels of ' + name}; the limit {name} is "
        f"{limit(name):,}. If the file is genuine, raise it with --limit {name}=NUMBER"
    )


@contextmanager
def limits_set(pairs: Iterable[str]) -> Iterator[None]:
    """Set limits, each as ``NAME=NUMBER``, for a while: here and in processes started meanwhile.

    Raises:
        ValueError: If a pair names an unknown limit or gives no whole number.
    """
    before = os.environ.get(VARIABLE, "")
    text = ",".join(filter(None, [before, *pairs]))
    parse_limits(text)
    os.environ[VARIABLE] = text
    try:
        yield
    finally:
        os.environ[VARIABLE] = before


@cache
def parse_limits(text: str) -> dict[str, int]:
    """Return the limits that ``NAME=NUMBER,...`` sets; of two for one name the last holds.

    Raises:
        ValueError: If a pair names an unknown limit or gives no whole number.
    """
    found = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = pair.partition("=")
        digits = number.replace("_", "")
        if name not in LIMITS or not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
            raise ValueError(
                f"{pair!r} sets no limit; expected NAME=NUMBER with a name of: {', '.join(LIMITS)}"
            )
        found[name] = int(digits)
    return found
