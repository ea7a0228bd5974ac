"""A contact sheet of people: a row per person, a column per session.

python -m data_prep.synthetic.heads.sheet --out people.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from data_prep.atomic import write_atomically
from data_prep.synthetic.camera import capture, to_bytes
from data_prep.synthetic.heads.people import sample_people
from data_prep.synthetic.heads.renderer import render
from data_prep.synthetic.heads.session import sample_sessions


def contact_sheet(
    people: int, images: int, seed: int = 0, size: int = 96, start: int = 0
) -> np.ndarray:
    """Images of people side by side, (people * size, images * size, 3) uint8.

    Raises:
        ValueError: If a number is less than 1.
    """
    if min(people, images) < 1:
        raise ValueError(f"{people} people with {images} images each; expected 1 or more of both")
    rows = []
    for number in range(start, start + people):
        person = sample_people(1, seed, number).repeat(images)
        sessions = sample_sessions(images, seed, number * images)
        radiance = render(person, sessions, 2 * size).radiance
        shots = to_bytes(capture(radiance, sessions, size)).permute(0, 2, 3, 1).numpy()
        rows.append(np.concatenate(list(shots), axis=1))
    return np.concatenate(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--people", type=int, default=12, help="rows (default: 12)")
    parser.add_argument("--images", type=int, default=6, help="columns (default: 6)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first person")
    parser.add_argument("--size", type=int, default=96, help="pixels per side (default: 96)")
    options = parser.parse_args(arguments)
    try:
        sheet = contact_sheet(
            options.people, options.images, options.seed, options.size, options.start
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_atomically(options.out, lambda path: Image.fromarray(sheet).save(path, "PNG"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
