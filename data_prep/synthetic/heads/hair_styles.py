"""Hair styles: numbers for growing them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How a style grows. Lengths are in decimeters."""

    length: tuple[float, float]
    comb: str = ""
    """Where hair is combed to: a name that ``hair.combed`` knows; none for straight up."""
    lift: float = 0.25
    """How far roots stand up."""
    gravity: float = 0.2
    clump: float = 0.4
    """How far strands follow one guide instead of the mean of three."""
    curl: float = 0.05
    coil: float = 0.0
    """Radius of the coils of curly strands."""
    offset: float = 0.04
    """Distance that combed hair keeps from the head."""
    top: float = 0.06
    """More distance on top of the head: volume."""
    sides: float = 1.0
    """Length on the sides against the top."""
    strands: int = 5200
    guides: int = 420
    steps: int = 9
    tint: float = 0.2
    """Spread of brightness between strands, as a logarithm."""
    cut: float | None = None
    """Height at which hair ends, over the middle between the eyes."""


STYLES = {
    "buzz": Style((0.05, 0.08), lift=0.8, gravity=0.05, clump=0, curl=0, offset=0.01, top=0,
                  strands=9000, guides=500, steps=2, tint=0.10),
    "crop": Style((0.26, 0.42), "forward", 0.34, 0.15, 0.45, 0.08, 0, 0.03, 0.05, 0.45,
                  6800, 420, 6),
    "receding": Style((0.14, 0.28), "forward", 0.25, 0.15, 0.35, 0.06, 0, 0.015, 0.02, 0.8,
                      5200, 380, 5, 0.18),
    "side": Style((0.60, 0.85), "part", 0.42, 0.2, 0.35, 0.06, 0, 0.04, 0.10, 0.42, 6600, 400, 10),
    "swept": Style((0.60, 0.90), "back", 0.50, 0.1, 0.35, 0.08, 0, 0.04, 0.11, 0.45, 6600, 400, 10),
    "quiff": Style((0.45, 0.75), "up", 0.75, 0.05, 0.45, 0.10, 0, 0.03, 0.10, 0.30, 6600, 400, 9),
    "curly": Style((0.40, 0.60), "", 0.9, 0.05, 0.7, 0.9, 0.035, 0.06, 0.06, 0.8,
                   7500, 640, 12, 0.26),
    "afro": Style((0.45, 0.75), "", 1.2, 0.0, 0.5, 0.5, 0.022, 0.05, 0.05, 0.9,
                  9000, 640, 10, 0.20),
    "medium": Style((0.85, 1.10), "middle", 0.35, 0.9, 0.4, 0.2, 0, 0.05, 0.10, 0.9, 5600, 520, 12),
    "pixie": Style((0.55, 0.80), "part", 0.34, 0.5, 0.4, 0.07, 0, 0.035, 0.09, 0.55, 6400, 440, 10),
    "bob": Style((1.75, 1.95), "middle", 0.25, 1.2, 0.45, 0.05, 0, 0.06, 0.12, 1.0,
                 5000, 560, 16, cut=-1.0),
    "long": Style((2.5, 2.8), "middle", 0.22, 1.2, 0.4, 0.05, 0, 0.06, 0.11, 1.0,
                  4700, 600, 22, cut=-2.1),
    "wavy": Style((2.1, 2.5), "middle", 0.32, 1.0, 0.55, 0.45, 0.030, 0.08, 0.13, 1.0,
                  4900, 540, 20, 0.24, cut=-1.75),
    "fringe": Style((1.75, 2.0), "fringe", 0.2, 1.2, 0.4, 0.04, 0, 0.05, 0.10, 1.0,
                    5000, 580, 17, cut=-1.05),
    "bun": Style((1.0, 1.3), "bun", 0.12, 0, 0.4, 0.03, 0, 0.025, 0.05, 1.0, 4600, 400, 12),
    "ponytail": Style((1.0, 1.3), "tail", 0.10, 0, 0.4, 0.03, 0, 0.025, 0.05, 1.0, 4600, 400, 12),
}  # fmt: skip
