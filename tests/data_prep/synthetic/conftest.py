from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from data_prep.synthetic.attacks.digital import Capture
from data_prep.synthetic.camera import capture, resize
from data_prep.synthetic.people.identity import Identities, sample_identities
from data_prep.synthetic.people.session import Sessions, sample_sessions
from data_prep.synthetic.scene.renderer import Rendering, render


@dataclass(frozen=True)
class Faces:
    """Four people, each in one session."""

    identities: Identities
    sessions: Sessions
    rendering: Rendering
    captures: Tensor

    @property
    def targets(self) -> Capture:
        return Capture(
            self.captures,
            resize(self.rendering.canonical, 96),
            resize(self.rendering.face_mask, 96),
            self.sessions.sensor_noise.view(-1, 1, 1, 1),
        )


@pytest.fixture(scope="session")
def faces() -> Faces:
    identities, sessions = sample_identities(4, seed=11), sample_sessions(4, seed=12)
    rendering = render(identities, sessions)
    return Faces(identities, sessions, rendering, capture(rendering.radiance, sessions))


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)
