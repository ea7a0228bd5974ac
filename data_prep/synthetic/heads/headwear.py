"""Hats, scarves, and turbans: surfaces around a person's own head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.mesh import SKIN, load_head
from data_prep.synthetic.heads.people import HEADWEAR
from data_prep.synthetic.heads.pieces import Piece, both_sides, turns
from data_prep.synthetic.heads.steady import bell, smoothstep, wave

Array = np.ndarray
Covered = Callable[[Array], Array]
_COLUMNS = 61
_BROW = 7.62
"""Height above which heads are measured for hats: ears do not count."""


@dataclass(frozen=True)
class _Skull:
    """An ellipsoid around the top of a head."""

    middle: Array
    """(3,)."""
    radii: Array

    def at(self, azimuth: Array, height: Array, scale: float = 1.0) -> Array:
        """Points (3, ...) at azimuths in turns (0 in front) and heights over the middle.

        Heights are shares of the vertical radius, -1 to 1; below 0 the sides go straight down.
        """
        flat = np.sqrt(np.clip(1 - np.maximum(height, 0) ** 2, 0, 1))
        x, y, z = self.radii * scale
        return np.stack(
            [
                self.middle[0] + x * flat * wave(azimuth),
                self.middle[1] + y * height,
                self.middle[2] + z * flat * wave(azimuth + 0.25),
            ]
        )

    def under_hat(self, places: Array) -> Array:
        """Which places (3, n) a hat presses flat: all above its rim, (n,) bool."""
        forward = (places[2] - self.middle[2]) / self.radii[2]
        return places[1] > _rim(self, forward) - 0.02


def make_headwear(person: SimpleNamespace, fine: Array) -> tuple[tuple[Piece, ...], Covered | None]:
    """What a person wears on the head, and a test of which hair it hides.

    Args:
        person: a row of People.
        fine: fine vertices of the head, (fine vertices, 3).
    """
    name = HEADWEAR[person.headwear]
    if name == "none":
        return (), None
    skull = _measure(fine)
    makers = {
        "beanie": _beanie,
        "cap": _cap,
        "hat": _hat,
        "turban": _turban,
        "scarf": _scarf,
    }
    pieces = makers[name](skull, person, fine)
    if name == "scarf":
        return pieces, None
    return pieces, skull.under_hat


def _measure(fine: Array) -> _Skull:
    skin = fine[load_head().fine_vertex_kind == SKIN]
    top = skin[skin[:, 1] > _BROW]
    back, front = float(top[:, 2].min()), float(top[:, 2].max())
    middle = np.array([0, 7.45, (back + front) / 2], np.float32)
    half = float(np.abs(top[:, 0]).max())
    radii = np.array([half, float(top[:, 1].max()) - 7.45, (front - back) / 2], np.float32)
    away = (top - middle) / radii
    reach = float(np.sqrt((away * away).sum(axis=1)).max())
    return _Skull(middle, radii * reach)


def _rim(skull: _Skull, forward: Array) -> Array:
    """Height of a hat's rim, by how far forward a point is (-1 back, 1 front)."""
    return skull.middle[1] + 0.04 + 0.36 * smoothstep(-0.9, 0.9, forward)


def _dome(
    skull: _Skull, style: str, scale: float, rows: int = 16, tall: float = 1.0, fold: float = 0.0
) -> Piece:
    """The crown of a hat, from the top to the rim."""
    azimuth, down = turns(rows, _COLUMNS)
    rim = (_rim(skull, wave(azimuth + 0.25)) - skull.middle[1]) / skull.radii[1] / scale
    height = 1 - (1 - rim) * (down * (1.4 - 0.4 * down))
    points = skull.at(azimuth, height, scale)
    points[1] += skull.radii[1] * (tall - 1) * np.clip(height, 0, 1)
    if fold:
        away = 1 + fold * wave(5 * down + 1.0 * azimuth) * smoothstep(0.05, 0.3, down)
        points = skull.middle[:, None, None] + (points - skull.middle[:, None, None]) * away
    return Piece(points.astype(np.float32), np.stack([azimuth, down]), style)


def _band(skull: _Skull, style: str, scale: float, height: float, thickness: float) -> Piece:
    """A ring around the rim."""
    azimuth, down = turns(8, _COLUMNS)
    rim = _rim(skull, wave(azimuth + 0.25)) + height * (1 - down)
    share = (rim - skull.middle[1]) / skull.radii[1] / scale
    points = skull.at(azimuth, np.clip(share, -0.5, 0.98), scale)
    round_edge = np.sqrt(np.clip(1 - (2 * down - 1) ** 4, 0, 1))
    wider = 1 + thickness * round_edge
    points[0] = skull.middle[0] + (points[0] - skull.middle[0]) * wider
    points[2] = skull.middle[2] + (points[2] - skull.middle[2]) * wider
    return Piece(points.astype(np.float32), np.stack([azimuth, down]), style)


def _beanie(skull: _Skull, person: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    slack, cuff = person.headwear_shape
    dome = _dome(skull, "knit", 1.05, tall=1.02 + 0.22 * slack)
    return (dome, _band(skull, "cuff", 1.06, 0.20 + 0.14 * cuff, 0.06))


def _cap(skull: _Skull, person: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    length = 0.75 + 0.2 * float(person.headwear_shape[0])
    across, out = np.meshgrid(np.linspace(-1, 1, 31), np.linspace(0, 1, 10))
    azimuth = (0.17 * across).astype(np.float32)
    rim = _rim(skull, wave(azimuth + 0.25)) + 0.03
    share = (rim - skull.middle[1]) / skull.radii[1] / 1.05
    points = skull.at(azimuth, share, 1.05)
    round_end = np.sqrt(np.clip(1 - (0.92 * across) ** 2, 0, 1))
    points[2] += length * out * round_end
    points[1] -= 0.10 * out * out * length + 0.12 * across * across * out
    visor = Piece(points.astype(np.float32), np.stack([across, out]).astype(np.float32), "visor")
    return (_dome(skull, "panels", 1.05, tall=1.03), *both_sides(visor))


def _hat(skull: _Skull, person: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    wide, tall = (float(value) for value in person.headwear_shape)
    crown = _dome(skull, "felt", 1.08, tall=1.12 + 0.15 * tall)
    azimuth, out = turns(10, _COLUMNS)
    rim = _rim(skull, wave(azimuth + 0.25)) + 0.05
    points = skull.at(azimuth, (rim - skull.middle[1]) / skull.radii[1] / 1.08, 1.08)
    reach = 1 + (0.42 + 0.30 * wide) * out
    points[0], points[2] = (skull.middle[k] + (points[k] - skull.middle[k]) * reach for k in (0, 2))
    side = np.abs(wave(azimuth))
    points[1] += out * out * (0.22 * side - 0.12)
    brim = Piece(points.astype(np.float32), np.stack([azimuth, out]), "felt")
    return (crown, _band(skull, "ribbon", 1.085, 0.16, 0.02), *both_sides(brim))


def _turban(skull: _Skull, person: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    dome = _dome(skull, "wrap", 1.14, rows=26, tall=1.05, fold=0.028)
    return (dome, _band(skull, "wrap", 1.13, 0.30, 0.07))


def _scarf(skull: _Skull, person: SimpleNamespace, fine: Array) -> tuple[Piece, ...]:
    """A cloth around the face that falls over the neck and the shoulders."""
    rows = 44
    across, down = np.meshgrid(np.linspace(0, 1, _COLUMNS), np.linspace(0, 1, rows))
    top = skull.middle[1] + 1.03 * skull.radii[1]
    height = (top - down * (top - 5.15)).astype(np.float32)
    half, middle_depth, front, back = _scarf_rings(skull, fine, height)
    low, middle = _face_opening(fine)
    reach = middle - low
    open_width = 0.635 * np.sqrt(np.clip(1 - ((height - middle) / reach) ** 2, 0, 1))
    start = _quarter_turns(open_width / half)
    azimuth = (start + (1 - 2 * start) * across).astype(np.float32)
    folds = smoothstep(6.7, 6.0, height) * 0.035 * wave(7 * azimuth + 1.6 * height)
    folds = folds + 0.012 * wave(2 * azimuth + 2.2 * height) * smoothstep(0.02, 0.2, down)
    forward = wave(azimuth + 0.25)
    depth = np.where(forward > 0, front, back)
    points = np.stack(
        [
            half * wave(azimuth) * (1 + folds),
            height + 0.05 * wave(azimuth + 0.25) * (height < 5.9),
            middle_depth + depth * forward * (1 + folds),
        ]
    )
    # The hem rolls inward, so that the cloth has thickness around the face.
    hem = bell(across, 0.012) + bell(1 - across, 0.012)
    points[2] -= 0.10 * hem * (start > 0.01)
    return both_sides(Piece(points.astype(np.float32), np.stack([azimuth, height]), "cloth"))


def _scarf_rings(skull: _Skull, fine: Array, height: Array) -> tuple[Array, Array, Array, Array]:
    """The cloth at each height: half width, middle, and depth before and behind the middle."""
    up = (height - skull.middle[1]) / skull.radii[1]
    round_top = np.sqrt(np.clip(1 - np.maximum(up, 0) ** 2 / 1.08, 0.0, 1))
    skin = fine[(load_head().fine_vertex_kind == SKIN) & (fine[:, 1] > 6.9)]
    widest = max(float(np.abs(skin[:, 0]).max()), float(skull.radii[0])) + 0.04
    nape = smoothstep(7.0, 6.25, height)
    spread = smoothstep(6.15, 5.2, height)
    half = widest * round_top * (1 - 0.18 * nape) + 1.05 * spread * spread
    middle = skull.middle[2] * (1 - nape) + 0.32 * nape
    front = 1.10 * skull.radii[2] * round_top * (1 - 0.04 * nape)
    front = front - 0.30 * bell(height - 5.75, 0.3) + 0.12 * spread
    back = 1.10 * skull.radii[2] * round_top * (1 - 0.20 * nape) + 0.10 * spread
    return half, middle, front, back


def _face_opening(fine: Array) -> tuple[float, float]:
    """Lowest and middle height of the opening for the face: it goes below the chin."""
    skin = fine[load_head().fine_vertex_kind == SKIN]
    chin = skin[(np.abs(skin[:, 0]) < 0.1) & (skin[:, 2] > 1.0) & (skin[:, 1] < 6.6)]
    low = float(chin[:, 1].min()) - 0.06
    return low, (low + 7.92) / 2


def _quarter_turns(sine: Array) -> Array:
    """The turn (0 to 0.25) that has a sine: a series, enough for shapes."""
    x = np.clip(sine, 0, 0.999)
    root = np.sqrt(1 - x)
    arc = 1.5707288 - 0.2121144 * x + 0.0742610 * x * x - 0.0187293 * x * x * x
    return (1.5707963 - root * arc) / 6.2831853
