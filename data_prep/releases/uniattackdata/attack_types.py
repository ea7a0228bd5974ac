"""The attacks of UniAttackData: folder, family, what it is and where it comes from.

The release calls editing "digital". What its papers leave open is said to be open.
"""

from __future__ import annotations

from data_prep.contract.checks import UNKNOWN
from data_prep.taxonomy import FAKE, LIVE

_PAPER = "UniAttackData, arXiv 2401.17699"

_TABLE = {
    "physical": {
        "cloth-indoor": "a print on cloth, captured indoors (reading of the folder's name)",
        "cloth-outdoor": "a print on cloth, captured outdoors (reading of the folder's name)",
        "screen-rs": "a replay on a screen (reading of the folder's name)",
    },
    "editing": {
        "DaGAN": "talking head driven by another video, with estimated depth (Hong et al. 2022)",
        "FaceDancer": "face swap that keeps pose and occlusion (Rosberg et al. 2023)",
        "InsightFace": "face swap by the InsightFace toolbox",
        "OneShotTH": "talking head from one image (Wang et al. 2021)",
        "SAFA": "animation by structure-aware motion (Wang et al. 2021)",
        "simswap": "face swap by injecting an identity embedding (Chen et al. 2020)",
    },
    "adversarial": {
        "advdrop": "detail dropped by quantization of DCT blocks (Duan et al. 2021)",
        "alma": "augmented Lagrangian attack (Rony et al. 2021)",
        "demiguise": "perturbation of low perceptual distance (Wang et al. 2021)",
        "fgtm": "fast gradient attack, targeted (reading of the folder's name)",
        "ila_da": "intermediate-level attack with data augmentation (Yan et al. 2023)",
        "ssah": "semantic similarity attack on high frequencies (Luo et al. 2022)",
    },
}

FAMILY_OF = {name: family for family, types in _TABLE.items() for name in types}
ATTACK_TYPES = {
    name: {"family": family, "description": description, "source": _PAPER}
    for family, types in _TABLE.items()
    for name, description in types.items()
}
# The challenge renamed its images to numbers: which attack one is cannot be known.
UNKNOWN_ATTACK = {
    UNKNOWN: {
        "family": UNKNOWN,
        "description": "an attack whose kind the challenge does not tell",
        "source": "CVPR 2024 challenge, arXiv 2404.06211",
    }
}


def types_of(family: str) -> tuple[str, ...]:
    """The attack types of a family, in the order of the table."""
    return tuple(_TABLE[family])


def label_of(family: str) -> str:
    """``live`` or ``fake``."""
    return LIVE if family == LIVE else FAKE
