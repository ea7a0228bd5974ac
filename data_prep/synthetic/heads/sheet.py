"""Contact sheets: people with a row each, or edits of people with a column each.

python -m data_prep.synthetic.heads.sheet --out people.png
python -m data_prep.synthetic.heads.sheet --edits --out edits.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from data_prep.atomic import write_atomically
from data_prep.synthetic.camera import capture, to_bytes
from data_prep.synthetic.heads.draw import Drawing, draw
from data_prep.synthetic.heads.edits import attribute, face_swap, reenactment, talking
from data_prep.synthetic.heads.figure import Figure, make_figure
from data_prep.synthetic.heads.people import People, sample_people
from data_prep.synthetic.heads.renderer import render
from data_prep.synthetic.heads.session import Sessions, sample_sessions
from data_prep.synthetic.heads.tables import row_of
from data_prep.synthetic.heads.worn import MATERIALS, WornMask, mask_region, masked_figure

Array = np.ndarray


def contact_sheet(people: int, images: int, seed: int = 0, size: int = 96, start: int = 0) -> Array:
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
        rows.append(np.concatenate(list(_shots(radiance, sessions, size)), axis=1))
    return np.concatenate(rows)


def edit_sheet(people: int, seed: int = 0, size: int = 96, start: int = 0) -> Array:
    """Each person live, edited, and behind masks, every edit with its mask next to it.

    The columns are: the donor, the person live, face swap, reenactment, talking, another age, and
    worn masks of the donor's face.

    Raises:
        ValueError: If ``people`` is less than 1.
    """
    if people < 1:
        raise ValueError(f"{people} people; expected 1 or more")
    rows = []
    for number in range(start, start + people):
        pair, sessions = sample_people(2, seed, 2 * number), sample_sessions(2, seed, 2 * number)
        images = _edits_of(pair, sessions, 2 * size)
        shown = []
        for image in images:
            if image.ndim == 2:  # a mask
                gray = image.reshape(size, 2, size, 2).mean(axis=(1, 3))
                shown.append(np.repeat((255 * gray + 0.5).astype(np.uint8)[..., None], 3, axis=2))
            else:
                shown.extend(_shots(torch.from_numpy(image[None]), sessions[0], size))
        rows.append(np.concatenate(shown, axis=1))
    return np.concatenate(rows)


def _edits_of(pair: People, sessions: Sessions, size: int) -> list[Array]:
    """Light (3, size, size) and masks (size, size) of a person and a donor."""
    person, donor = (make_figure(row_of(pair, i)) for i in range(2))
    session, other = (row_of(sessions, i) for i in range(2))
    live = draw(person, session, size)
    age = 75.0 if person.person.age < 50 else 25.0
    edits = (
        face_swap(live, person, donor, session),
        reenactment(live, person, session, other),
        talking(live, person, session, "AA"),
        attribute(live, person, session, {"age": age}),
    )
    images = [draw(donor, session, size).radiance, live.radiance]
    images += [image for edit in edits for image in (edit.radiance, edit.mask)]
    for material in MATERIALS:
        images += _worn(person, donor, session, WornMask(material, 0.8), size)
    return images


def _worn(
    person: Figure, donor: Figure, session: SimpleNamespace, mask: WornMask, size: int
) -> tuple[Array, Array]:
    drawing: Drawing = draw(masked_figure(person, donor, mask), session, size)
    return drawing.radiance, mask_region(drawing, mask)


def _shots(radiance: torch.Tensor, sessions: Sessions, size: int) -> Array:
    """What the camera takes, (b, size, size, 3) uint8."""
    return to_bytes(capture(radiance, sessions, size)).permute(0, 2, 3, 1).numpy()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--edits", action="store_true", help="edits and masks instead of sessions")
    parser.add_argument("--people", type=int, default=12, help="rows (default: 12)")
    parser.add_argument("--images", type=int, default=6, help="columns (default: 6)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first person")
    parser.add_argument("--size", type=int, default=96, help="pixels per side (default: 96)")
    options = parser.parse_args(arguments)
    place = (options.seed, options.size, options.start)
    try:
        if options.edits:
            sheet = edit_sheet(options.people, *place)
        else:
            sheet = contact_sheet(options.people, options.images, *place)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_atomically(options.out, lambda path: Image.fromarray(sheet).save(path, "PNG"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
