"""One image of one person, from the backdrop to the glasses, with maps of the same geometry."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.backdrop import paint_backdrop
from data_prep.synthetic.heads.figure import Figure
from data_prep.synthetic.heads.glasses import lay_glasses
from data_prep.synthetic.heads.light import Shadows, cast_shadows
from data_prep.synthetic.heads.mesh import (
    LASHES,
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    SKIN,
    TONGUE,
    TORSO,
    UPPER_TEETH,
    load_head,
)
from data_prep.synthetic.heads.raster import rasterize
from data_prep.synthetic.heads.scene import PIECE, Scene, make_scene, rest_places
from data_prep.synthetic.heads.strand import HAIR
from data_prep.synthetic.heads.strands import HairLayer, lay_hair, pose_strands
from data_prep.synthetic.heads.surface import Surface, look, shine

Array = np.ndarray
PART_NAMES = (
    "background", "skin", "eye", "mouth", "hair", "beard", "clothes", "headwear", "glasses",
)  # fmt: skip
_PART = {name: number for number, name in enumerate(PART_NAMES)}
_PART_OF_KIND = {
    SKIN: "skin", TORSO: "clothes", LEFT_EYE: "eye", RIGHT_EYE: "eye", UPPER_TEETH: "mouth",
    LOWER_TEETH: "mouth", TONGUE: "mouth", PIECE: "headwear",
}  # fmt: skip
_IN_FACE = (LEFT_EYE, RIGHT_EYE, UPPER_TEETH, LOWER_TEETH, TONGUE)
LANDMARKS = {
    "right eye, outer corner": (-0.47, 7.28),
    "right eye, inner corner": (-0.17, 7.25),
    "left eye, inner corner": (0.17, 7.25),
    "left eye, outer corner": (0.47, 7.28),
    "tip of the nose": (0.0, 6.93),
    "right nostril": (-0.16, 6.93),
    "left nostril": (0.16, 6.93),
    "right corner of the mouth": (-0.25, 6.67),
    "left corner of the mouth": (0.25, 6.67),
    "upper lip": (0.0, 6.74),
    "lower lip": (0.0, 6.60),
    "chin": (0.0, 6.2),
    "right brow, outer end": (-0.55, 7.47),
    "right brow, inner end": (-0.12, 7.45),
    "left brow, inner end": (0.12, 7.45),
    "left brow, outer end": (0.55, 7.47),
}
"""Places (x, y) on the front of the template; left and right are the person's."""
_METERED = 0.275
"""Light of median skin after metering, if the camera followed its meter fully."""
_FACE_SHARE = 0.75
"""Weight of the face against the whole image in metering."""
_FOLLOWS = 0.65
"""How far it follows: so dark skin stays darker than light skin."""
_LASHES = np.array([0.012, 0.009, 0.008], np.float32)
_FACE_MIDDLE, _HALF_HEAD = np.array([0.0, 7.25], np.float32), 1.1
"""Just below the eyes, and half a head's height, both on the template."""
_NEAREST, _FARTHEST = 1.9, -1.2


@dataclass(frozen=True)
class Drawing:
    """One image and its maps, as ``renderer.Rendering`` holds many; and the scene behind them."""

    radiance: Array
    depth: Array
    parts: Array
    face_mask: Array
    canonical: Array
    uv: Array
    landmarks: Array
    gain: float
    """The camera's exposure."""
    hair: Array
    """How much hair of the head covers each pixel, (size, size)."""
    scene: Scene


def draw(figure: Figure, session: SimpleNamespace, size: int, gain: float | None = None) -> Drawing:
    """Draw a figure in a session (a row of Sessions), ``size`` pixels per side.

    ``gain`` is the camera's exposure; None lets it meter the scene, which an edit must not do
    again.

    Raises:
        ValueError: If the size is odd or below 16.
    """
    if size < 16 or size % 2:
        raise ValueError(f"size is {size}; expected an even number of pixels, 16 or more")
    scene = make_scene(figure, session, size)
    strands = pose_strands(scene, figure)
    shadows = _shadows(scene, session, strands[:, figure.hair.kind == HAIR][:, ::3])
    surface = look(scene, figure, session, shadows)
    light = shine(surface, scene, session, figure.person.skin_tone / 5)
    layers = _begin(scene, surface, session, light)
    _add_lashes(layers, scene, figure)
    ground = layers.depth - 0.15 * _ears(scene, surface)
    hair = lay_hair(scene, figure, session, strands, ground, shadows)
    if hair is not None:
        _add_hair(layers, hair)
    if figure.person.glasses:
        _add_glasses(layers, scene, figure, session)
    if gain is None:
        gain = _metered_gain(layers.light, light, scene, surface, session)
    return Drawing(
        radiance=np.maximum(layers.light * np.float32(gain), 0).reshape(3, size, size),
        depth=_closeness(layers.depth).reshape(size, size),
        parts=layers.parts.reshape(size, size),
        face_mask=layers.face.reshape(size, size),
        canonical=_canonical(scene, surface),
        uv=np.stack([scene.image(values) for values in surface.uv]),
        landmarks=_landmarks(scene),
        gain=gain,
        hair=layers.hair.reshape(size, size),
        scene=scene,
    )


@dataclass
class _Layers:
    """The image so far, and maps of what it shows; all flat, (size * size,)."""

    light: Array
    """(3, size * size)."""
    depth: Array
    parts: Array
    face: Array
    hair: Array


def _begin(scene: Scene, surface: Surface, session: SimpleNamespace, light: Array) -> _Layers:
    """The surfaces in front of the backdrop."""
    size, pixel = scene.view.size, scene.hits.pixel
    image = paint_backdrop(session, size).reshape(3, -1)
    image[:, pixel] = light
    parts = np.zeros(size * size, np.uint8)
    parts[pixel] = _parts(scene, surface)
    bare = (1 - surface.cloth) * (scene.kind == SKIN)
    face = np.maximum(bare, np.isin(scene.kind, _IN_FACE))
    return _Layers(
        light=image,
        depth=scene.image(surface.places[2], -9.0).ravel(),
        parts=parts,
        face=scene.image(face).ravel(),
        hair=np.zeros(size * size, np.float32),
    )


def _shadows(scene: Scene, session: SimpleNamespace, strands: Array) -> Shadows:
    head = load_head()
    coarse = len(head.vertices)
    solid = [(scene.points[:, :coarse], head.coarse_triangles)]
    first = head.subdivide.shape[0]
    for piece in scene.pieces:
        solid.append((scene.points[:, first : first + piece.count], piece.triangles))
        first += piece.count
    return cast_shadows(session, solid, strands)


def _parts(scene: Scene, surface: Surface) -> Array:
    table = np.zeros(PIECE + 1, np.uint8)
    for kind, part in _PART_OF_KIND.items():
        table[kind] = _PART[part]
    parts = table[scene.kind]
    bare = (scene.kind == TORSO) & (surface.skin > 0.5)
    dressed = (scene.kind == SKIN) & (surface.cloth > 0.5)
    for piece, own in scene.hits_of_pieces():
        parts[own] = _PART["headwear" if piece.with_head else "clothes"]
    return np.where(bare, _PART["skin"], np.where(dressed, _PART["clothes"], parts)).astype(
        np.uint8
    )


def _ears(scene: Scene, surface: Surface) -> Array:
    """1 where ears are seen, (size * size,): hair falls over them, though it grows inside them."""
    x, y, z = surface.rest
    ear = (scene.kind == SKIN) & (np.abs(x) > 0.72) & (y > 6.7) & (y < 7.6) & (z < 0.75)
    return scene.image(ear).ravel()


def _add_hair(layers: _Layers, hair: HairLayer) -> None:
    pixel, on_head = hair.pixel, hair.on_head > 0.5
    layers.light[:, pixel] += (hair.color - layers.light[:, pixel]) * hair.alpha
    solid = hair.alpha > 0.5
    layers.parts[pixel[solid]] = np.where(on_head, _PART["hair"], _PART["beard"])[solid]
    layers.face[pixel] *= np.where(on_head, 1 - hair.alpha, 1)
    layers.hair[pixel] = hair.alpha * hair.on_head
    front = solid & on_head
    layers.depth[pixel[front]] = np.maximum(layers.depth[pixel[front]], hair.depth[front])


def _add_glasses(layers: _Layers, scene: Scene, figure: Figure, session: SimpleNamespace) -> None:
    pixel, cover = lay_glasses(
        layers.light, layers.depth, scene, figure.fine, figure.person, session
    )
    layers.parts[pixel[cover > 0.5]] = _PART["glasses"]
    layers.face[pixel] = np.maximum(layers.face[pixel], cover)


def _add_lashes(layers: _Layers, scene: Scene, figure: Figure) -> None:
    head = load_head()
    lashes = head.triangles[head.triangle_kind == LASHES]
    hits = rasterize(scene.pixels, scene.points[2], lashes, scene.view.size, both_sides=True)
    seen = hits.pixel[hits.depth > layers.depth[hits.pixel] - 0.03]
    alpha = min(0.85, 0.58 - 0.18 * figure.person.male + 0.25 * figure.person.makeup)
    layers.light[:, seen] += (_LASHES[:, None] - layers.light[:, seen]) * alpha


def _metered_gain(
    image: Array, light: Array, scene: Scene, surface: Surface, session: SimpleNamespace
) -> float:
    """The camera's exposure: skin of medium brightness comes out nearly alike in every light."""
    skin = (scene.kind == SKIN) & (surface.skin > 0.5)
    if not skin.any():
        return session.exposure
    face, everything = (float(np.median(_luminance(c))) for c in (light[:, skin], image))
    median = max(face, 0.02) ** _FACE_SHARE * max(everything, 0.02) ** (1 - _FACE_SHARE)
    return float(np.float32((_METERED / median) ** _FOLLOWS * session.exposure))


def _luminance(color: Array) -> Array:
    return 0.2 * color[0] + 0.7 * color[1] + 0.1 * color[2]


def _closeness(depth: Array) -> Array:
    """Depth as the map has it: 0 on the background, else 0.1 (far) to 1 (near)."""
    share = np.clip((depth - _FARTHEST) / (_NEAREST - _FARTHEST), 0, 1)
    return np.where(depth > -8, 0.1 + 0.9 * share, 0).astype(np.float32)


def _canonical(scene: Scene, surface: Surface) -> Array:
    """Places on the template's face in half head heights; far outside where no head is seen."""
    on_head = scene.kind != PIECE
    flat = np.full((2, scene.view.size**2), -9, np.float32)
    places = (surface.rest[:2] - _FACE_MIDDLE[:, None]) / _HALF_HEAD
    flat[:, scene.hits.pixel[on_head]] = places[:, on_head]
    return flat.reshape(2, scene.view.size, scene.view.size)


@functools.cache
def landmark_vertices() -> Array:
    """Fine vertices of LANDMARKS, (16,)."""
    head = load_head()
    front = np.nonzero((head.fine_vertex_kind == SKIN) & (rest_places()[:, 2] > 0.3))[0]
    x, y, z = rest_places()[front].T
    return np.array(
        [
            front[np.argmin((x - right) ** 2 + (y - up) ** 2 - 0.02 * z)]
            for right, up in LANDMARKS.values()
        ]
    )


def _landmarks(scene: Scene) -> Array:
    """Where the landmarks are in the image, hidden or not, (16, 2) from 0 to 1."""
    return (scene.pixels[:, landmark_vertices()] / scene.view.size).T.astype(np.float32)
