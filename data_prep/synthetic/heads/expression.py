"""Faces that people make: facial actions, named as ARKit names them, of expressions and visemes."""

from __future__ import annotations

from collections.abc import Mapping


def _both(**actions: float) -> dict[str, float]:
    """Actions of the left and the right side alike."""
    return {f"{name}{side}": w for name, w in actions.items() for side in ("Left", "Right")}


EXPRESSIONS: dict[str, dict[str, float]] = {
    "neutral": {},
    "smile": _both(mouthSmile=0.62, cheekSquint=0.45, mouthDimple=0.25),
    "laugh": _both(
        mouthSmile=0.8, mouthUpperUp=0.75, mouthLowerDown=0.25, cheekSquint=0.7, eyeSquint=0.35
    )
    | {"jawOpen": 0.09},
    "frown": _both(browDown=0.7, mouthFrown=0.45, eyeSquint=0.3),
    "surprise": _both(browOuterUp=0.6, eyeWide=0.5) | {"browInnerUp": 0.7, "jawOpen": 0.30},
    "sad": _both(mouthFrown=0.55) | {"browInnerUp": 0.75, "mouthShrugLower": 0.35},
    "sneer": _both(noseSneer=0.6, mouthUpperUp=0.3, browDown=0.45),
    "pucker": {"mouthPucker": 0.8, "mouthFunnel": 0.2},
    "blink": _both(eyeBlink=1.0),
}
"""Weights of facial actions at full strength."""

VISEMES: dict[str, dict[str, float]] = {
    "AA": _both(mouthLowerDown=0.2) | {"jawOpen": 0.5},
    "OO": {"jawOpen": 0.13, "mouthFunnel": 0.6, "mouthPucker": 0.6},
    "EE": _both(mouthStretch=0.5, mouthSmile=0.3, mouthUpperUp=0.3, mouthLowerDown=0.4)
    | {"jawOpen": 0.10},
    "FV": _both(mouthUpperUp=0.3) | {"jawOpen": 0.08, "mouthRollLower": 0.7},
    "MM": _both(mouthPress=0.5) | {"mouthRollLower": 0.3, "mouthRollUpper": 0.3},
}
"""Mouths of sounds; with more of the jaw, OO would show the lower teeth."""

FACES = EXPRESSIONS | VISEMES
ALWAYS = _both(eyeWide=0.16)
"""Without it, eyes are slits in small images."""


def mix(*faces: tuple[Mapping[str, float], float]) -> dict[str, float]:
    """A weighted sum of expressions."""
    total: dict[str, float] = {}
    for actions, weight in faces:
        for name, value in actions.items():
            total[name] = total.get(name, 0.0) + weight * value
    return total


def gaze_actions(right: float, down: float) -> dict[str, float]:
    """What the lids do when the eyes turn by these angles in radians."""
    side = ("OutLeft", "InRight") if right > 0 else ("InLeft", "OutRight")
    height = "Down" if down > 0 else "Up"
    actions = {f"eyeLook{name}": 1.5 * abs(right) for name in side}
    return actions | {f"eyeLook{height}{name}": 2.2 * abs(down) for name in ("Left", "Right")}
