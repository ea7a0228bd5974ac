"""Scores from a finished run or from an exported file, through one interface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from data_prep.reading import open_regular
from lasoftmoe.deployment import EXTRA
from lasoftmoe.detector import Detector
from lasoftmoe.experiment import Run, read_run

INPUT, OUTPUT = "images", "attack_score"


class ScorerError(ValueError):
    """A file that is not an exported detector, or a missing package."""


class Scorer(Protocol):
    """Anything that scores images."""

    @property
    def name(self) -> str:
        """The run that the detector comes from."""
        ...

    @property
    def image_size(self) -> int:
        """Side of its images in pixels."""
        ...

    @property
    def threshold(self) -> float:
        """Score at or above which an image counts as an attack."""
        ...

    @property
    def threshold_source(self) -> str:
        """Where the threshold comes from."""
        ...

    def score(self, images: np.ndarray) -> np.ndarray:
        """Return the scores, float32 (batch,), of uint8 images (batch, 3, size, size)."""
        ...


@dataclass(frozen=True)
class TorchScorer:
    """Scores from a run's own detector."""

    name: str
    image_size: int
    threshold: float
    threshold_source: str
    detector: Detector

    @classmethod
    def of(cls, run: Run) -> TorchScorer:
        """Return the scorer of a finished run."""
        source = f"{run.report['threshold_source']} of {run.folder.name}"
        size, threshold = run.config.data.image_size, run.report["threshold"]
        return cls(run.folder.name, size, threshold, source, run.detector())

    def score(self, images: np.ndarray) -> np.ndarray:
        """See :class:`Scorer`."""
        with torch.no_grad():
            return self.detector.attack_score(torch.from_numpy(images)).float().numpy()


class OnnxScorer:
    """Scores from a file that ``lasoftmoe export`` wrote."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open the file; ``threads=0`` leaves their number to onnxruntime.

        Raises:
            ScorerError: If onnxruntime is missing, or the file is not such a file.
            ReadError: If there is no such file.
        """
        try:
            import onnxruntime
        except ImportError:
            raise ScorerError(f"{path} needs onnxruntime; {EXTRA}") from None
        open_regular(path).close()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers)
            facts = self._session.get_modelmeta().custom_metadata_map
            self.name, self.image_size = facts["run"], int(facts["image_size"])
            self.threshold = float(facts["threshold"])
            self.threshold_source = facts["threshold_source"]
        except Exception as error:  # onnxruntime's errors have no common class
            raise ScorerError(
                f"{path} is not a file that `lasoftmoe export` wrote: {str(error)[:200]}"
            ) from error

    def score(self, images: np.ndarray) -> np.ndarray:
        """See :class:`Scorer`."""
        return self._session.run([OUTPUT], {INPUT: images})[0]


def open_scorer(path: Path) -> Scorer:
    """Open a run's folder or an exported file.

    Raises:
        FileNotFoundError, RunError, ScorerError, ReadError: Each says what is wrong.
    """
    return TorchScorer.of(read_run(path)) if path.is_dir() else OnnxScorer(path)
