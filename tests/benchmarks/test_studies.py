"""Prepared studies: premise, sources of variance, one detector or two. In small, without training
anything for longer than a moment."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import premise, unified_or_separate, variance
from lasoftmoe.data import open_dataset
from lasoftmoe.experiment import load_config
from lasoftmoe.metrics.intervals import Scored
from lasoftmoe.metrics.spaces import STATISTICS
from lasoftmoe.records.plans import require_plan
from tests.lasoftmoe.tiny import TinyDetector, write_tiny_dataset

STUDIES = premise.PLAN.parent


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    return open_dataset(write_tiny_dataset(tmp_path_factory.mktemp("data") / "tiny"), "p1")


@pytest.fixture
def config():
    whole = load_config("vanilla", "laptop")
    return replace(whole, training=replace(whole.training, epochs=1, batch_size=8))


@pytest.fixture
def tiny_detectors(monkeypatch):
    """Build the tiny detector in place of CLIP."""
    for module in (variance, unified_or_separate):
        monkeypatch.setattr(module, "build_detector", lambda config, seed: TinyDetector(seed))


def test_the_four_spaces_have_a_row_for_each_image():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 96, 96), dtype=torch.uint8, generator=generator)
    spaces = premise.image_spaces(images)
    assert list(spaces) == ["layout", "identity", "texture", "clip_before"]
    for features in spaces.values():
        assert features.shape[0] == 3
        assert np.isfinite(features).all()


def test_the_premise_is_recorded_with_its_plan(splits, tmp_path, monkeypatch):
    """Each space and each seed of the trained detector has a row for every statistic."""

    class Run:
        def detector(self):
            detector = TinyDetector()
            detector.embed = lambda images: images.float().flatten(1)[:, :9]
            return detector

    monkeypatch.setattr(premise, "run", lambda *given: Run())
    monkeypatch.setattr(premise, "open_datasets", lambda config: splits)
    monkeypatch.setattr(
        premise, "image_spaces", lambda images: {"layout": images.float().flatten(1).numpy()}
    )
    out = tmp_path / "premise.json"
    premise.main(["--seeds", "2", "--resamples", "3", "--out", str(out)])
    record = json.loads(out.read_text())
    rows = pd.DataFrame(record["spaces"])
    assert set(rows["statistic"]) == set(STATISTICS)
    assert rows.groupby("space")["seed"].nunique(dropna=False).to_dict() == {
        "layout": 1,
        "clip_after": 2,
    }
    assert (rows["low"] <= rows["high"]).all()
    require_plan(record["plan"], STUDIES)


def test_people_are_dealt_whole_and_splits_keep_their_sizes(splits):
    dealt = variance.shuffled_people(splits, 1)
    before, after = (
        {name: set(part.table["subject"]) for name, part in each.items()}
        for each in (splits, dealt)
    )
    assert {name: len(people) for name, people in after.items()} == {
        name: len(people) for name, people in before.items()
    }
    assert after != before
    assert not after["train"] & after["test"]
    assert set.union(*after.values()) == set.union(*before.values())
    assert variance.shuffled_people(splits, 0) is splits
    again = variance.shuffled_people(splits, 1)
    assert again["test"].table["id"].tolist() == dealt["test"].table["id"].tolist()
    row = dealt["test"].table.iloc[0]
    index = splits_index(splits, row["id"])
    assert torch.equal(dealt["test"][0]["image"], index)


def splits_index(splits, name: str) -> torch.Tensor:
    """The image with this id, wherever it was before."""
    for part in splits.values():
        found = part.table.index[part.table["id"] == name]
        if len(found):
            return part[int(found[0])]["image"]
    raise AssertionError(name)


def test_each_source_is_varied_alone(splits, monkeypatch):
    monkeypatch.setattr(variance, "open_datasets", lambda config: splits)
    monkeypatch.setattr(variance, "rendered_again", lambda *given: {"rendered": given[1]})
    seen = []

    def error(config, data, weights, order):
        seen.append((data if "rendered" in data else data["test"].checksum, weights, order))
        return 0.1

    options = argparse.Namespace(experiment="vanilla", preset="laptop", draws=2, workers=1)
    options.sources = variance.SOURCES
    rows = variance.measure(options, error)
    same = splits["test"].checksum
    assert seen == [
        (same, 0, 0),
        (same, 1, 0),
        (same, 0, 0),
        (same, 0, 1),
        (same, 0, 0),
        (f"{same}, people dealt 1", 0, 0),
        (same, 0, 0),
        ({"rendered": 1}, 0, 0),
    ]
    assert [row["source"] for row in rows] == [name for name in variance.SOURCES for _ in range(2)]


def test_weights_and_order_have_seeds_of_their_own(splits, config, tiny_detectors):
    first = variance.error_on_test(config, splits, 0, 0)
    assert first == variance.error_on_test(config, splits, 0, 0)
    assert 0 <= first <= 1


def test_the_spread_of_a_source_is_its_standard_deviation():
    rows = [{"source": "weights", "draw": k, "acer": x} for k, x in enumerate((0.1, 0.2, 0.3))]
    rows += [{"source": "order", "draw": k, "acer": 0.2} for k in range(3)]
    weights, order = variance.summarize(rows)
    assert weights["deviation"] == pytest.approx(0.1)
    assert weights["low"] <= 0.1 <= weights["high"] + 0.02
    assert order["deviation"] == pytest.approx(0, abs=1e-9)
    assert "weights   3 draws: standard deviation 10.00 [" in variance.to_text([weights])


def test_a_side_keeps_live_images_and_its_attacks(splits):
    only = unified_or_separate.with_attacks(splits["train"], ("physical",))
    assert set(only.table["family"]) == {"live", "physical"}
    assert len(only) < len(splits["train"])
    longer = unified_or_separate.repeated(only, len(splits["train"]))
    assert len(longer) == len(splits["train"])
    assert longer.table["id"].is_unique
    assert torch.equal(longer[len(only)]["image"], only[0]["image"])


def test_scores_are_over_the_threshold_of_their_own_dev_images(splits, config, tiny_detectors):
    run = unified_or_separate.scored(config, splits, ("physical",), seed=0)
    assert run.threshold == 0
    assert len(run.scores) == len(splits["test"]), "also attacks that it was not trained on"


def fake_run(shift: dict[str, float], people: int = 12) -> Scored:
    """Scores of two live images, a print, and an edit for each person."""
    rng = np.random.default_rng(0)
    rows = []
    for person in range(people):
        for number, family in enumerate(("live", "live", "physical", "editing")):
            score = shift.get(family, -1.0) + rng.normal(0, 0.2)
            row = {"id": f"{person}-{number}", "subject": f"s{person}", "family": family}
            row |= {"attack_type": family, "is_attack": family != "live", "attack_score": score}
            rows.append(row)
    return Scored(pd.DataFrame(rows), 0.0)


def test_two_detectors_of_one_side_each_catch_both_sides_together():
    physical, digital = fake_run({"physical": 1.0}), fake_run({"editing": 1.0})
    both = unified_or_separate.together(physical, digital)
    for family in ("physical", "editing"):
        mine = both.scores["family"] == family
        assert (both.scores.loc[mine, "attack_score"] > 0).all()
    everything = fake_run({"physical": 1.0, "editing": 1.0})
    runs = {"unified": [everything], "physical": [physical], "digital": [digital]}
    result = unified_or_separate.compare(runs)
    assert result["difference"]["estimate"] == pytest.approx(0, abs=0.05)
    auc = {(row["trained_on"], row["tested_on"]): row["estimate"] for row in result["auc"]}
    assert auc["physical", "physical"] == 1
    assert auc["physical", "digital"] < 0.8
    text = unified_or_separate.to_text(result)
    assert "unified minus separate" in text and "trained on physical, on digital" in text


@pytest.mark.parametrize("module", [premise, variance, unified_or_separate])
def test_each_study_has_its_plan(module):
    assert module.PLAN.name == Path(module.__file__).with_suffix(".yaml").name
    assert module.PLAN.parent == STUDIES and module.PLAN.exists()
