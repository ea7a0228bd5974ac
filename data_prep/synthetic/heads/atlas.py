"""The atlas of the skin: the place of each texel on the template, and masks and noise on it.

Skin is painted as a function of the place on the template, (x, y, z) in decimeters, so that both
sides match and no seam shows from the front. Maps are (height, width).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.synthetic.heads.chance import Chance
from data_prep.synthetic.heads.mesh import ATLAS, ATLAS_SCALE, MASKS, SKIN, load_arrays, load_head
from data_prep.synthetic.heads.raster import rasterize
from data_prep.synthetic.heads.shape import template
from data_prep.synthetic.heads.steady import bell, smoothstep

Array = np.ndarray
WIDTH = int((ATLAS[3] - ATLAS[2]) * ATLAS_SCALE)
HEIGHT = int((ATLAS[1] - ATLAS[0]) * ATLAS_SCALE)


@dataclass(frozen=True)
class Canvas:
    """What painters need of the atlas."""

    place: Array
    """Places on the template, (3, height, width)."""
    covered: Array
    """Where the head really is, (height, width) bool."""
    front: Array
    """1 on the front of the head, 0 behind the ears."""
    masks: dict[str, Array]
    """The masks of MASKS, 0 to 1."""

    @property
    def x(self) -> Array:
        return self.place[0]

    @property
    def ax(self) -> Array:
        """Distance from the middle: most things are painted once for both sides."""
        return np.abs(self.place[0])

    @property
    def y(self) -> Array:
        return self.place[1]

    @property
    def z(self) -> Array:
        return self.place[2]

    def spot(self, ax: float, y: float, width: float, height: float) -> Array:
        """A soft spot on both sides of the front of the face."""
        across, up = (self.ax - ax) / width, (self.y - y) / height
        return bell(np.sqrt(across * across + up * up)) * self.front


def atlas_pixels(uv: Array) -> tuple[Array, Array]:
    """Texel coordinates, right and down, of texture coordinates (2, ...)."""
    return (uv[1] - ATLAS[2]) * ATLAS_SCALE, (uv[0] - ATLAS[0]) * ATLAS_SCALE


@functools.cache
def canvas() -> Canvas:
    """The canvas of the shipped head; made once in a process."""
    head = load_head()
    skin = head.triangle_kind == SKIN
    corners = head.triangle_uv[skin].reshape(-1, 2).T
    x, y = atlas_pixels(corners)
    size = max(WIDTH, HEIGHT)
    triangles = np.arange(corners.shape[1]).reshape(-1, 3)
    hits = rasterize(
        np.stack([x, y]).astype(np.float32), np.zeros(len(x)), triangles, size, both_sides=True
    )
    fine = (head.subdivide @ template())[head.triangles[skin].ravel()]
    place = np.zeros((3, size * size), np.float32)
    place[:, hits.pixel] = hits.interpolate(fine, triangles)
    covered = np.zeros(size * size, bool)
    covered[hits.pixel] = True
    covered = covered.reshape(size, size)[:HEIGHT, :WIDTH]
    place = place.reshape(3, size, size)[:, :HEIGHT, :WIDTH]
    # Texels around the head repeat the nearest one on it, so that sampling never meets a gap.
    nearest = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    place = place[:, nearest[0], nearest[1]]
    arrays, _ = load_arrays()
    masks = {name: _enlarged(arrays[f"mask_{name}"]) for name in MASKS}
    return Canvas(place, covered, smoothstep(0.5, 1.0, place[2]), masks)


def _enlarged(mask: Array) -> Array:
    """A mask of half the resolution at the atlas's, 0 to 1."""
    return _stretched(mask.astype(np.float32) / 255, HEIGHT, WIDTH, 0.5, 0.5, -0.25, -0.25)


def noise(chance: Chance, grain: float) -> Array:
    """Smooth noise of about unit variance whose spots are ``grain`` texels wide."""
    rows, columns = int(HEIGHT / grain) + 4, int(WIDTH / grain) + 4
    values = chance.normal(rows, columns)
    down, right = chance.uniform(0, 1, 2)
    # Interpolation averages, which lowers the variance.
    return 1.4 * _stretched(values, HEIGHT, WIDTH, 1 / grain, 1 / grain, down, right)


def _stretched(
    values: Array, height: int, width: int, down: float, right: float, top: float, left: float
) -> Array:
    """Samples of a grid at steps ``down`` and ``right`` from (top, left), smooth in between."""
    for axis, (count, step, first) in enumerate(((height, down, top), (width, right, left))):
        where = np.clip(np.arange(count) * step + first, 0, values.shape[axis] - 1.001)
        index = where.astype(np.int64)
        share = (where - index).astype(np.float32)
        share = share * share * (3 - 2 * share)
        share = share[:, None] if axis == 0 else share[None]
        values = values.take(index, axis) * (1 - share) + values.take(index + 1, axis) * share
    return values


def beard_region(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """Where beards grow at template places: chin and cheeks, mustache, and sideburns."""
    ax = np.abs(x)
    cheek = smoothstep(0.06, -0.06, y - (6.50 + 0.75 * np.clip(ax - 0.22, 0, 1)))
    neck = smoothstep(6.16, 6.36, y + 0.10 * np.clip(z - 1.2, -0.6, 0.3))
    front = smoothstep(0.38, 0.62, z) * smoothstep(0.75, 1.1, z + 2.2 * np.clip(y - 6.12, 0, 1))
    jaw = cheek * neck * front * smoothstep(0.80, 0.72, ax)
    square = _flat(ax / 0.27) * _flat((y - 6.775 + 0.12 * ax) / 0.06)
    mustache = square * smoothstep(1.2, 1.35, z)
    lips = _flat(ax / 0.26) * _flat((y - 6.655) / 0.075) * smoothstep(1.2, 1.3, z)
    sideburns = bell((ax - 0.76) / 0.07) * bell((y - 7.0) / 0.25) * smoothstep(0.3, 0.5, z)
    return jaw * (1 - lips), mustache * (1 - 0.9 * lips), 0.8 * sideburns


def _flat(x: Array) -> Array:
    """A bump with a flat top."""
    return bell(x * x)


def brow_height(ax: Array) -> Array:
    """Height of the middle of the brows on the template."""
    across = (ax - 0.36) / 0.26
    return 7.455 + 0.055 * (1 - across * across)


def brow_region(ax: Array, y: Array, thickness: float) -> Array:
    """Where brows grow: thick inside, thin outside, 0 to 1."""
    half = 0.026 * smoothstep(0.06, 0.17, ax) * smoothstep(0.57, 0.32, ax) + 0.008
    ends = smoothstep(0.065, 0.11, ax) * smoothstep(0.545, 0.43, ax)
    return _flat((y - brow_height(ax)) / (half * thickness)) * ends


# The hairline, as the sine of its elevation over the middle of the head, by its direction:
# 0 to the front, 1 to the side, 2 to the back (an angle without trigonometry).
_MIDDLE = np.array([0, 7.45, 0.35], np.float32)
_DIRECTIONS = np.array([0, 0.20, 0.33, 0.42, 0.51, 0.64, 0.76, 0.89, 1.05, 1.22, 1.36, 1.57, 2.0])
_USUAL = np.array(
    [0.58, 0.60, 0.60, 0.53, 0.45, 0.28, -0.10, 0.02, 0.05, -0.30, -0.52, -0.66, -0.70]
)
_RECEDING = np.array(
    [0.75, 0.85, 0.87, 0.81, 0.64, 0.39, -0.10, 0.02, 0.05, -0.30, -0.52, -0.66, -0.70]
)


def scalp(place: Array, hairline: float, receding: bool, softness: float = 0.1) -> Array:
    """How densely hair grows at template places (3, ...), 0 to 1; ears stay bare.

    Args:
        place: on the template.
        hairline: how far the line is above the usual one, standard normal.
        receding: whether temples and crown are bare.
        softness: width of the edge.
    """
    x, y, z = (place[k] - _MIDDLE[k] for k in range(3))
    ax = np.abs(x)
    up = y / np.maximum(np.sqrt(x * x + y * y + z * z), 1e-6)
    direction = 1 - z / np.maximum(ax + np.abs(z), 1e-6)
    line = np.interp(direction, _DIRECTIONS, _RECEDING if receding else _USUAL)
    line = line + 0.04 * hairline * smoothstep(0.6, 0.3, direction)
    density = smoothstep(-0.5 * softness, softness, up - line)
    if receding:
        crown = smoothstep(0.35, 0.8, up) * smoothstep(1.3, 0.6, direction)
        density = density * (1 - 0.65 * crown)
    ear = (ax > 0.78) & (place[1] < 7.52) & (place[1] > 6.7) & (np.abs(z) < 0.3)
    return np.where(ear, 0, density).astype(np.float32)
