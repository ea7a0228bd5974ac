"""A row of the table of methods: settings, builder, and pretrained weights.

Kept apart from the detectors, because the command line reads settings before it needs torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from lasoftmoe.detector import Detector


@dataclass(frozen=True)
class MethodConfig:
    """Base class of each method's settings, a frozen dataclass that ``settings.CHECKED`` checks."""

    kind: ClassVar[str]
    """The method's name in ``METHODS``."""

    def unloaded(self) -> Self:
        """Return settings of the same network with random weights, which need no file."""
        return replace(self, pretrained=None) if hasattr(self, "pretrained") else self

    def deciding(self) -> dict[str, Any]:
        """Return the settings that decide a run's result; a method drops those it does not read."""
        return asdict(self)


@dataclass(frozen=True)
class Weights:
    """Pretrained weights that a method starts from.

    ``name`` is the network, ``tag`` the configuration's name for the weights, ``field`` the
    configuration's field. ``files`` are local. ``hub`` is the download's
    ``owner/repository/file``, and ``call`` the Python statement that downloads it.
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
        config: Dataclass of its settings.
        build: Builds a detector from settings; random weights come from torch's global generator.
        weights: Returns the pretrained weights that settings ask for.
        check: Raises ValueError or FileNotFoundError, with the cause, if settings cannot be built
            on this machine; builds and downloads nothing.
        paper: Where the paper reports the method, or why it is here.
        code: Other files and folders of ``lasoftmoe`` that its results depend on.
        libraries: Packages that define its network; their versions count like code.
    """

    config: type[Any]
    build: Callable[[Any], Detector]
    weights: Callable[[Any], Weights | None] = lambda config: None
    check: Callable[[Any], None] = lambda config: None
    paper: str = ""
    code: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
