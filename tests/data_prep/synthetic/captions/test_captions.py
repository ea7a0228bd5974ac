import random
import re

import pytest
import torch

from data_prep.synthetic.captions.captions import (
    MEDIA,
    MENTIONED,
    PROMPT_LABELS,
    SHIRT_COLORS,
    TEXTURES,
    VOCABULARY_TEXTS,
    caption,
    describe,
    mentioned,
    sentence,
    texture_words,
)
from data_prep.synthetic.nuisance import _TEXTURES, LOCAL_TEXTURES
from data_prep.synthetic.people.identity import BEARDS, HAIR_NAMES, sample_identities
from data_prep.synthetic.people.session import BACKGROUNDS, sample_sessions

_TOKENS = re.compile(r"[a-z]+|[^a-z\s]")


def tokens(text: str) -> set[str]:
    return set(_TOKENS.findall(text.lower()))


KNOWN = set().union(*(tokens(text) for text in VOCABULARY_TEXTS))
ATTRIBUTES = describe(sample_identities(150, seed=0), sample_sessions(150, seed=0))


def test_every_word_of_every_caption_is_in_the_vocabulary() -> None:
    rng = random.Random(0)
    used: set[str] = set()
    for attributes in ATTRIBUTES:
        for medium in MEDIA:
            for texture in (None, *TEXTURES):
                local = texture in LOCAL_TEXTURES and rng.random() < 0.5
                used |= tokens(caption(attributes, medium, rng, texture, local))
    assert used <= KNOWN, used - KNOWN
    assert {"man", "glasses", "mustache", "screen", "partly", "blotchy", "mouth", "shirt"} <= used
    assert not used & {"live", "fake", "real", "spoof", "attack", "replay", "mask"}


def test_the_labels_of_prompts_are_in_the_vocabulary() -> None:
    for label in PROMPT_LABELS:
        assert tokens(label) <= KNOWN


def test_words_follow_the_numbers() -> None:
    people = sample_identities(1, seed=1).replace(
        male=torch.ones(1),
        age=torch.tensor([0.9]),
        bald=torch.zeros(1),
        long_hair=torch.zeros(1),
        curl=torch.tensor([0.8]),
        fringe=torch.ones(1),
        hair_index=torch.tensor([HAIR_NAMES.index("red")]),
        beard=torch.tensor([BEARDS.index("mustache")]),
        glasses=torch.ones(1),
        skin_tone=torch.tensor([4.5]),
    )
    sessions = sample_sessions(1, seed=1).replace(
        smile=torch.tensor([0.8]),
        mouth_open=torch.tensor([0.9]),
        yaw=torch.tensor([0.3]),
        background=torch.tensor([BACKGROUNDS.index("outdoors")]),
        clothing=torch.tensor([[0.05, 0.06, 0.12]]),
    )
    assert describe(people, sessions)[0] == {
        "sex": "man",
        "age": "old",
        "hair": "short red hair",
        "curls": "curls",
        "fringe": "a fringe",
        "beard": "a mustache",
        "glasses": "glasses",
        "skin": "dark",
        "smile": "smiling",
        "mouth": "an open mouth",
        "looking": "right",
        "shirt": "a dark blue shirt",
        "place": "outdoors",
    }
    plain = describe(
        people.replace(
            male=torch.zeros(1),
            age=torch.tensor([0.1]),
            long_hair=torch.ones(1),
            curl=torch.tensor([0.2]),
            fringe=torch.zeros(1),
            beard=torch.tensor([0]),
            glasses=torch.zeros(1),
            skin_tone=torch.tensor([0.2]),
        ),
        sessions.replace(
            smile=torch.zeros(1),
            mouth_open=torch.zeros(1),
            yaw=torch.tensor([-0.3]),
            background=torch.tensor([BACKGROUNDS.index("lights")]),
            clothing=torch.tensor([[0.55, 0.5, 0.5]]),
        ),
    )[0]
    assert plain == {
        "sex": "woman",
        "age": "young",
        "hair": "long red hair",
        "curls": "",
        "fringe": "",
        "beard": "",
        "glasses": "",
        "skin": "light",
        "smile": "",
        "mouth": "",
        "looking": "left",
        "shirt": "a light grey shirt",
        "place": "in front of lights at night",
    }
    bald = describe(people.replace(bald=torch.ones(1)), sessions)[0]
    assert (bald["hair"], bald["curls"], bald["fringe"]) == ("no hair", "", "")


def test_every_shirt_color_is_worn_about_equally_often() -> None:
    people, sessions = sample_identities(900, seed=4), sample_sessions(900, seed=4)
    worn = [
        a["shirt"].removeprefix("a ").removesuffix(" shirt") for a in describe(people, sessions)
    ]
    assert set(worn) == set(SHIRT_COLORS)
    assert min(worn.count(color) for color in SHIRT_COLORS) > 60


def test_a_sentence_says_what_it_is_given_and_nothing_else() -> None:
    rng = random.Random(6)
    said = {"sex": "man", "glasses": "glasses", "place": "in a room", "looking": "left"}
    text = sentence(said, "print", rng)
    assert text.endswith("a man with glasses in a room looking left")
    assert text.startswith(MEDIA["print"])
    assert sentence({}, "photo", rng).endswith((" a person", " a face"))


def test_each_attribute_is_mentioned_as_often_as_its_chance_says() -> None:
    rng = random.Random(7)
    attributes = dict.fromkeys(MENTIONED, "word") | {"beard": ""}
    said = [mentioned(attributes, rng) for _ in range(2000)]
    for name, chance in MENTIONED.items():
        share = sum(name in words for words in said) / len(said)
        assert share == pytest.approx(chance if name != "beard" else 0, abs=0.04)


def test_skin_words_are_equally_frequent() -> None:
    people, sessions = sample_identities(300, seed=3), sample_sessions(300, seed=3)
    words = [a["skin"] for a in describe(people, sessions)]
    for word in ("light", "tan", "dark"):
        assert words.count(word) == pytest.approx(100, abs=5)


def test_a_caption_never_says_what_is_not_there() -> None:
    rng = random.Random(2)
    for attributes in ATTRIBUTES:
        for _ in range(5):
            words = tokens(caption(attributes, "photo", rng))
            assert ("glasses" in words) <= bool(attributes["glasses"])
            assert ("smiling" in words) <= bool(attributes["smile"])
            assert ("open" in words) <= bool(attributes["mouth"])
            assert not words & ({"man", "woman"} - {attributes["sex"]})
            assert not words & ({"left", "right"} - {attributes["looking"]})


def test_captions_name_the_medium_and_the_texture() -> None:
    rng = random.Random(3)
    for medium, phrases in MEDIA.items():
        text = caption(ATTRIBUTES[0], medium, rng, "blurry", local=True)
        start, rest = text.split(" : ")
        assert start in {"partly blurry", "partly soft"}
        assert rest.startswith(phrases)
    assert {texture_words("clean", False, rng) for _ in range(50)} == {"clean : ", "sharp : ", ""}
    assert texture_words(None, False, rng) == ""


def test_one_picture_has_many_captions_and_a_seed_only_one() -> None:
    rng = random.Random(4)
    assert len({caption(ATTRIBUTES[0], "photo", rng) for _ in range(100)}) > 30
    first = [caption(a, "print", random.Random(5)) for a in ATTRIBUTES]
    assert first == [caption(a, "print", random.Random(5)) for a in ATTRIBUTES]


def test_textures_of_words_and_of_pictures_are_the_same() -> None:
    assert list(TEXTURES) == list(_TEXTURES)
    assert set(LOCAL_TEXTURES) < set(TEXTURES)


def test_unknown_media_and_textures_are_refused() -> None:
    rng = random.Random(6)
    with pytest.raises(ValueError, match=r"'painting'; expected one of photo, print, screen"):
        caption(ATTRIBUTES[0], "painting", rng)
    with pytest.raises(ValueError, match=r"'shiny'; expected one of clean"):
        caption(ATTRIBUTES[0], "photo", rng, "shiny")
