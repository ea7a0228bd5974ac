"""The same live captures in every form: only the processing differs, and rates are counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks.reprocessing import FORMS, every_form, forms_of, summarize, to_text
from data_prep.synthetic.nuisance import NO_NUISANCE
from data_prep.synthetic.plan import PRESETS, plan_subjects
from lasoftmoe.metrics.intervals import Scored

PLANS = [plan for plan in plan_subjects(PRESETS["tiny"], 0) if plan.split == "test"][:2]


def test_every_capture_comes_in_every_form_and_again_the_same():
    forms = forms_of(PLANS[0], seed=0)
    assert forms.shape == (len(PLANS[0].live), len(FORMS), 3, 96, 96)
    assert torch.equal(forms, forms_of(PLANS[0], seed=0))
    clean, *changed = forms[0].float()
    for name, picture in zip(FORMS[1:], changed, strict=True):
        assert 0 < (picture - clean).abs().mean() < 12, name


def test_rows_say_which_form_each_picture_is():
    pictures = every_form(PLANS, seed=0, workers=1)
    assert len(pictures) == sum(len(plan.live) for plan in PLANS) * len(FORMS)
    assert pictures.table["nuisance"].value_counts().nunique() == 1
    mine = pictures.table.index[pictures.table["subject"] == f"s{PLANS[1].number:04d}"].tolist()
    expected = forms_of(PLANS[1], seed=0).flatten(0, 1)
    assert torch.equal(pictures.batch(mine)["image"], expected)


def _scores(shift: float) -> pd.DataFrame:
    """40 subjects with one capture in every form and one attack; noise moves the score up."""
    rng = np.random.default_rng(0)
    rows = []
    for subject in range(40):
        base = rng.normal()
        for name in FORMS:
            moved = base + shift * (name != NO_NUISANCE)
            rows.append((f"s{subject}", False, moved, name))
        rows.append((f"s{subject}", True, base + 3, NO_NUISANCE))
    return pd.DataFrame(rows, columns=["subject", "is_attack", "attack_score", "nuisance"])


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_pairs_see_what_processing_does_and_nothing_else(shift):
    scores = _scores(shift)
    figures = summarize([Scored(scores, 1.0), Scored(scores, 1.0)])
    live = scores[~scores["is_attack"]]
    for name in FORMS:
        expected = (live.loc[live["nuisance"] == name, "attack_score"] >= 1.0).mean()
        assert figures["rejected"][name] == pytest.approx(expected)
    gap = figures["gap"]
    if shift:
        assert gap["low"] > 0
    else:
        assert gap == {"estimate": 0, "low": 0, "high": 0}, "in pairs, equal faces cancel exactly"
    facts = {"experiment": "vanilla", "seeds": [0, 1], "captures": 40, "people": 40}
    assert "re-processed minus clean" in to_text(facts | figures)
