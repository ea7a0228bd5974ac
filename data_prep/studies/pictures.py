"""Images of one person under any attack at any strength."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from data_prep.seeds import derive_seed
from data_prep.synthetic.attacks import digital
from data_prep.synthetic.attacks.adversarial import ADVERSARIAL, adversarial_attack
from data_prep.synthetic.attacks.edit_sources import (
    changed_attribute,
    donor_session,
    fresh_grain,
    other_mouth,
)
from data_prep.synthetic.attacks.physical import print_attack, recapture_place, replay_attack
from data_prep.synthetic.attacks.surrogate import load_surrogate
from data_prep.synthetic.camera import CAPTURE_SIZE, capture, resize
from data_prep.synthetic.nuisance import reprocess
from data_prep.synthetic.people.identity import Identities, sample_identities
from data_prep.synthetic.people.session import Sessions, sample_sessions
from data_prep.synthetic.people.worn_mask import fit_to_wearer, sample_masks
from data_prep.synthetic.plan import ATTACK_DECK, MEASURED_LIVE_DECK, SETTINGS
from data_prep.synthetic.scene.renderer import Rendering, render
from data_prep.synthetic.subject import saved

_FRESH_NOISE = {"face_swap": 0.8, "attribute": 0.8, "talking": 0.8, "gan": 0.3}
"""Shares of the sensor noise that the dataset's decoders preserve."""


class Person:
    """A person in one session, chosen by ``number`` and ``seed`` as in ``sample_identities``."""

    def __init__(self, number: int, seed: int) -> None:
        self.number = number
        self.seed = seed
        self.identity = self._identity(number)
        self.session = self._session("session")

    @functools.cached_property
    def rendering(self) -> Rendering:
        return render(self.identity, self.session)

    @functools.cached_property
    def image(self) -> Tensor:
        """The live capture, sRGB (1, 3, 96, 96)."""
        return capture(self.rendering.radiance, self.session)

    def live(self, index: int) -> Tensor:
        """Draw a live capture in another session, after the last step of dev and test."""
        session = self._session(f"live {index}")
        image = capture(render(self.identity, session).radiance, session)
        return last_step(image, MEASURED_LIVE_DECK, self._generator("live", index))

    def attacked(self, name: str, strength: float) -> Tensor:
        """Draw an attack with strengths up to ``strength``, after the dataset's last step.

        Everything else is the same for every strength.
        """
        generator = self._generator("attack", name)
        image = self._attack(name, strength, generator)
        return last_step(image, ATTACK_DECK, self._generator("last", name))

    def _attack(self, name: str, strength: float, generator: torch.Generator) -> Tensor:
        if name in ADVERSARIAL:
            surrogate = load_surrogate()
            return adversarial_attack(name, self.image, surrogate, generator, strength)
        if name in ("print", "replay", "mask"):
            return self._physical(name, strength, generator)
        edit = getattr(digital, name)
        other = [self._other_face(name)] if name in _FRESH_NOISE else []
        return edit(self._target, *other, generator, strength)[0]

    def _physical(self, name: str, strength: float, generator: torch.Generator) -> Tensor:
        again = self._session("recapture")
        if name == "mask":
            wearer = self._identity(self.number + 1)
            face = fit_to_wearer(self.identity, wearer)
            masks = sample_masks(1, generator, strength)
            return capture(render(wearer, again, worn=(face, masks)).radiance, again)
        if name == "print":
            again = recapture_place(again, SETTINGS[self.number % len(SETTINGS)], generator)
        attack = {"print": print_attack, "replay": replay_attack}[name]
        light = attack(self.rendering.radiance, self.session, again, generator, strength)
        return capture(light, again)

    @functools.cached_property
    def _target(self) -> digital.Capture:
        return digital.Capture(
            self.image,
            resize(self.rendering.canonical, CAPTURE_SIZE),
            resize(self.rendering.face_mask, CAPTURE_SIZE),
            self.session.sensor_noise.view(1, 1, 1, 1),
        )

    @functools.cache  # noqa: B019 - people live as long as the study
    def _other_face(self, name: str) -> Tensor:
        """Return the face that the edit blends in, which does not depend on the strength."""
        generator, now = self._generator("other", name), self.session
        sources: dict[str, Callable[[], tuple[Identities, Sessions]]] = {
            "face_swap": lambda: (self._identity(self.number + 1), donor_session(now, generator)),
            "attribute": lambda: (
                changed_attribute(self.identity, generator),
                fresh_grain(now, generator),
            ),
            "gan": lambda: (self.identity, fresh_grain(now, generator)),
            "talking": lambda: (self.identity, other_mouth(now, generator)),
        }
        identity, session = sources[name]()
        session = session.replace(sensor_noise=_FRESH_NOISE[name] * session.sensor_noise)
        return capture(render(identity, session).radiance, session, jpeg=False)

    def _identity(self, number: int) -> Identities:
        return sample_identities(1, derive_seed("study", self.seed), number)

    def _session(self, purpose: str) -> Sessions:
        return sample_sessions(1, derive_seed("study", purpose, self.seed, self.number))

    def _generator(self, *purpose: str | int) -> torch.Generator:
        seed = derive_seed("study", self.seed, self.number, *purpose)
        return torch.Generator().manual_seed(seed)


def last_step(image: Tensor, deck: dict[str, int], generator: torch.Generator) -> Tensor:
    """Re-process and save again with the dataset's frequencies; ``deck`` is one of ``plan``."""
    times = torch.tensor(list(deck.values()), dtype=torch.float)
    card = int(torch.multinomial(times, 1, generator=generator))
    return saved(reprocess(image, list(deck)[card], generator), generator)
