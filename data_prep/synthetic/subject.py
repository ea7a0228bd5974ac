"""Images of one subject: live captures and the planned attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from data_prep.building.resume import Row
from data_prep.seeds import derive_seed
from data_prep.synthetic.attacks import digital
from data_prep.synthetic.attacks.adversarial import adversarial_attack
from data_prep.synthetic.attacks.edit_sources import (
    changed_attribute,
    donor_session,
    fresh_grain,
    other_mouth,
)
from data_prep.synthetic.attacks.physical import print_attack, recapture_place, replay_attack
from data_prep.synthetic.attacks.surrogate import load_surrogate
from data_prep.synthetic.camera import CAPTURE_SIZE, capture, jpeg, resize
from data_prep.synthetic.nuisance import NO_NUISANCE, reprocess
from data_prep.synthetic.people.identity import Identities, sample_identities
from data_prep.synthetic.people.session import Sessions, sample_sessions
from data_prep.synthetic.people.worn_mask import fit_to_wearer, sample_masks
from data_prep.synthetic.pictures import save_png
from data_prep.synthetic.plan import NO_SETTING, AttackPlan, SubjectPlan
from data_prep.synthetic.scene.renderer import Rendering, render
from data_prep.taxonomy import FAKE, LIVE, family_of


@dataclass(frozen=True)
class SubjectWork:
    """A subject to draw, and the folder to write to."""

    plan: SubjectPlan
    seed: int
    folder: Path
    with_maps: bool


@dataclass(frozen=True)
class _Picture:
    """An image before its last step, sRGB (1, 3, h, w), and its maps."""

    type: str
    index: int
    session: int
    image: Tensor
    nuisance: str = NO_NUISANCE
    setting: str = NO_SETTING
    mask: Tensor | None = None
    depth: Tensor | None = None


def make_subject(work: SubjectWork) -> list[Row]:
    """Write all images of a subject; return their rows of the manifest."""
    subject = _Subject(work.plan, work.seed)
    rows = []
    for picture in subject.pictures():
        generator = subject.generator("last step", picture.type, picture.index)
        image = saved(reprocess(picture.image, picture.nuisance, generator), generator)
        rows.append(_save(picture, image, work))
    return rows


def live_captures(plan: SubjectPlan, seed: int) -> Tensor:
    """Return a subject's captures before re-processing, sRGB (captures, 3, h, w)."""
    return _Subject(plan, seed).captures


def saved(image: Tensor, generator: torch.Generator) -> Tensor:
    """Compress half of the images again, both live and fake."""
    again, quality = torch.rand(2, generator=generator).tolist()
    return jpeg(image, 86 + int(11 * quality)) if again < 0.5 else image


class _Subject:
    """A person in one session per live capture; every attack starts from one of these."""

    def __init__(self, plan: SubjectPlan, seed: int) -> None:
        self.plan = plan
        self.seed = seed
        self.identity = self._person(plan.number)
        self.sessions = self._sessions("session", len(plan.live))
        self.rendering: Rendering = render(self.identity.repeat(len(plan.live)), self.sessions)
        self.captures = capture(self.rendering.radiance, self.sessions)

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return a generator for one purpose, so that an added attack does not change others."""
        seed = derive_seed("dataset", self.seed, self.plan.number, *purpose)
        return torch.Generator().manual_seed(seed)

    def pictures(self) -> Iterator[_Picture]:
        yield from (self._live(session) for session in range(len(self.plan.live)))
        for index, attack in enumerate(self.plan.attacks):
            yield self._attack(attack, index)

    def _person(self, number: int) -> Identities:
        return sample_identities(1, derive_seed("dataset", self.seed), number)

    def _sessions(self, purpose: str, count: int) -> Sessions:
        seed = derive_seed("dataset", purpose, self.seed, self.plan.number)
        return sample_sessions(count, seed)

    def _live(self, session: int) -> _Picture:
        image = self.captures[session : session + 1]
        depth = resize(self.rendering.depth[session : session + 1], CAPTURE_SIZE)
        return _Picture(LIVE, session, session, image, self.plan.live[session], depth=depth)

    def _attack(self, plan: AttackPlan, index: int) -> _Picture:
        generator = self.generator("attack", plan.type, index)
        session = int(torch.randint(len(self.plan.live), (), generator=generator))
        make = {"physical": self._physical, "editing": self._edit, "adversarial": self._dodge}
        image, mask = make[family_of(plan.type)](plan, index, session, generator)
        return _Picture(plan.type, index, session, image, plan.nuisance, plan.setting, mask=mask)

    def _physical(
        self, plan: AttackPlan, index: int, session: int, generator: torch.Generator
    ) -> tuple[Tensor, None]:
        again = self._sessions(f"recapture {index}", 1)
        if plan.type == "mask":
            return self._wear_mask(again, generator), None
        radiance, before = self.rendering.radiance[session : session + 1], self.sessions[session]
        if plan.type == "print":
            again = recapture_place(again, plan.setting, generator)
            light = print_attack(radiance, before, again, generator)
        else:
            light = replay_attack(radiance, before, again, generator)
        return capture(light, again), None

    def _wear_mask(self, session: Sessions, generator: torch.Generator) -> Tensor:
        """Capture the donor wearing a mask of the subject."""
        wearer = self._person(self.plan.donor)
        face = fit_to_wearer(self.identity, wearer)
        worn = face, sample_masks(1, generator)
        return capture(render(wearer, session, worn=worn).radiance, session)

    def _edit(
        self, plan: AttackPlan, index: int, session: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        name, target = plan.type, self._target(session)
        edit = getattr(digital, name)
        if name in ("reenactment", "inpainting"):
            return edit(target, generator)
        return edit(target, self._other_face(name, session, generator), generator)

    def _target(self, session: int) -> digital.Capture:
        row = slice(session, session + 1)
        return digital.Capture(
            self.captures[row],
            resize(self.rendering.canonical[row], CAPTURE_SIZE),
            resize(self.rendering.face_mask[row], CAPTURE_SIZE),
            self.sessions.sensor_noise[row].view(1, 1, 1, 1),
        )

    def _other_face(self, name: str, session: int, generator: torch.Generator) -> Tensor:
        """Return the image that an edit blends in, with less noise than a camera's."""
        now = self.sessions[session]
        sources: dict[str, Callable[[], tuple[Identities, Sessions]]] = {
            "face_swap": lambda: (self._person(self.plan.donor), donor_session(now, generator)),
            "attribute": lambda: (
                changed_attribute(self.identity, generator),
                fresh_grain(now, generator),
            ),
            "gan": lambda: (self.identity, fresh_grain(now, generator)),
            "talking": lambda: (self.identity, other_mouth(now, generator)),
        }
        identity, other = sources[name]()
        noise_share = 0.3 if name == "gan" else 0.8
        other = other.replace(sensor_noise=noise_share * other.sensor_noise)
        return capture(render(identity, other).radiance, other, jpeg=False)

    def _dodge(
        self, plan: AttackPlan, index: int, session: int, generator: torch.Generator
    ) -> tuple[Tensor, None]:
        image = self.captures[session : session + 1]
        return adversarial_attack(plan.type, image, load_surrogate(), generator), None


def _save(picture: _Picture, image: Tensor, work: SubjectWork) -> Row:
    subject = f"s{work.plan.number:04d}"
    name = f"{picture.type}-{picture.index}"
    paths = {"path": f"images/{subject}/{name}.png", "mask": None, "depth": None}
    save_png(image[0], work.folder / paths["path"])
    if work.with_maps:
        for kind in ("mask", "depth"):
            values = getattr(picture, kind)
            if values is not None:
                paths[kind] = f"{kind}s/{subject}/{name}.png"
                save_png(values[0], work.folder / paths[kind])
    return {
        "id": f"{subject}-{name}",
        "path": paths["path"],
        "label": LIVE if picture.type == LIVE else FAKE,
        "family": family_of(picture.type),
        "type": picture.type,
        "subject": subject,
        "source": f"{subject}-session-{picture.session}",
        "frame": 0,
        "mask": paths["mask"],
        "depth": paths["depth"],
        "nuisance": picture.nuisance,
        "setting": picture.setting,
    }
