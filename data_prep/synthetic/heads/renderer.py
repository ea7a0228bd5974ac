"""From people and sessions to linear light, with maps of the same geometry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor

from data_prep.synthetic.heads.draw import Drawing, draw
from data_prep.synthetic.heads.figure import Figure, make_figure
from data_prep.synthetic.heads.people import People
from data_prep.synthetic.heads.session import Sessions
from data_prep.synthetic.heads.tables import fingerprint, row_of

Array = np.ndarray
RENDER_SIZE = 192
_KEPT_FIGURES = 4


@dataclass(frozen=True)
class Rendering:
    """Images and what the renderer knows about each pixel, a row per image."""

    radiance: Tensor
    """Linear RGB, 0 and up, (b, 3, size, size) float32."""
    depth: Tensor
    """0 on the background, else 0.1 (far) to 1 (near), (b, 1, size, size)."""
    parts: Tensor
    """Index into ``draw.PART_NAMES`` of what is seen, (b, size, size) uint8."""
    face_mask: Tensor
    """How much of the pixel is face: skin of the head, eyes, mouth, beard, glasses; (b, 1, ...)."""
    canonical: Tensor
    """Place on the template's face (x right, y up, in half head heights), (b, 2, size, size)."""
    uv: Tensor
    """Texture coordinates on the head, 0 elsewhere, (b, 2, size, size)."""
    landmarks: Tensor
    """Pixel coordinates of ``draw.LANDMARKS``, right and down from 0 to 1, (b, 16, 2)."""


def render(people: People, sessions: Sessions, size: int = RENDER_SIZE) -> Rendering:
    """Draw row i of ``people`` in row i of ``sessions``.

    The same bits come out whatever the other rows, the number of processes, and the vector units
    of the processor. Building a person takes longer than drawing an image, so keep rows of one
    person together (``people.repeat(images_per_person)``).

    Args:
        people, sessions: tables of equal length.
        size: pixels per side, even; twice the camera's for sharp images.

    Raises:
        ValueError: If the tables are empty or of different lengths, or the size is odd.
    """
    if not len(people):
        raise ValueError("no people to draw: expected at least one row")
    if len(people) != len(sessions):
        raise ValueError(
            f"{len(people)} people and {len(sessions)} sessions: expected equal numbers; "
            "repeat the people with .repeat(images_per_person)"
        )
    figures = FigureCache(max(1.0, size / RENDER_SIZE))
    rows = range(len(people))
    return stack(draw(figures.figure(row_of(people, i)), row_of(sessions, i), size) for i in rows)


def stack(drawings: Iterable[Drawing]) -> Rendering:
    """Drawings of one size as tensors; the scenes behind them, which are large, are let go."""
    names = [field.name for field in dataclasses.fields(Rendering)]
    maps = [[getattr(drawing, name) for name in names] for drawing in drawings]
    columns = zip(names, zip(*maps, strict=True), strict=True)
    tensors = {name: torch.from_numpy(np.stack(values)) for name, values in columns}
    for name in ("depth", "face_mask"):
        tensors[name] = tensors[name][:, None]
    return Rendering(**tensors)


class FigureCache:
    """The figures of the people drawn last."""

    def __init__(self, detail: float = 1.0) -> None:
        self._detail = detail
        self._figures: dict[bytes, Figure] = {}

    def figure(self, person: SimpleNamespace) -> Figure:
        """The figure of a row of People, built at most once while it is among the last few."""
        key = fingerprint(person)
        if key not in self._figures:
            if len(self._figures) >= _KEPT_FIGURES:
                self._figures.pop(next(iter(self._figures)))
            self._figures[key] = make_figure(person, self._detail)
        return self._figures[key]
