"""The people of the shipped dataset: groups are as even as chance allows, in every split."""

import numpy as np
import pytest

from data_prep.seeds import derive_seed
from data_prep.synthetic.people.identity import GLASSES_SHARE, Identities, sample_identities
from data_prep.synthetic.plan import PRESETS

SPLITS = {}
_first = 0
for _name, _size in PRESETS["laptop"].items():
    SPLITS[_name] = (_first, _size.subjects)
    _first += _size.subjects


def people(split: str) -> Identities:
    first, count = SPLITS[split]
    return sample_identities(count, derive_seed("dataset", 0), first)


def within(found: float, share: float, n: int, sigmas: float = 2.5) -> bool:
    return abs(found - share) <= sigmas * (share * (1 - share) / n) ** 0.5


@pytest.mark.parametrize("split", SPLITS)
def test_groups_are_even_within_sampling_error(split):
    who, n = people(split), SPLITS[split][1]
    tones = np.histogram(who.skin_tone, 6, (0, 5))[0] / n
    assert all(within(share, 1 / 6, n) for share in tones), tones
    assert within(float(who.male.mean()), 0.5, n)
    assert within(float(who.glasses.mean()), GLASSES_SHARE, n)
    older = who.age[who.male > 0].mean() - who.age[who.male == 0].mean()
    assert abs(older) < 2.5 * float(who.age.std()) * 2 / n**0.5


def test_groups_do_not_go_together():
    """Over all people: tone against sex, glasses and age; sex against glasses."""
    parts = [people(split) for split in SPLITS]
    tone, male, glasses, age = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("skin_tone", "male", "glasses", "age")
    )
    for first, second in ((tone, male), (tone, glasses), (tone, age), (male, glasses)):
        assert abs(np.corrcoef(first, second)[0, 1]) < 2.5 / len(tone) ** 0.5
