"""An exported file gives torch's scores, its threshold, and its warning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks import deployment
from lasoftmoe.deployment import WARNING, export
from lasoftmoe.deployment.export import TOLERANCE, ExportError, export_detector, export_run
from lasoftmoe.deployment.scorer import OnnxScorer, ScorerError, TorchScorer, open_scorer
from lasoftmoe.experiment.config import load_config
from lasoftmoe.methods import build_detector
from lasoftmoe.records.recorded import read_recorded
from tests.lasoftmoe.tiny import TinyDetector

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FACTS = {"run": "x-1", "image_size": "96", "threshold": "0.5", "threshold_source": "dev EER of x-1"}
EXPERIMENTS = ("la_soft_moe", "la_soft_moe_stable", "top_k_moe", "uni_attack_detection", "cdcn")


@pytest.mark.slow
def test_a_run_is_exported_with_its_threshold(tiny_runs, tmp_path):
    run, path = tiny_runs(), tmp_path / "detector.onnx"
    assert export_run(run, path) <= TOLERANCE
    exported, own = open_scorer(path), open_scorer(run.folder)
    assert isinstance(exported, OnnxScorer) and isinstance(own, TorchScorer)
    for scorer in (exported, own):
        assert (scorer.name, scorer.image_size) == (run.folder.name, 16)
        assert scorer.threshold == run.report["threshold"]
        assert scorer.threshold_source == f"dev EER of {run.folder.name}"
    test = run.datasets()["test"]
    images = test.batch(list(range(len(test))))["image"].numpy()
    np.testing.assert_allclose(exported.score(images), own.score(images), atol=1e-4)
    wanted = run.scores.set_index("id")["attack_score"].loc[test.table["id"]]
    np.testing.assert_allclose(exported.score(images), wanted, atol=1e-4)
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert metadata["warning"] == WARNING


@pytest.mark.slow
def test_the_benchmark_measures_a_run(tiny_runs, tmp_path):
    run, out = tiny_runs(), tmp_path / "record.json"
    assert deployment.main([str(run.folder), "--rounds", "2", "--out", str(out)]) == 0
    record = read_recorded("record", tmp_path)
    name = f"runs/{run.folder.name}"
    assert record.origin.command.startswith(f"python -m benchmarks.deployment {name} --rounds 2")
    assert record.facts["rows"][0]["largest_difference"] <= TOLERANCE


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_methods_can_be_exported(name, tmp_path):
    """Branches away from zero, where they begin; batches of any size."""
    torch.manual_seed(0)
    detector = build_detector(load_config(name, "laptop").detector, 0)
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    assert export_detector(detector, 96, tmp_path / "x.onnx", FACTS) <= TOLERANCE


@pytest.mark.slow
def test_scores_that_differ_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "largest_difference", lambda *_: 2e-4)
    with pytest.raises(ExportError, match=r"differ from torch's by 0\.0002"):
        export_detector(TinyDetector(), 16, tmp_path / "x.onnx", FACTS)
    assert not list(tmp_path.iterdir())


def test_what_is_lacking_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "NEEDS", ("onnx", "no_such_package"))
    with pytest.raises(ExportError, match=r"needs no_such_package; install .*lasoftmoe\[export\]"):
        export_detector(TinyDetector(), 16, tmp_path / "x.onnx", FACTS)


@pytest.mark.slow
def test_a_network_that_depends_on_data_is_told(tmp_path):
    class Branching(TinyDetector):
        def attack_score(self, images):
            if float(images.float().mean()) > 0.5:
                return self(images)
            return F.relu(self(images))

    with pytest.raises(ExportError, match="torch cannot export this detector"):
        export_detector(Branching(), 16, tmp_path / "x.onnx", FACTS)


def test_other_files_are_told(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(ScorerError, match="not a file that `lasoftmoe export` wrote"):
        OnnxScorer(tmp_path / "x.onnx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    with pytest.raises(ScorerError, match="not a file that `lasoftmoe export` wrote"):
        OnnxScorer(tmp_path / "other.onnx")
