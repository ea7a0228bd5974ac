"""Table of attack types: name, family, description, and strength.

The synthetic generators draw the strength of each image uniformly between ``LOWEST_SHARE`` times
``strength`` and ``strength``, so that a detector never sees one fixed strength.
"""

from __future__ import annotations

from dataclasses import dataclass

LIVE = "live"
FAKE = "fake"
LABELS = (LIVE, FAKE)
FAMILIES = ("physical", "editing", "adversarial")
LOWEST_SHARE = 0.5


@dataclass(frozen=True)
class AttackType:
    """One type of attack (an attack instrument in ISO/IEC 30107).

    ``strength`` is the largest strength of an image, in ``strength_unit``. A ``held_out`` type is
    in no ordinary split, only in the protocols that test on a left-out type.
    """

    name: str
    family: str
    description: str
    strength: float
    strength_unit: str
    held_out: bool = False


_TABLE = (
    AttackType(
        "print",
        "physical",
        "a photo printed with halftone ink on bent paper and captured again",
        0.45,
        "halftone contrast (0 = continuous tone, 1 = dots only)",
    ),
    AttackType(
        "replay",
        "physical",
        "a photo shown on a display and captured again, with true aliasing (moiré)",
        0.5,
        "sub-pixel contrast (0 = no visible grid, 1 = stripes only)",
    ),
    AttackType(
        "mask",
        "physical",
        "a rigid mask of the subject's face, worn by somebody else",
        1.0,
        "artificiality of the material (0 = skin, 1 = plain paper, plastic or silicone)",
        held_out=True,
    ),
    AttackType(
        "face_swap",
        "editing",
        "the inner face of another subject blended into the capture",
        2.0,
        "coarseness of the decoder (times the pixel pitch of the capture)",
    ),
    AttackType(
        "reenactment",
        "editing",
        "brows, eyes and mouth warped to another expression",
        0.075,
        "standard deviation of landmark shifts (head units; a head is about 1.4 wide)",
    ),
    AttackType(
        "attribute",
        "editing",
        "hair color, age, make-up or glasses changed by a decoder",
        1.7,
        "coarseness of the decoder (times the pixel pitch of the capture)",
    ),
    AttackType(
        "gan",
        "editing",
        "the whole picture re-synthesized by an up-sampling decoder",
        0.012,
        "amplitude of the checkerboard (standard deviation of the gain)",
    ),
    AttackType(
        "inpainting",
        "editing",
        "patches of the face cut out and filled from their surroundings",
        0.38,
        "largest half-axis of a patch (head units; a head is about 1.4 wide)",
    ),
    AttackType(
        "talking",
        "editing",
        "the mouth region replaced to follow another sound track",
        2.0,
        "coarseness of the decoder (times the pixel pitch of the capture)",
    ),
    AttackType(
        "fgsm",
        "adversarial",
        "one step along the sign of the gradient (Goodfellow et al. 2015)",
        6.0,
        "largest change of a value (1/255)",
    ),
    AttackType(
        "pgd",
        "adversarial",
        "projected gradient steps from a random start (Madry et al. 2018)",
        6.0,
        "largest change of a value (1/255)",
    ),
    AttackType(
        "mifgsm",
        "adversarial",
        "sign steps along a smoothed gradient with momentum (Dong et al. 2018)",
        7.0,
        "largest change of a value (1/255)",
    ),
    AttackType(
        "cw",
        "adversarial",
        "the smallest change in L2 that dodges recognition (Carlini and Wagner 2017)",
        5.0,
        "largest root mean square change (1/255)",
    ),
    AttackType(
        "advdrop",
        "adversarial",
        "detail dropped by an adversarial quantization of 8 x 8 DCT blocks (Duan et al. 2021)",
        70.0,
        "largest quantization step of a DCT coefficient (1/255)",
    ),
    AttackType(
        "semantic",
        "adversarial",
        "a smooth adversarial change of color and exposure",
        0.15,
        "largest relative change of a value",
    ),
)

ATTACK_TYPES: dict[str, AttackType] = {row.name: row for row in _TABLE}


def attack_type(name: str) -> AttackType:
    """Look up one attack by name.

    Raises:
        ValueError: If no attack has that name.
    """
    try:
        return ATTACK_TYPES[name]
    except KeyError:
        known = ", ".join(ATTACK_TYPES)
        raise ValueError(f"unknown attack type {name!r}; known types: {known}") from None


def types_of(family: str, held_out: bool = True) -> tuple[str, ...]:
    """Return the names of a family's attacks, in the order of the table.

    Args:
        held_out: Whether to include the held-out types.

    Raises:
        ValueError: If no family has that name.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}; known families: {', '.join(FAMILIES)}")
    rows = (row for row in _TABLE if row.family == family)
    return tuple(row.name for row in rows if held_out or not row.held_out)


def family_of(type_name: str) -> str:
    """Return a type's family; ``"live"`` is its own family.

    Raises:
        ValueError: If no attack has that name.
    """
    return LIVE if type_name == LIVE else attack_type(type_name).family
