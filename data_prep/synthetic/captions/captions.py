"""Captions of a person's appearance, the medium, and the texture of an image."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import SimpleNamespace

from torch import Tensor

from data_prep.synthetic.people.identity import BEARDS, HAIR_NAMES, Identities
from data_prep.synthetic.people.session import BACKGROUNDS, Sessions

MEDIA: dict[str, tuple[str, ...]] = {
    "photo": ("a photo of", "a picture of", "a camera photo of", "this is a photo of"),
    "print": ("a printed picture of", "a paper print of", "a photo of a print of"),
    "screen": ("a picture on a screen of", "a screen showing", "a photo of a screen showing"),
}

TEXTURES: dict[str, tuple[str, ...]] = {
    "clean": ("clean", "sharp", ""),
    "noisy": ("noisy", "grainy"),
    "blurry": ("blurry", "soft"),
    "compressed": ("compressed", "jpeg"),
    "upscaled": ("upscaled", "low resolution"),
    "tinted": ("blotchy colors", "tinted"),
}
"""Words for each kind of texture (see nuisance.apply_texture); "" does not mention it."""

SKIN_WORDS = ("light", "tan", "dark")
BEARD_WORDS = {
    "none": "",
    "full": "a full beard",
    "mustache": "a mustache",
    "stubble": "stubble",
}

PLACE_WORDS = {
    "wall": "in front of a wall",
    "room": "in a room",
    "outdoors": "outdoors",
    "lights": "in front of lights at night",
    "shelves": "in front of shelves",
}
SHIRT_COLORS = tuple(
    f"{shade} {hue}".strip() for shade in ("dark", "", "light") for hue in ("brown", "blue", "grey")
)

MENTIONED = {
    "age": 0.7,
    "smile": 0.85,
    "sex": 0.95,
    "hair": 0.9,
    "curls": 0.8,
    "fringe": 0.8,
    "beard": 0.85,
    "glasses": 0.9,
    "skin": 0.7,
    "mouth": 0.7,
    "shirt": 0.8,
    "place": 0.8,
    "looking": 0.7,
}
"""Attributes, and how often a caption mentions each if there is something to say."""

_TRAITS = ("hair", "curls", "fringe", "beard", "glasses", "skin", "mouth", "shirt")
"""Attributes that follow "with"."""

PROMPT_LABELS = ("live", "fake", "real", "spoof", "attack", "genuine", "bona fide")

_OTHER_WORDS = (
    "edited swapped digital physical adversarial replay mask noise human this is not an",
    "a face of a person shown on paper, on a screen or on a display",
)


def describe(identities: Identities, sessions: Sessions) -> list[dict[str, str]]:
    """Describe each image by the attributes in ``MENTIONED``; "" means nothing to say."""
    return [
        _describe_person(identities.row(i)) | _describe_moment(sessions.row(i))
        for i in range(len(identities))
    ]


def _describe_person(person: SimpleNamespace) -> dict[str, str]:
    length = "long" if person.long_hair else "short"
    hair = f"{length} {HAIR_NAMES[int(person.hair_index)]} hair"
    tone = person.skin_tone
    return {
        "sex": "man" if person.male else "woman",
        "age": "old" if person.age > 0.62 else "young" if person.age < 0.3 else "middle aged",
        "hair": "no hair" if person.bald else hair,
        "curls": "curls" if person.curl > 0.5 and not person.bald else "",
        "fringe": "a fringe" if person.fringe and not person.bald else "",
        "beard": BEARD_WORDS[BEARDS[int(person.beard)]],
        "glasses": "glasses" if person.glasses else "",
        "skin": SKIN_WORDS[0 if tone < 5 / 3 else 1 if tone < 10 / 3 else 2],
    }


def _describe_moment(session: SimpleNamespace) -> dict[str, str]:
    looking = "left" if session.yaw < -0.18 else "right" if session.yaw > 0.18 else ""
    return {
        "smile": "smiling" if session.smile > 0.45 else "",
        "mouth": "an open mouth" if session.mouth_open > 0.4 else "",
        "looking": looking,
        "shirt": f"a {_color_word(session.clothing)} shirt",
        "place": PLACE_WORDS[BACKGROUNDS[int(session.background)]],
    }


def _color_word(color: Tensor) -> str:
    """Return one of ``SHIRT_COLORS`` for linear RGB."""
    red, _, blue = color.flatten().tolist()
    warmth = (red - blue) / (red + blue)
    hue = "brown" if warmth > 0.17 else "blue" if warmth < -0.17 else "grey"
    brightness = float(color.mean())
    shade = "dark" if brightness < 0.20 else "light" if brightness > 0.42 else ""
    return f"{shade} {hue}".strip()


def caption(
    attributes: Mapping[str, str],
    medium: str,
    rng: random.Random,
    texture: str | None = None,
    local: bool = False,
) -> str:
    """Write a sentence about an image that omits random attributes, as people would.

    Args:
        attributes: One of the dictionaries from ``describe``.
        medium: "photo", "print", or "screen".
        rng: Chooses words and the attributes to omit.
        texture: A key of TEXTURES, or None not to mention the texture.
        local: Whether the texture covers only a part of the image ("partly blurry : ...").

    Raises:
        ValueError: If the medium or texture is unknown.
    """
    return texture_words(texture, local, rng) + sentence(mentioned(attributes, rng), medium, rng)


def mentioned(attributes: Mapping[str, str], rng: random.Random) -> dict[str, str]:
    """Choose the attributes that a caption mentions, each with its own probability."""
    return {
        name: attributes[name]
        for name, chance in MENTIONED.items()
        if attributes[name] and rng.random() < chance
    }


def sentence(said: Mapping[str, str], medium: str, rng: random.Random) -> str:
    """Write a sentence about ``medium`` and exactly the attributes in ``said``.

    Raises:
        ValueError: If the medium is unknown.
    """
    if medium not in MEDIA:
        raise ValueError(f"unknown medium {medium!r}; expected one of {', '.join(MEDIA)}")
    words = [said[name] for name in ("age", "smile") if name in said]
    words.append(said["sex"] if "sex" in said else rng.choice(("person", "face")))
    article = "an" if words[0] == "old" else "a"
    text = f"{rng.choice(MEDIA[medium])} {article} {' '.join(words)}"
    traits = [
        f"{said[name]} skin" if name == "skin" else said[name] for name in _TRAITS if name in said
    ]
    rng.shuffle(traits)
    if traits:
        text += " with " + " and ".join(traits)
    text += f" {said['place']}" if "place" in said else ""
    return text + (f" looking {said['looking']}" if "looking" in said else "")


def texture_words(texture: str | None, local: bool, rng: random.Random) -> str:
    """Write the beginning of a caption that names the texture, or ""."""
    if texture is None:
        return ""
    if texture not in TEXTURES:
        raise ValueError(f"unknown texture {texture!r}; expected one of {', '.join(TEXTURES)}")
    word = rng.choice(TEXTURES[texture])
    return f"{'partly ' if local else ''}{word} : " if word else ""


def _vocabulary_texts() -> list[str]:
    texts = [*PROMPT_LABELS]
    texts += [phrase for phrases in MEDIA.values() for phrase in phrases]
    texts += [f"partly {word} :" for words in TEXTURES.values() for word in words if word]
    texts += [f"{length} {color} hair" for length in ("long", "short") for color in HAIR_NAMES]
    texts += [f"{tone} skin" for tone in SKIN_WORDS]
    texts += [word for word in BEARD_WORDS.values() if word]
    texts += [f"a {color} shirt" for color in SHIRT_COLORS]
    texts += list(PLACE_WORDS.values())
    texts += [
        "a young smiling man with no hair and glasses looking left",
        "an old woman with an open mouth and curls and a fringe looking right",
        "a middle aged person",
        "a face",
    ]
    return texts + list(_OTHER_WORDS)


VOCABULARY_TEXTS: list[str] = _vocabulary_texts()
"""Texts that together contain every word of captions and prompts."""
