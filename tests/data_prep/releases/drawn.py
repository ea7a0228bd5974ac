"""Faces drawn with a few ellipses: enough to tell images apart, of nobody."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def draw_face(name: str, width: int = 40, height: int = 48) -> Image.Image:
    """A face whose colors and proportions depend on ``name``, and on nothing else."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    generator = np.random.default_rng(seed)
    back, skin, dark = (tuple(map(int, row)) for row in generator.integers(0, 256, (3, 3)))
    image = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(image)
    half, middle = 0.3 + 0.1 * generator.random(), width / 2
    left, right = middle - half * width, middle + half * width
    draw.ellipse((left, 0.1 * height, right, 0.95 * height), fill=skin)
    for x in (middle - 0.15 * width, middle + 0.15 * width):
        draw.ellipse((x - 2, 0.4 * height - 2, x + 2, 0.4 * height + 2), fill=dark)
    mouth = 0.7 * height + generator.integers(-2, 3)
    draw.line((middle - 5, mouth, middle + 5, mouth), fill=dark, width=2)
    return image


def write_face(path: Path, width: int = 40, height: int = 48) -> None:
    """Write the face of the last parts of ``path`` in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_face("/".join(path.parts[-4:]), width, height).save(path)
