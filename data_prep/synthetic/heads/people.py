"""Who somebody is: the numbers of a head, its skin, hair, and what it always wears."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from data_prep.synthetic.fields import Draws, Fields
from data_prep.synthetic.heads import shape
from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.steady import linear

YOUNGEST, OLDEST = 20, 80
_AGE_GROUPS = ("20–39", "40–59", "60–80")
_TONES = 6
"""Steps of skin tone that are spread evenly."""
_GLASSES = 4
"""One person in so many wears glasses."""
HEADWEAR = ("none", "beanie", "cap", "hat", "scarf", "turban")
BEARDS = ("none", "full", "short", "goatee", "mustache")
HAIR_STYLES = (
    "bald",
    "buzz",
    "crop",
    "receding",
    "side",
    "swept",
    "quiff",
    "curly",
    "afro",
    "medium",
    "pixie",
    "bob",
    "long",
    "wavy",
    "fringe",
    "bun",
    "ponytail",
)
HAIR_NAMES = ("black", "dark brown", "brown", "light brown", "blond", "red")
_HAIR = torch.from_numpy(
    np.stack(
        [
            linear(26, 21, 20),
            linear(48, 33, 25),
            linear(80, 54, 36),
            linear(118, 84, 54),
            linear(186, 150, 98),
            linear(112, 64, 42),
        ]
    )
)
_GRAY = torch.from_numpy(linear(176, 173, 170))
_IRIS = torch.from_numpy(
    np.stack(
        [
            linear(58, 34, 20),
            linear(84, 52, 28),
            linear(112, 84, 48),
            linear(92, 104, 70),
            linear(92, 118, 138),
            linear(122, 136, 142),
        ]
    )
)
_LIPSTICK = torch.from_numpy(
    np.stack([linear(168, 52, 62), linear(184, 92, 92), linear(142, 66, 64), linear(122, 36, 54)])
)
_FRAMES = torch.from_numpy(
    np.stack([linear(24, 22, 22), linear(66, 42, 28), linear(86, 80, 76), linear(34, 40, 72)])
)
_MEN = {
    "buzz": 0.15, "crop": 0.24, "receding": 0.10, "side": 0.16, "swept": 0.10, "quiff": 0.10,
    "curly": 0.07, "afro": 0.02, "medium": 0.06,
}  # fmt: skip
_WOMEN = {
    "pixie": 0.10, "bob": 0.17, "long": 0.19, "wavy": 0.18, "fringe": 0.09, "bun": 0.10,
    "ponytail": 0.09, "curly": 0.05, "afro": 0.03,
}  # fmt: skip
_CURLY = ("curly", "afro", "buzz", "bun")
"""Styles that grow more common with African ancestry."""
_DARKNESS_OF_BROWS = 0.75


@dataclass(frozen=True)
class People(Fields):
    """One row per person. Flags are 0.0 or 1.0; colors (n, 3) are linear albedo."""

    seed: Tensor
    """Of what is drawn by the thousand: strands, grain, moles."""
    male: Tensor
    sex: Tensor
    """0 (female) to 1 (male): the mix of the shape targets."""
    age: Tensor
    """Years, YOUNGEST to OLDEST, spread evenly."""
    ancestry: Tensor
    """Shares of the Caucasian, African, and Asian targets, (n, 3)."""
    weight: Tensor
    """-1 (thin) to 1 (heavy)."""
    axes: Tensor
    """Places on the local features of ``shape.axes``, (n, axes)."""
    form: Tensor
    """Index into ``shape.forms``."""
    form_amount: Tensor
    asymmetry: Tensor
    """Weights of ``shape.asymmetries``, (n, targets)."""

    skin_tone: Tensor
    """0 (light) to 5 (dark), spread evenly."""
    undertone: Tensor
    """Warmth and brightness, standard normal, (n, 2)."""
    flush: Tensor
    """Redness of cheeks, nose, and ears, 0.5 to 1.25."""
    freckles: Tensor
    lip_tone: Tensor
    makeup: Tensor
    lipstick: Tensor
    iris: Tensor

    hair_style: Tensor
    """Index into HAIR_STYLES."""
    hair_index: Tensor
    """Index into HAIR_NAMES: the color before any gray."""
    gray: Tensor
    """Share of gray hair, 0 to 1."""
    hair_color: Tensor
    hair_length: Tensor
    """Factor on the length of the style."""
    hair_volume: Tensor
    hair_part: Tensor
    """Where the hair is parted, -1 to 1 across the head."""
    hairline: Tensor
    """How far the hairline is from the usual one, standard normal."""
    brow_color: Tensor
    brow_width: Tensor
    beard: Tensor
    """Index into BEARDS."""
    beard_length: Tensor
    stubble: Tensor

    glasses: Tensor
    glasses_shape: Tensor
    """Width, height, and squareness, 0 to 1, (n, 3)."""
    glasses_color: Tensor
    headwear: Tensor
    """Index into HEADWEAR."""
    headwear_color: Tensor
    headwear_trim: Tensor
    headwear_shape: Tensor
    """Two free numbers of its form, 0 to 1, (n, 2)."""


def sample_people(n: int, seed: int, start: int = 0) -> People:
    """Draw ``n`` people, numbered ``start`` and up; person i depends on (seed, i) only.

    Every 36 people in a row, counted from number 0, hold each sex, skin tone, and age group in
    each combination once (see ``count_people``), and every 144 hold each once with glasses.
    """
    draws, details, sides = (Draws(n, seed + step, start) for step in (0, 104729, 1299709))
    cells = [_cell(seed, number) for number in range(start, start + n)]
    male = torch.tensor([sex for sex, *_ in cells]).float()
    steps, groups = (torch.tensor([cell[k] for cell in cells]) for k in (1, 2))
    tone = (steps + draws.uniform(0, 1)) / _TONES
    years = YOUNGEST + (OLDEST - YOUNGEST) * (groups + draws.uniform(0, 1)) / len(_AGE_GROUPS)
    ancestry = _ancestry(draws, tone)
    mix = draws.normal(0, 0.06).abs()
    return People(
        seed=(draws.unit() * 2**31).long(),
        male=male,
        sex=torch.where(male > 0, 1 - 1.5 * mix, mix).clamp(0, 1),
        age=years,
        ancestry=ancestry,
        **_features(draws, details, sides, male, ancestry),
        **_skin(draws, tone, male),
        **_hair(draws, tone, male, years, ancestry),
        glasses=torch.tensor([glasses for *_, glasses in cells]).float(),
        glasses_shape=draws.uniform(0, 1, 3),
        glasses_color=_FRAMES[draws.choice(torch.ones(len(_FRAMES)))],
        **_headwear(draws, male),
    )


def _cell(seed: int, number: int) -> tuple[bool, int, int, bool]:
    """Sex, step of skin tone, age group, and glasses of a person.

    Blocks of people hold every combination once, in an order of their own.
    """
    count = 2 * _TONES * len(_AGE_GROUPS)
    block, place = divmod(number, count)
    order = np.argsort(Chance(seed, f"people {block}").uniform(0, 1, count), kind="stable")
    cell = int(order[place])
    offset = int(Chance(seed, "glasses").index(_GLASSES, count)[cell])
    tone, group = divmod(cell // 2, len(_AGE_GROUPS))
    return cell % 2 == 1, tone, group, (block + offset) % _GLASSES == 0


def count_people(people: People) -> pd.DataFrame:
    """A table of counts: sex and skin tone down, age groups across.

    Skin tones are counted in six equal steps, ages in three.
    """
    step = (OLDEST - YOUNGEST) / len(_AGE_GROUPS)
    columns = {
        "sex": ["male" if male else "female" for male in people.male.tolist()],
        "skin tone": [
            min(int(tone * _TONES / 5), _TONES - 1) + 1 for tone in people.skin_tone.tolist()
        ],
        "age": [
            _AGE_GROUPS[min(int((age - YOUNGEST) // step), len(_AGE_GROUPS) - 1)]
            for age in people.age.tolist()
        ],
    }
    table = pd.DataFrame(columns)
    return pd.crosstab([table["sex"], table["skin tone"]], table["age"])


def _ancestry(draws: Draws, tone: Tensor) -> Tensor:
    """Shares of ancestry that go with a skin tone of 0 to 1: mostly one, always mixed a little."""
    centers, widths = torch.tensor([0.16, 0.86, 0.36]), torch.tensor([0.26, 0.32, 0.22])
    likely = torch.exp(-(((tone[:, None] - centers) / widths) ** 2)) + 0.02
    main = torch.nn.functional.one_hot(draws.choice(likely), 3).float()
    mixed = -torch.log(draws.uniform(0.001, 1, 3)) * likely
    mixed = mixed / mixed.sum(-1, keepdim=True)
    share = draws.uniform(0.55, 0.95, 1)
    return share * main + (1 - share) * mixed


def _features(
    draws: Draws, details: Draws, sides: Draws, male: Tensor, ancestry: Tensor
) -> dict[str, Tensor]:
    spread, bias, own = (torch.from_numpy(values) for values in shape.spreads())
    normal = details.normal(0, 1, shape=(len(spread),))
    shared = normal[:, torch.from_numpy(shape.mirrored())]
    soft = torch.from_numpy(np.asarray(shape.soft_share(male.numpy())))[:, None]
    axes = spread * soft * (shared + own * normal) + bias * (1 - male[:, None])
    names = [name for name, *_ in shape.axes()]
    folded = torch.tensor(["epicanthus" in name for name in names])
    wide = torch.tensor(["eye-scale" in name for name in names])
    axes = axes + 0.45 * folded * ancestry[:, 2:] + 0.14 * wide
    uneven = len(shape.asymmetries())
    shown = sides.uniform(0, 1, uneven) < 0.3
    return {
        "axes": axes.clamp(-0.85, 0.85).float(),
        "weight": draws.normal(0, 0.32, -0.7, 0.8),
        "form": draws.choice(torch.ones(len(shape.forms()))),
        "form_amount": draws.uniform(0, 0.45) * soft[:, 0],
        "asymmetry": shown * 0.3 * sides.uniform(0, 1, uneven) * soft,
    }


def _skin(draws: Draws, tone: Tensor, male: Tensor) -> dict[str, Tensor]:
    dark_eyes = torch.tensor([0.65, 0.3, 0.05, 0, 0, 0])
    all_eyes = torch.tensor([0.08, 0.22, 0.2, 0.16, 0.24, 0.1])
    dark = (tone + draws.normal(0, 0.06) > 0.42)[:, None]
    return {
        "skin_tone": 5 * tone,
        "undertone": draws.normal(0, 1, -2, 2, shape=(2,)),
        "flush": draws.uniform(0.5, 1.2),
        "freckles": draws.uniform(0, 1) ** 2 * (tone < 0.4),
        "lip_tone": draws.uniform(0.35, 0.85) + 0.1 * (1 - male),
        "makeup": draws.uniform(0, 1) * draws.chance(0.55) * (1 - male),
        "lipstick": _LIPSTICK[draws.choice(torch.ones(len(_LIPSTICK)))],
        "iris": _IRIS[draws.choice(torch.where(dark, dark_eyes, all_eyes))],
    }


def _hair(
    draws: Draws, tone: Tensor, male: Tensor, years: Tensor, ancestry: Tensor
) -> dict[str, Tensor]:
    light = torch.tensor([0.12, 0.22, 0.24, 0.20, 0.15, 0.07])
    dark = torch.tensor([0.74, 0.22, 0.04, 0, 0, 0])
    is_dark = (tone + draws.normal(0, 0.07) > 0.40)[:, None] | (ancestry[:, 2:] > 0.5)
    index = draws.choice(torch.where(is_dark, dark, light))
    natural = _HAIR[index] * draws.normal(1, 0.10, 0.7, 1.3, shape=(1,))
    gray = ((years - 45) / 35 + draws.normal(0, 0.25)).clamp(0, 1) * draws.uniform(0.3, 1)
    dyed = draws.chance(0.55) * (1 - male)
    gray = gray * (1 - 0.85 * dyed)
    bearded = draws.choice(torch.tensor([0.50, 0.14, 0.16, 0.10, 0.10]))
    brow_gray = (0.6 * gray)[:, None]
    return {
        "hair_style": _styles(draws, male, years, ancestry),
        "hair_index": index,
        "gray": gray,
        "hair_color": natural * (1 - gray[:, None]) + _GRAY * gray[:, None],
        "hair_length": draws.uniform(0.8, 1.2),
        "hair_volume": draws.normal(1, 0.25, 0.5, 1.6),
        "hair_part": draws.uniform(0.1, 0.5) * (2 * draws.chance(0.5) - 1) * draws.chance(0.7),
        "hairline": draws.normal(0, 1, -2, 2),
        "brow_color": _DARKNESS_OF_BROWS * (natural * (1 - brow_gray) + 0.8 * _GRAY * brow_gray),
        "brow_width": draws.uniform(0.75, 1.25) * (0.58 + 0.42 * male),
        "beard": bearded * (male > 0),
        "beard_length": draws.uniform(0, 1),
        "stubble": draws.uniform(0, 1) * draws.chance(0.7) * male,
    }


def _styles(draws: Draws, male: Tensor, years: Tensor, ancestry: Tensor) -> Tensor:
    """Indices into HAIR_STYLES: men lose hair with age, tight curls come with ancestry."""
    men = torch.tensor([_MEN.get(name, 0.0) for name in HAIR_STYLES])
    women = torch.tensor([_WOMEN.get(name, 0.0) for name in HAIR_STYLES])
    curls = torch.tensor([float(name in _CURLY) for name in HAIR_STYLES])
    weights = torch.where(male[:, None] > 0, men, women)
    weights = weights * (1 + 2.5 * curls * ancestry[:, 1:2])
    late = ((years - 30) / 40).clamp(0, 1) * male
    weights[:, HAIR_STYLES.index("bald")] = 0.02 * male + 0.12 * late
    weights[:, HAIR_STYLES.index("receding")] *= 0.1 + 2.2 * late
    return draws.choice(weights)


def _headwear(draws: Draws, male: Tensor) -> dict[str, Tensor]:
    men = torch.tensor([0.85, 0.045, 0.045, 0.03, 0.0, 0.03])
    women = torch.tensor([0.85, 0.03, 0.015, 0.035, 0.07, 0.0])
    return {
        "headwear": draws.choice(torch.where(male[:, None] > 0, men, women)),
        "headwear_color": muted(draws),
        "headwear_trim": muted(draws),
        "headwear_shape": draws.uniform(0, 1, 2),
    }


def muted(draws: Draws, saturation: float = 0.5) -> Tensor:
    """Colors of fabrics, (n, 3): from near black to near white, rarely vivid."""
    brightness = draws.uniform(0.16, 0.86, 1) ** 2
    warm = draws.uniform(-1, 1, 1) * torch.tensor([1.0, 0.05, -1.0])
    green = draws.uniform(-0.6, 0.6, 1) * torch.tensor([-0.6, 0.6, -0.4])
    return (brightness * (1 + saturation * (warm + green))).clamp(0.012, 0.8)
