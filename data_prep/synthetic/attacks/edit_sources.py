"""Faces for edits to blend in: another person, a changed attribute, another mouth.

Each function changes one property of an identity or session. The caller renders the result and
passes the image to an edit in ``digital``.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from data_prep.synthetic.people.identity import HAIR_COLORS, Identities
from data_prep.synthetic.people.session import Sessions


def donor_session(session: Sessions, generator: torch.Generator) -> Sessions:
    """Return the session of a swapped face: almost the same pose, other light, other grain."""
    rows = len(session)

    def normal(std: float, *shape: int) -> torch.Tensor:
        return std * torch.randn(rows, *shape, generator=generator)

    return fresh_grain(session, generator).replace(
        yaw=session.yaw + normal(0.05),
        pitch=session.pitch + normal(0.03),
        light=F.normalize(session.light + normal(0.25, 3), dim=-1),
    )


def changed_attribute(identity: Identities, generator: torch.Generator) -> Identities:
    """Change the hair, age, make-up, or glasses of one person (one row)."""
    choice = int(torch.randint(4, (), generator=generator))
    if choice == 0:
        return identity.replace(hair_color=_other_hair(identity, generator)[None])
    if choice == 1:
        tan = 1 + 0.12 * torch.randn(1, 1, generator=generator)
        return identity.replace(age=1 - identity.age, skin=(identity.skin * tan).clamp(0, 1))
    if choice == 2:
        return identity.replace(makeup=1 - identity.makeup, lip_tone=1 - identity.lip_tone)
    return identity.replace(glasses=1 - identity.glasses)


def other_mouth(session: Sessions, generator: torch.Generator) -> Sessions:
    """Return the session with a closed mouth if it was open, or an open one if it was closed."""
    was_open = session.mouth_open > 0.4
    opening = 0.5 + 0.5 * torch.rand(len(session), generator=generator)
    smile = -0.3 + 1.3 * torch.rand(len(session), generator=generator)
    return fresh_grain(session, generator).replace(
        mouth_open=torch.where(was_open, 0.0, opening), smile=smile
    )


def fresh_grain(session: Sessions, generator: torch.Generator) -> Sessions:
    """Return the session with other sensor noise, because decoders do not copy an image's grain."""
    seed = torch.randint(2**31, (len(session),), generator=generator)
    return session.replace(seed=seed)


def _other_hair(identity: Identities, generator: torch.Generator) -> torch.Tensor:
    others = [color for i, color in enumerate(HAIR_COLORS) if i != int(identity.hair_index)]
    return others[int(torch.randint(len(others), (), generator=generator))]
