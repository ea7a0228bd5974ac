"""The attack types of the nine sets, beside those of ``data_prep.taxonomy``.

A set's ``dataset.json`` declares those it uses as ``attack_types``.
"""

from __future__ import annotations

from dataclasses import dataclass

from data_prep.taxonomy import ATTACK_TYPES, LIVE, family_of


@dataclass(frozen=True)
class RealType:
    """An attack type of a real release: ``source`` names the set (or sets) it comes from."""

    name: str
    family: str
    description: str
    source: str


_TABLE = (
    RealType("mask_resin", "physical", "a hard resin mask of the victim's face", "3DMAD"),
    RealType("mask_3d", "physical", "a rigid three-dimensional mask", "HKBU-MarsV2, 3DMask"),
    RealType("paper_mask_full", "physical", "a paper mask without holes", "ROSE-Youtu"),
    RealType("paper_mask_cropped", "physical", "a paper mask with holes cut out", "ROSE-Youtu"),
    RealType("paper_mask_upper", "physical", "a paper mask of the upper face", "ROSE-Youtu"),
    RealType("deepfakes", "editing", "faces swapped by a pair of autoencoders", "FaceForensics++"),
    RealType("face2face", "editing", "expressions transferred by a face model", "FaceForensics++"),
    RealType("faceswap", "editing", "faces swapped by a graphics pipeline", "FaceForensics++"),
    RealType(
        "neuraltextures", "editing", "the mouth rendered anew by a network", "FaceForensics++"
    ),
    RealType("faceshifter", "editing", "faces swapped by FaceShifter", "FaceForensics++"),
    RealType("dfdc_swap", "editing", "faces swapped by one of several undisclosed methods", "DFDC"),
    RealType("celebdf_swap", "editing", "faces swapped by improved autoencoders", "Celeb-DFv2"),
)

REAL_TYPES: dict[str, RealType] = {row.name: row for row in _TABLE}


def family(name: str) -> str:
    """Family of a type of this table or of the taxonomy; a live image's is ``"live"``.

    Raises:
        ValueError: no table has that name.
    """
    if name == LIVE or name in ATTACK_TYPES:
        return family_of(name)
    try:
        return REAL_TYPES[name].family
    except KeyError:
        known = ", ".join((LIVE, *ATTACK_TYPES, *REAL_TYPES))
        raise ValueError(f"unknown attack type {name!r}; known types: {known}") from None


def declared(names: set[str]) -> dict[str, dict[str, str]]:
    """What ``dataset.json`` has to say of the types that the taxonomy lacks."""
    return {
        name: {"family": row.family, "description": row.description, "source": row.source}
        for name, row in REAL_TYPES.items()
        if name in names
    }
