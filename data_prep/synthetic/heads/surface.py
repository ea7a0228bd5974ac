"""What surfaces look like: their colors, gloss, and the light they give back."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from data_prep.synthetic.heads.atlas import atlas_pixels
from data_prep.synthetic.heads.clothes import paint_clothes, paint_piece
from data_prep.synthetic.heads.eyes import eye_directions, lid_shade, paint_eyes
from data_prep.synthetic.heads.figure import Figure
from data_prep.synthetic.heads.light import (
    PLAIN_WRAP,
    SKIN_WRAP,
    Shadows,
    creases,
    diffuse,
    glints,
    highlights,
    mirrored_sky,
)
from data_prep.synthetic.heads.mesh import (
    LEFT_EYE,
    LOWER_TEETH,
    RIGHT_EYE,
    SKIN,
    TONGUE,
    TORSO,
    UPPER_TEETH,
)
from data_prep.synthetic.heads.scene import Scene, occlusion, rest_places, solid_uv
from data_prep.synthetic.heads.skin import GLOSS, RELIEF, skin_color, wear
from data_prep.synthetic.heads.steady import linear, sample, shifted, smoothstep, unit

Array = np.ndarray
_FAR = -9.0
_TEETH = linear(240, 234, 222)
_TONGUE = linear(176, 98, 98)
_INSIDE = linear(112, 54, 52)
_BUMP = 0.5
"""Share of the skin's relief that is shown: all of it looks like orange peel."""


@dataclass
class Surface:
    """What the hits of a scene show; vectors and colors (3, hits), the rest (hits,)."""

    normals: Array
    places: Array
    rest: Array
    """Places on the template; on pieces, their fabric."""
    albedo: Array
    gloss: Array
    skin: Array
    """Share of bare skin, which scatters light; masks and clothes do not."""
    cloth: Array
    """Share of clothes on the body."""
    open_share: Array
    """Share of the surroundings that is not hidden."""
    shadow: Array
    uv: Array
    """Texture coordinates on the head, 0 elsewhere, (2, hits)."""
    wet: Array
    """1 on eyes."""


def look(scene: Scene, figure: Figure, session: SimpleNamespace, shadows: Shadows) -> Surface:
    """Color the surfaces of a scene."""
    surface = _bare(scene, shadows)
    _paint_skin(surface, scene, figure)
    _paint_garment(surface, scene, figure, session)
    _paint_mouth(surface, scene)
    _paint_eyes(surface, scene, figure, session)
    _paint_pieces(surface, scene, figure, session)
    return surface


def _bare(scene: Scene, shadows: Shadows) -> Surface:
    count = scene.points.shape[1]
    table = np.zeros((count, 10), np.float32)
    table[:, :3], table[:, 3:6] = scene.normals.T, scene.points.T
    fine = len(rest_places())
    table[:fine, 6:9], table[:fine, 9] = rest_places(), occlusion()
    first = fine
    for piece in scene.pieces:
        rows = slice(first, first + piece.count)
        table[rows, 6:8], table[rows, 9] = (
            piece.fabric.reshape(2, -1).T,
            piece.open_share,
        )
        first += piece.count
    found = scene.per_hit(table)
    normals, places = unit(found[:3]), found[3:6]
    depth = scene.image(places[2], _FAR)
    near = creases(depth, scene.view.pixel)[: scene.view.size, : scene.view.size]
    hits = len(scene.hits.pixel)
    return Surface(
        normals=normals,
        places=places,
        rest=found[6:9],
        albedo=np.zeros((3, hits), np.float32),
        gloss=np.full(hits, 0.05, np.float32),
        skin=np.zeros(hits, np.float32),
        cloth=np.zeros(hits, np.float32),
        open_share=found[9] * near.ravel()[scene.hits.pixel],
        shadow=shadows.at(places + 0.03 * normals).astype(np.float32),
        uv=np.zeros((2, hits), np.float32),
        wet=np.zeros(hits, np.float32),
    )


def _paint_skin(surface: Surface, scene: Scene, figure: Figure) -> None:
    """The atlas's color, gloss, and relief on the head; plain skin on the rest of the body."""
    kind = scene.kind
    head = np.nonzero(kind == SKIN)[0]
    corners = solid_uv()[scene.hits.triangle[head]]
    weights = scene.hits.weights[:, head]
    uv = sum(corners[:, k].T * weights[k] for k in range(3))
    texture = sample(figure.texture, *atlas_pixels(uv)).T
    surface.uv[:, head] = uv
    surface.albedo[:, head] = texture[:3]
    surface.gloss[head] = texture[GLOSS]
    surface.skin[head] = 1
    if figure.waxy is not None:
        waxy = sample(figure.waxy[..., None], *atlas_pixels(uv))[:, 0]
        surface.skin[head] = 1 - waxy
    torso = kind == TORSO
    surface.albedo[:, torso] = 0.95 * skin_color(figure.person)[:, None]
    surface.gloss[torso], surface.skin[torso] = 0.2, 1
    _add_relief(surface, scene, head, texture[RELIEF])


def _add_relief(surface: Surface, scene: Scene, head: Array, relief: Array) -> None:
    """Tilt normals by the slope of the relief as the image shows it."""
    image = np.zeros(scene.view.size**2, np.float32)
    image[scene.hits.pixel[head]] = relief
    image = image.reshape(scene.view.size, scene.view.size)
    pixels, step = scene.hits.pixel[head], 2 * scene.view.pixel
    right = (shifted(image, -1, 0) - shifted(image, 1, 0)).ravel()[pixels] / step
    up = (shifted(image, 0, 1) - shifted(image, 0, -1)).ravel()[pixels] / step
    tilt = _BUMP * np.clip(np.stack([right, up]), -0.5, 0.5)
    surface.normals[:2, head] -= tilt
    surface.normals[:, head] = unit(surface.normals[:, head])


def _paint_garment(
    surface: Surface, scene: Scene, figure: Figure, session: SimpleNamespace
) -> None:
    """Clothes on the shoulders."""
    body = np.nonzero((scene.kind == SKIN) | (scene.kind == TORSO))[0]
    low = body[surface.rest[1, body] < 6.4]
    color, cover = paint_clothes(surface.rest[:, low], session)
    surface.albedo[:, low] += (color - surface.albedo[:, low]) * cover
    surface.gloss[low] += (0.04 - surface.gloss[low]) * cover
    surface.skin[low] *= 1 - cover
    surface.cloth[low] = cover


def _paint_mouth(surface: Surface, scene: Scene) -> None:
    """Teeth, tongue, and the dark behind them."""
    kind, rest = scene.kind, surface.rest
    upper, lower, tongue = (kind == part for part in (UPPER_TEETH, LOWER_TEETH, TONGUE))
    teeth, inside = upper | lower, upper | lower | tongue
    surface.albedo[:, teeth] = _TEETH[:, None]
    surface.albedo[:, lower] *= 0.88
    surface.albedo[:, tongue] = 0.6 * _TONGUE[:, None]
    surface.gloss[inside] = 0.5
    # Baked with a closed mouth, occlusion would leave teeth black: depth behind the lips tells.
    reached = smoothstep(0.95, 1.42, rest[2])
    surface.open_share[inside] = (0.30 + 0.50 * reached)[inside]
    surface.open_share[upper] = (0.42 + 0.50 * smoothstep(1.0, 1.30, rest[2]))[upper]
    surface.shadow[inside] = 0.35 + 0.5 * surface.shadow[inside]
    surface.shadow[upper] = 0.65 + 0.35 * surface.shadow[upper]
    hollow = (kind == SKIN) & (rest[2] < 1.46) & (np.abs(rest[0]) < 0.33)
    hollow &= (np.abs(rest[1] - 6.65) < 0.30) & (surface.open_share < 0.30)
    surface.albedo[:, hollow] = 0.5 * _INSIDE[:, None]


def _paint_eyes(surface: Surface, scene: Scene, figure: Figure, session: SimpleNamespace) -> None:
    kind, size = scene.kind, scene.view.size
    eyes = np.nonzero((kind == LEFT_EYE) | (kind == RIGHT_EYE))[0]
    if not len(eyes):
        return
    corners = scene.triangles[scene.hits.triangle[eyes]]
    weights = scene.hits.weights[:, eyes]
    directions = sum(eye_directions()[corners[:, k]].T * weights[k] for k in range(3))
    brightness = float(session.sky.sum()) / 3
    color = paint_eyes(directions, figure.person, wear(figure.person), brightness)
    seen = np.zeros(size * size, bool)
    seen[scene.hits.pixel[eyes]] = True
    shade = lid_shade(seen.reshape(size, size), size).ravel()[scene.hits.pixel[eyes]]
    surface.albedo[:, eyes] = color * shade
    surface.open_share[eyes] = 0.72
    surface.shadow[eyes] = 0.35 + 0.65 * surface.shadow[eyes]
    surface.gloss[eyes], surface.wet[eyes] = 0, 1


def _paint_pieces(surface: Surface, scene: Scene, figure: Figure, session: SimpleNamespace) -> None:
    """Hats, scarves, and collars."""
    for piece, own in scene.hits_of_pieces():
        fabric = surface.rest[:2, own]
        surface.albedo[:, own] = paint_piece(piece.style, fabric, figure.person, session)
        surface.skin[own], surface.gloss[own] = 0, 0.04
        surface.shadow[own] *= piece.open_share


def shine(surface: Surface, scene: Scene, session: SimpleNamespace, melanin: float) -> Array:
    """Light that the surfaces send to the camera, (3, hits)."""
    wrap = tuple(
        plain + (skin - plain) * surface.skin
        for skin, plain in zip(SKIN_WRAP, PLAIN_WRAP, strict=True)
    )
    normals, open_share, shadow = surface.normals, surface.open_share, surface.shadow
    light = surface.albedo * diffuse(normals, open_share, shadow, session, wrap)
    toward = scene.view.directions(surface.places)
    mirrored, fresnel = highlights(normals, toward, shadow, session)
    dry = 1 - surface.wet
    light += mirrored * (surface.gloss * session.shine * dry)
    sky = mirrored_sky(normals, toward)
    dim = 0.9 * session.shine * fresnel * surface.gloss * open_share * dry
    light += session.sky[:, None] * (sky * (dim + surface.wet * (0.04 - 0.02 * melanin)))
    eyes = np.nonzero(surface.wet)[0]
    if len(eyes):
        glint = glints(normals[:, eyes], toward[:, eyes], shadow[eyes], session)
        light[:, eyes] += glint * (0.38 - 0.2 * melanin)
    return light
