"""Export of a trained detector to ONNX, with its preprocessing and its threshold."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data_prep.atomic import write_atomically
from lasoftmoe.deployment import EXTRA, WARNING
from lasoftmoe.deployment.scorer import INPUT, OUTPUT, OnnxScorer
from lasoftmoe.detector import Detector
from lasoftmoe.experiment import Run

TOLERANCE = 1e-4
"""Largest difference of a score from torch's, relative to scores above 1."""
NEEDS = ("onnx", "onnxruntime", "onnxscript")


class ExportError(RuntimeError):
    """A detector that cannot be exported, or whose exported scores differ."""


class _Scores(nn.Module):
    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        return self.detector.attack_score(images).float()


def export_run(run: Run, path: Path) -> float:
    """Write a run's detector to ``path`` and compare its scores with torch's.

    The graph takes ``images``, uint8 (batch, 3, size, size), and returns ``attack_score``, float32
    (batch,), higher for attacks. Scaling to [0, 1] and the network's normalization are inside.
    Threshold, its source, and a warning are in the file's metadata.

    Returns:
        The largest difference of a score, relative to scores above 1.

    Raises:
        ExportError: If packages are missing, the network cannot be exported, or scores differ by
            more than ``TOLERANCE``; nothing is written.
    """
    facts = {
        "run": run.folder.name,
        "image_size": str(run.config.data.image_size),
        "threshold": repr(run.report["threshold"]),
        "threshold_source": f"{run.report['threshold_source']} of {run.folder.name}",
        "warning": WARNING,
    }
    return export_detector(run.detector(), run.config.data.image_size, path, facts)


def export_detector(detector: Detector, size: int, path: Path, facts: dict[str, str]) -> float:
    """Do as :func:`export_run` does; ``facts`` are the file's metadata, ``size`` is in pixels."""
    lacking = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if lacking:
        raise ExportError(f"export needs {', '.join(lacking)}; {EXTRA}")
    module = _Scores(detector.eval())
    example = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    with torch.no_grad():
        module(example)  # texts that do not change are encoded now and become constants
        program = _program(module, example)
    for name, value in facts.items():
        program.model.metadata_props[name] = value
    difference = 0.0

    def write(temporary: Path) -> None:
        nonlocal difference
        program.save(temporary, external_data=False)
        difference = largest_difference(module, temporary, size)
        if not difference <= TOLERANCE:
            raise ExportError(
                f"exported scores differ from torch's by {difference:.2g}, at most {TOLERANCE:g} "
                "is allowed; nothing was written"
            )

    write_atomically(path, write)
    return difference


def _program(module: nn.Module, example: Tensor) -> torch.onnx.ONNXProgram:
    before, fast = logging.root.manager.disable, torch.backends.mha.get_fastpath_enabled()
    logging.disable(logging.WARNING)
    torch.backends.mha.set_fastpath_enabled(False)  # a fused operator that ONNX does not have
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                dynamo=True,
                verbose=False,
            )
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__  # torch's own message says only at which step it stopped
        told = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise ExportError(f"torch cannot export this detector: {told[:300]}") from error
    finally:
        logging.disable(before)
        torch.backends.mha.set_fastpath_enabled(fast)
    assert program is not None
    return program


def largest_difference(module: nn.Module, path: Path, size: int) -> float:
    """Return the largest difference between torch's and the file's scores of noise."""
    draw, scorer = np.random.default_rng(0), OnnxScorer(path)
    found = []
    for count in (1, 3):
        images = draw.integers(0, 256, (count, 3, size, size), np.uint8)
        with torch.no_grad():
            wanted = module(torch.from_numpy(images)).numpy()
        found.append(np.abs(scorer.score(images) - wanted) / np.maximum(1, np.abs(wanted)))
    return float(np.concatenate(found).max())
