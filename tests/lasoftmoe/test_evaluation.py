"""Scores belong to their images, and the threshold comes from dev alone."""

import pytest
import torch

from lasoftmoe import metrics
from lasoftmoe.evaluation import DEV_BPCER, evaluate_detector, from_scores, score
from tests.lasoftmoe.tiny import TinyDetector


def test_each_score_is_that_of_its_image(splits):
    detector = TinyDetector().eval()
    table = score(detector, splits["test"], batch_size=5, progress=False)
    assert list(table) == ["id", "attack_score", "is_attack", "attack_type", "family", "subject"]
    assert table["id"].tolist() == splits["test"].table["id"].tolist()
    for i in (0, 7, 15):
        with torch.no_grad():
            expected = detector.attack_score(splits["test"][i]["image"][None]).item()
        assert table["attack_score"][i] == pytest.approx(expected)


def test_scoring_leaves_the_mode_alone_and_uses_no_dropout(splits):
    detector = TinyDetector().train()
    first = score(detector, splits["dev"], progress=False)
    assert detector.training
    assert first.equals(score(detector, splits["dev"], progress=False))


def test_threshold_comes_from_dev_and_says_so(splits):
    detector = TinyDetector()
    result = evaluate_detector(detector, splits["dev"], splits["test"], progress=False)
    dev = result.scores[result.scores["split"] == "dev"]
    expected = metrics.eer_threshold(dev["attack_score"], dev["is_attack"])
    assert result.dev.threshold == result.test.threshold == expected
    assert result.test.threshold_source == "dev EER"
    assert result.test.n_live == 8 and result.test.n_attack == 8
    assert set(result.test.apcer_per_type) == {"print", "fgsm"}


def test_test_scores_have_no_say_in_the_threshold(splits):
    scores = evaluate_detector(TinyDetector(), splits["dev"], splits["test"], progress=False).scores
    moved = scores.copy()
    moved.loc[moved["split"] == "test", "attack_score"] += 100
    assert from_scores(moved).test.threshold == from_scores(scores).test.threshold
    assert from_scores(moved).test.bpcer == 1.0


def test_threshold_may_keep_a_promise_to_live_users_instead(splits):
    scores = evaluate_detector(TinyDetector(), splits["dev"], splits["test"], progress=False).scores
    dev = scores[scores["split"] == "dev"]
    result = from_scores(scores, DEV_BPCER)
    expected = metrics.threshold_at_bpcer(dev["attack_score"], dev["is_attack"], 0.01)
    assert result.test.threshold == expected
    assert result.test.threshold_source == "dev BPCER 1%"
    assert result.dev.bpcer <= 0.01
    with pytest.raises(ValueError, match="no rule for a threshold from 'test EER'; known"):
        from_scores(scores, "test EER")


def test_videos_stay_with_the_scores(splits):
    test = splits["test"]
    test.table["video"] = test.table["subject"] + test.table["attack_type"]
    table = score(TinyDetector(), test, progress=False)
    videos = metrics.per_video(table)
    assert videos["id"].tolist() == list(dict.fromkeys(test.table["video"]))
    means = table.groupby("video")["attack_score"].mean()
    assert videos.set_index("id")["attack_score"].to_dict() == pytest.approx(means.to_dict())


def test_scores_that_are_not_finite_name_the_image(splits):
    detector = TinyDetector()
    torch.nn.init.constant_(detector.moe.bias, float("nan"))
    with pytest.raises(ValueError, match="16 of 16 scores are not finite, the first for image 's"):
        score(detector, splits["dev"], progress=False)
