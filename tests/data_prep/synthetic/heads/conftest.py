from types import SimpleNamespace

import pytest
import torch

from data_prep.synthetic.heads.draw import Drawing, draw
from data_prep.synthetic.heads.figure import Figure, make_figure
from data_prep.synthetic.heads.people import BEARDS, HAIR_STYLES, HEADWEAR, People, sample_people
from data_prep.synthetic.heads.session import BACKGROUNDS, FACE_NAMES, Sessions, sample_sessions
from data_prep.synthetic.heads.tables import row_of

SIZE = 96


def plain(people: People) -> People:
    """The same people without hair, beard, glasses, and hats."""
    n = len(people)
    bare = torch.zeros(n)
    return people.replace(
        hair_style=torch.full((n,), HAIR_STYLES.index("bald")),
        beard=torch.full((n,), BEARDS.index("none")),
        headwear=torch.full((n,), HEADWEAR.index("none")),
        glasses=bare,
        stubble=bare,
    )


def calm(sessions: Sessions) -> Sessions:
    """The same sessions seen from the front with a neutral face before a wall."""
    n = len(sessions)
    zero = torch.zeros(n)
    return sessions.replace(
        yaw=zero,
        pitch=zero,
        roll=zero,
        gaze=torch.zeros(n, 2),
        shift=torch.zeros(n, 2),
        face=torch.full((n,), FACE_NAMES.index("neutral")),
        blink=zero,
        small_actions=torch.zeros_like(sessions.small_actions),
        background=torch.full((n,), BACKGROUNDS.index("wall")),
    )


@pytest.fixture(scope="session")
def people() -> People:
    return sample_people(8, seed=21)


@pytest.fixture(scope="session")
def sessions() -> Sessions:
    return sample_sessions(8, seed=22)


@pytest.fixture(scope="session")
def figure() -> Figure:
    return make_figure(row_of(plain(sample_people(1, seed=21)), 0))


@pytest.fixture(scope="session")
def other_figure() -> Figure:
    return make_figure(row_of(sample_people(1, seed=21, start=5), 0))


@pytest.fixture(scope="session")
def session() -> SimpleNamespace:
    return row_of(calm(sample_sessions(1, seed=22)), 0)


@pytest.fixture(scope="session")
def live(figure: Figure, session: SimpleNamespace) -> Drawing:
    return draw(figure, session, SIZE)
