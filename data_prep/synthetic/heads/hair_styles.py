"""Hair styles: numbers for growing them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """How a style grows. Lengths are in decimeters."""

    length: tuple[float, float]
    comb: str = ""
    """Where hair is combed to: a name that ``scalp_hair.combed`` knows; none for straight up."""
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
    hug: float = 0.0
    """How strongly hair away from the head is drawn to it."""
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
    "crop": Style((0.26, 0.42), "forward", lift=0.34, gravity=0.15, clump=0.45, curl=0.08,
                  offset=0.03, top=0.05, sides=0.45, hug=0.2, strands=6800, steps=6),
    "receding": Style((0.14, 0.28), "forward", lift=0.25, gravity=0.15, clump=0.35, offset=0.015,
                      top=0.02, sides=0.8, hug=0.3, guides=380, steps=5, tint=0.18),
    "side": Style((0.55, 0.75), "part", lift=0.45, clump=0.4, offset=0.035, top=0.11, sides=0.45,
                  hug=0.55, strands=6600, steps=10),
    "swept": Style((0.55, 0.80), "back", lift=0.50, gravity=0.1, clump=0.45, curl=0.06,
                   offset=0.035, top=0.12, sides=0.5, hug=0.55, strands=6600, steps=10),
    "quiff": Style((0.38, 0.58), "up", lift=0.7, gravity=0.05, clump=0.5, curl=0.08, offset=0.03,
                   top=0.12, sides=0.35, hug=0.3, strands=6600, steps=9),
    "curly": Style((0.40, 0.60), lift=0.9, gravity=0.05, clump=0.7, curl=0.9, coil=0.035,
                   offset=0.06, sides=0.8, strands=7500, guides=640, steps=12, tint=0.26),
    "afro": Style((0.45, 0.75), lift=1.2, gravity=0.0, clump=0.5, curl=0.5, coil=0.022,
                  offset=0.05, sides=0.9, strands=9000, guides=640, steps=10),
    "medium": Style((0.85, 1.10), "middle", lift=0.35, gravity=0.9, curl=0.15, offset=0.045,
                    top=0.11, sides=0.9, hug=0.5, strands=5600, guides=520, steps=12),
    "pixie": Style((0.50, 0.72), "part", lift=0.34, gravity=0.5, curl=0.06, offset=0.03, top=0.11,
                   sides=0.6, hug=0.55, strands=6600, guides=440, steps=10),
    "bob": Style((1.75, 1.95), "middle", lift=0.28, gravity=1.2, clump=0.45, offset=0.055,
                 top=0.11, hug=0.5, strands=5200, guides=560, steps=16, cut=-1.0),
    "long": Style((2.5, 2.8), "middle", lift=0.25, gravity=1.2, offset=0.055, top=0.10, hug=0.5,
                  strands=4900, guides=600, steps=22, cut=-2.1),
    "wavy": Style((2.1, 2.5), "middle", lift=0.34, gravity=1.0, clump=0.55, curl=0.4, coil=0.030,
                  offset=0.07, top=0.12, hug=0.4, strands=5000, guides=540, steps=20, tint=0.24,
                  cut=-1.75),
    "fringe": Style((1.75, 2.0), "fringe", lift=0.22, gravity=1.2, curl=0.04, offset=0.045,
                    top=0.12, hug=0.5, strands=5200, guides=580, steps=17, cut=-1.05),
    "bun": Style((1.0, 1.3), "bun", lift=0.14, gravity=0, curl=0.03, offset=0.025, top=0.06,
                 strands=4800, guides=400, steps=12),
    "ponytail": Style((1.0, 1.3), "tail", lift=0.12, gravity=0, curl=0.03, offset=0.025, top=0.06,
                      strands=4800, guides=400, steps=12),
}  # fmt: skip
