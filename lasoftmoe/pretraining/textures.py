"""The textures and media that captions name, as classes with one text each.

Contrastive learning alone may ignore the few words about texture. Cross-entropy over these texts
forces the model to use them.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from data_prep.synthetic.captions.captions import MEDIA, TEXTURES
from data_prep.synthetic.nuisance import LOCAL_TEXTURES


class Texture(NamedTuple):
    """A kind of texture, on the whole image or on a part of it ("partly blurry")."""

    kind: str
    local: bool


ALL_TEXTURES = tuple(
    [Texture(kind, False) for kind in TEXTURES] + [Texture(kind, True) for kind in LOCAL_TEXTURES]
)

SCENES = tuple((medium, texture) for medium in MEDIA for texture in ALL_TEXTURES)
"""Every medium with every texture: the classes of the cross-entropy."""


def scene_text(medium: str, texture: Texture, noun: str = "a person") -> str:
    """Return a text like ``"partly blurry : a screen showing a person"``, from first choices."""
    word = f"{'partly ' if texture.local else ''}{TEXTURES[texture.kind][0]}"
    return f"{word} : {MEDIA[medium][0]} {noun}"


def scene_texts() -> list[str]:
    """Return the texts of ``SCENES``, in this order."""
    return [scene_text(medium, texture) for medium, texture in SCENES]


def draw_texture(rng: random.Random) -> Texture:
    """Draw a texture: clean in two of seven draws, and local in 55% of those that can be."""
    kind = rng.choice(["clean", *TEXTURES])
    return Texture(kind, kind in LOCAL_TEXTURES and rng.random() < 0.55)
