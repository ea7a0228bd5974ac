"""Where a measurement runs, and how it compares results before it reports a speed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Unavailable(RuntimeError):
    """A measurement that this machine cannot make; the message says what it lacks."""


class Disagreement(RuntimeError):
    """Results that differ from the reference; nothing is recorded."""


@dataclass(frozen=True)
class Setting:
    """Device and sizes of all measurements.

    Attributes:
        device: Where the measured side runs.
        tiny: Small sizes that take seconds on a CPU.
        work: Folder for what measurements share, such as rendered faces.
        compared: What :func:`require_close` has found so far.
    """

    device: torch.device
    tiny: bool
    work: Path
    compared: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    @property
    def backend(self) -> str:
        """Backend of torch.compile; generating code for a CPU takes minutes, so there is none."""
        return "inductor" if self.is_gpu else "aot_eager"

    def require_close(self, what: str, error: float, at_most: float) -> None:
        """Note an error and its bound.

        Raises:
            Disagreement: If it is larger, or not a number.
        """
        self.compared.append({"what": what, "error": float(f"{error:.3g}"), "at_most": at_most})
        if not error <= at_most:
            raise Disagreement(f"{what}: the relative error is {error:.3g}, expected {at_most:g}")


def relative_error(found: Iterable[Tensor], wanted: Iterable[Tensor]) -> float:
    """Return the norm of the differences of some tensors, divided by that of ``wanted``."""
    differences = norms = 0.0
    for mine, theirs in zip(found, wanted, strict=True):
        expected = theirs.detach().cpu().double()
        differences += float((mine.detach().cpu().double() - expected).square().sum())
        norms += float(expected.square().sum())
    return (differences / norms) ** 0.5 if norms else float(differences > 0)
