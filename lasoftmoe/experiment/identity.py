"""Identity of a run: a digest of what decides its result, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from data_prep.provenance import ROOT, code_digest, file_hash
from lasoftmoe.data.decoded import decoder_digest
from lasoftmoe.experiment.config import ExperimentConfig
from lasoftmoe.method import MethodConfig
from lasoftmoe.methods import METHODS, MODULES
from lasoftmoe.paths import PACKAGE
from lasoftmoe.training import processes

ENGINE = (
    "data/dataset.py",
    "data/moves.py",
    "data/sampling.py",
    "detector.py",
    "evaluation.py",
    "methods/build.py",
    "metrics/columns.py",
    "metrics/ranking.py",
    "metrics/rates.py",
    "pixels.py",
    "training/loop.py",
    "training/optimizer.py",
    "training/processes.py",
)
"""Code that decides the result of every run. The decoder has a digest of its own."""

STREAMING = ("data/stream_order.py", "data/streaming.py")
"""Code that decides the result of runs with ``data.reader`` "shards"."""


def run_identity(config: ExperimentConfig, dataset_checksum: str) -> str:
    """Return a digest of all that decides a run's result, except the hardware and torch itself.

    It covers the seed, the training, the chosen method's settings, code, libraries, and pretrained
    weights, the engine's and the decoder's code, and the data. Settings that the chosen optimizer,
    schedule, or branch does not read are left out.
    """
    method = METHODS[config.detector.kind]
    data = asdict(config.data)
    data.pop("folder")  # the same data elsewhere is the same data
    code = code_files(config.detector.kind)
    if data["reader"] == "shards":
        code += [PACKAGE / name for name in STREAMING]
    parts = {
        "seed": config.seed,
        "data": data,
        "dataset": dataset_checksum,
        "decoder": decoder_digest(),
        "training": config.training.deciding(),
        "processes": processes.process_count(),  # batch_size is that of one of them
        # Weights count by their bytes or their tag, wherever they are.
        "method": {config.detector.kind: config.detector.unloaded().deciding()},
        "libraries": {name: version(name) for name in method.libraries},
        "weights": _weights_hashes(config.detector),
        "code": code_digest(code, ROOT),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_files(kind: str) -> list[Path]:
    """Return the files whose code decides the result of a method's runs."""
    own = Path(*MODULES[kind].split(".")[1:]).with_suffix(".py")
    names = (*ENGINE, str(own), *METHODS[kind].code)
    files = {file for name in names for file in _python_files(PACKAGE / name)}
    return sorted(files)


def _python_files(path: Path) -> Iterator[Path]:
    return path.rglob("*.py") if path.is_dir() else iter([path])


def _weights_hashes(config: MethodConfig) -> list[str]:
    """Digests of the pretrained weights that are files; a tag stands for itself."""
    weights = METHODS[config.kind].weights(config)
    if weights is None or weights.tag is None:
        return []
    return [file_hash(file) for file in weights.files if file.is_file()] or [weights.tag]
