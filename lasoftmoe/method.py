"""A row of the table of methods: settings, builder, and pretrained weights.

Kept apart from the detectors, since the command line reads settings long before it needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from lasoftmoe.detector import Detector


@dataclass(frozen=True)
class MethodConfig:
    """Base of each method's settings: a frozen dataclass made with ``lasoftmoe.settings``."""

    kind: ClassVar[str]
    """The method's name in ``METHODS``."""

    def unloaded(self) -> Self:
        """Return the same network with random weights, which needs no file."""
        return replace(self, pretrained=None) if hasattr(self, "pretrained") else self


@dataclass(frozen=True)
class Weights:
    """Pretrained weights that a method starts from.

    ``name`` is the network, ``tag`` what its configuration calls the weights. ``files`` are on
    this disk. ``hub`` is ``owner/repository/file`` where they can be downloaded, and ``call`` the
    Python statement that does it. ``field`` is the configuration's field.
    """

    name: str
    tag: str | None = None
    files: tuple[Path, ...] = ()
    hub: str = ""
    call: str = ""
    field: str = "detector.pretrained"


@dataclass(frozen=True)
class Method:
    """A row of the table of methods.

    Args:
        config: the dataclass of its settings.
        build: makes a detector from such settings; its random weights come from torch's global
            generator.
        weights: says which pretrained weights such settings ask for.
        paper: where the paper reports it, or what it is here for.
        code: files and folders of ``lasoftmoe``, beyond the method's own file, that decide its
            results.
    """

    config: type[Any]
    build: Callable[[Any], Detector]
    weights: Callable[[Any], Weights | None] = lambda config: None
    paper: str = ""
    code: tuple[str, ...] = ()
