"""Print and replay attacks: a second camera captures a photo on paper or on a display.

Both take the radiance of a scene, photograph it, put the photo on paper or on a display, and return
the radiance that reaches a second camera. The caller captures it with ``camera.capture`` and the
recapture session. Nothing is painted on: halftone dots and display pixels are geometry, and moiré
appears (or not) when the second sensor samples them. The attacker makes the image look like the
face (``appearance.look_like``), so that only texture reveals the attack.

Plane coordinates (x, y) run over [-1, 1] on the photo; (u, v) over [-1, 1] on the second sensor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from data_prep.synthetic.attacks.appearance import look_like, mean_hue, saturate
from data_prep.synthetic.attacks.draw import draw_strength, maybe, uniform
from data_prep.synthetic.camera import capture, resize, srgb_to_linear
from data_prep.synthetic.noise import FINE, SKIN, noise, smoothstep
from data_prep.synthetic.people.geometry import make_view
from data_prep.synthetic.people.session import BACKGROUNDS, Sessions
from data_prep.synthetic.scene.background import paint_background

OUTDOORS = BACKGROUNDS.index("outdoors")

# Angles (radians) of the halftone screens of red, green, and blue. They differ, so that the inks
# do not beat against each other.
_SCREEN_ANGLES = (0.26, 1.31, 0.0)
_PAPER_COLOR = (1.0, 0.985, 0.955)


@dataclass(frozen=True)
class _View:
    """Points of the plane that the second camera's pixels see; all (batch, 1, h, w)."""

    x: Tensor
    y: Tensor
    u: Tensor
    v: Tensor


def print_attack(
    radiance: Tensor,
    session: Sessions,
    recapture_session: Sessions,
    generator: torch.Generator,
    strength: float | None = None,
) -> Tensor:
    """Print a photo in halftone on bent paper, under the light of a second session.

    The second session's background decides whether lamps or the sky light the paper.

    Args:
        radiance: Linear light of the scene, (batch, 3, size, size).
        session: Session of the photo.
        recapture_session: Session of the second camera.
        strength: Halftone contrast, instead of the taxonomy's.

    Returns:
        Linear light of the print, (batch, 3, size * 4 / 3, size * 4 / 3).
    """
    batch, _, size, _ = radiance.shape
    photo = capture(radiance, session, size=size, jpeg=False)
    view = _look_at_plane(batch, 4 * size // 3, 0.18, generator)
    outdoor = _is_outdoor(recapture_session)
    bend = uniform(batch, -0.10, 0.10, generator)
    x = view.x + bend * view.y.square() / 2
    contrast = draw_strength("print", batch, generator, strength)
    ink = _halftone(_sample(photo, x, view.y), x, view.y, contrast, generator)
    ink = _ink_colors(ink, generator)
    fibers = 0.02 * noise(FINE, 0.8 * x, 0.8 * view.y)
    paper = 1 + fibers + 0.012 * noise(SKIN, x, view.y)
    reflected = srgb_to_linear(ink) * paper * _color(_PAPER_COLOR)
    slope = uniform(batch, -0.5, 0.5, generator) * bend * 4 * x
    light = torch.where(
        outdoor,
        _daylight(view, slope, generator),
        _uneven_light(view, slope, generator),
    )
    reflected = reflected * light * recapture_session.light_color[..., None, None]
    shine = torch.where(outdoor, _veil(view, generator), _round_glare(view, 0.16, generator))
    light = look_like(reflected + shine, radiance, generator)
    behind = _surroundings(recapture_session, view.u.shape[-1])
    return _with_border(light, x, view.y, behind, generator)


def recapture_place(session: Sessions, setting: str, generator: torch.Generator) -> Sessions:
    """Move the second camera of a print indoors (lamps, warm, dim) or outdoors (sky, cool).

    Raises:
        ValueError: If ``setting`` is neither "indoor" nor "outdoor".
    """
    if setting not in ("indoor", "outdoor"):
        raise ValueError(f"unknown setting {setting!r}; expected indoor or outdoor")
    rows = len(session)
    outdoors = torch.full((rows,), OUTDOORS)
    # Any background except outdoors: 1 to 4 steps from there, around the list.
    steps = torch.randint(1, len(BACKGROUNDS), (rows,), generator=generator)
    indoors = (outdoors + steps) % len(BACKGROUNDS)
    outdoor = setting == "outdoor"
    warmth = torch.rand(rows, 1, generator=generator) * 1.2 - 0.25
    warmth = -warmth if outdoor else warmth
    return session.replace(
        background=outdoors if outdoor else indoors,
        light_color=1 + warmth * torch.tensor([[0.08, 0.0, -0.13]]),
        sensor_noise=session.sensor_noise * (0.8 if outdoor else 1.15),
    )


def replay_attack(
    radiance: Tensor,
    session: Sessions,
    recapture_session: Sessions,
    generator: torch.Generator,
    strength: float | None = None,
) -> Tensor:
    """Show a photo on a display to a tilted second camera.

    For the arguments, see ``print_attack``; ``strength`` is the sub-pixel contrast.

    Returns:
        Linear light of the display, (batch, 3, 2 * size, 2 * size).
    """
    batch, _, size, _ = radiance.shape
    photo = capture(radiance, session, size=size, jpeg=True)
    view = _look_at_plane(batch, 2 * size, 0.14, generator)
    pixels = uniform(batch, 90, 240, generator)
    column, row = (view.x + 1) / 2 * pixels, (view.y + 1) / 2 * pixels
    blocky = _sample(photo, _cell_center(column, pixels), _cell_center(row, pixels))
    shown = torch.lerp(_sample(photo, view.x, view.y), blocky, uniform(batch, 0, 0.5, generator))
    light = shown ** uniform(batch, 1.95, 2.5, generator)
    light = saturate(light, uniform(batch, 0.9, 1.25, generator)).clamp(min=0)
    contrast = draw_strength("replay", batch, generator, strength)
    light = light * torch.lerp(torch.ones(()), _subpixels(column, row), contrast)
    light = _backlight(light, view, generator)
    light = light + _window_glare(view, generator) * recapture_session.light_color[..., None, None]
    light = look_like(light * _flicker(view, generator), radiance, generator)
    return _with_border(light, view.x, view.y, torch.full_like(light, 0.012), generator)


def _look_at_plane(batch: int, size: int, tilt: float, generator: torch.Generator) -> _View:
    """Draw a random homography for a second camera that is slightly shifted, turned, and tilted."""
    centers = (torch.arange(size) + 0.5) / size * 2 - 1
    v, u = torch.meshgrid(centers, centers, indexing="ij")
    u, v = u.expand(batch, 1, size, size), v.expand(batch, 1, size, size)
    angle = uniform(batch, -0.08, 0.08, generator)
    zoom = uniform(batch, 0.96, 1.06, generator)
    shift_x, shift_y = (uniform(batch, -0.06, 0.06, generator) for _ in range(2))
    tilt_x, tilt_y = (uniform(batch, -tilt, tilt, generator) for _ in range(2))
    depth = 1 + tilt_x * u + tilt_y * v
    x = (angle.cos() * u + angle.sin() * v + shift_x) / zoom / depth
    y = (-angle.sin() * u + angle.cos() * v + shift_y) / zoom / depth
    return _View(x, y, u, v)


def _sample(images: Tensor, x: Tensor, y: Tensor) -> Tensor:
    grid = torch.cat([x, y], 1).permute(0, 2, 3, 1)
    sampled = F.grid_sample(
        images, grid, mode="bicubic", padding_mode="border", align_corners=False
    )
    return sampled.clamp(0, 1)


def _halftone(
    color: Tensor, x: Tensor, y: Tensor, contrast: Tensor, generator: torch.Generator
) -> Tensor:
    """Mix continuous tone with dots whose area follows the tone (a threshold screen)."""
    frequency = uniform(len(color), 75, 170, generator) * math.pi
    screens = []
    for angle in _SCREEN_ANGLES:
        along = (math.cos(angle) * x + math.sin(angle) * y) * frequency
        across = (-math.sin(angle) * x + math.cos(angle) * y) * frequency
        screens.append(0.5 + 0.5 * along.cos() * across.cos())
    dots = torch.sigmoid(9 * (color - torch.cat(screens, 1)))
    # Printed dots bleed, so some continuous tone remains between them.
    return torch.lerp(color, 0.12 * color + 0.88 * dots, contrast)


def _ink_colors(color: Tensor, generator: torch.Generator) -> Tensor:
    """Apply the gamut of ink: faded black and white, other saturation, mixed channels."""
    batch = len(color)
    color = saturate(color, uniform(batch, 0.85, 1.1, generator))
    black = uniform(batch, 0.0, 0.05, generator)
    white = uniform(batch, 0.9, 1.0, generator)
    gamma = uniform(batch, 0.9, 1.15, generator)
    color = black + (white - black) * color.clamp(min=0) ** gamma
    mixing = torch.eye(3) + 0.03 * torch.randn(batch, 3, 3, generator=generator)
    mixed = torch.einsum("bij,bjhw->bihw", mixing, color)
    # Like a print shop, correct most of the color cast.
    cast = mean_hue(color) / mean_hue(mixed)
    return (mixed * cast**0.6).clamp(0, 1)


def _color(rgb: tuple[float, float, float]) -> Tensor:
    return torch.tensor(rgb).view(1, 3, 1, 1)


def _uneven_light(view: _View, slope: Tensor, generator: torch.Generator) -> Tensor:
    """Draw light that falls off across the paper; ``slope`` is the effect of the bend."""
    batch = len(view.u)
    across = uniform(batch, -0.3, 0.3, generator) * view.u
    down = uniform(batch, -0.25, 0.25, generator) * view.v
    level = uniform(batch, 0.75, 1.1, generator)
    return (1 + across + down + slope).clamp(0.4, 1.6) * level


def _is_outdoor(session: Sessions) -> Tensor:
    return (session.background == OUTDOORS).view(-1, 1, 1, 1)


def _daylight(view: _View, slope: Tensor, generator: torch.Generator) -> Tensor:
    """Draw even light, half of the time with a shadow across the paper."""
    batch = len(view.u)
    angle = uniform(batch, 0, 2 * math.pi, generator)
    edge = uniform(batch, -0.7, 0.7, generator)
    across = angle.cos() * view.u + angle.sin() * view.v - edge
    depth = uniform(batch, 0.2, 0.5, generator) * maybe(batch, 0.5, generator)
    shadow = 1 - depth * smoothstep(-0.06, 0.06, across)
    level = uniform(batch, 0.9, 1.2, generator)
    return (1 + slope).clamp(0.5, 1.5) * shadow * level


def _veil(view: _View, generator: torch.Generator) -> Tensor:
    """Draw the sky's reflection in the whole sheet, which brightens the blacks."""
    batch = len(view.u)
    return uniform(batch, 0, 0.05, generator) * (1 + 0.3 * view.v) * _color((0.9, 1.0, 1.15))


def _surroundings(session: Sessions, size: int) -> Tensor:
    """Draw the scene around the sheet, (batch, 3, size, size)."""
    rows = session.for_drawing(slice(0, len(session)))
    scenes = paint_background(make_view(rows, size // 2), rows)
    return resize(scenes.view(len(session), *scenes.shape[-3:]), size)


def _round_glare(view: _View, most: float, generator: torch.Generator) -> Tensor:
    batch = len(view.u)
    center_u, center_v = (uniform(batch, -1, 1, generator) for _ in range(2))
    amount = uniform(batch, 0, most, generator) * maybe(batch, 0.4, generator)
    distance = (view.u - center_u).square() + (view.v - center_v).square()
    return amount * torch.exp(-distance / 0.35)


def _cell_center(position: Tensor, pixels: Tensor) -> Tensor:
    return (position.floor() + 0.5) / pixels * 2 - 1


def _subpixels(column: Tensor, row: Tensor) -> Tensor:
    """Return the light of a display with a stripe per color and dark lines between rows."""
    within = column - column.floor()
    stripes = []
    for channel in range(3):
        distance = (within - (channel + 0.5) / 3).abs()
        distance = torch.minimum(distance, 1 - distance)
        stripes.append(1 - smoothstep(0.10, 0.26, distance))
    stripe = torch.cat(stripes, 1)
    edge = row - row.floor()
    gap = 1 - smoothstep(0.03, 0.14, torch.minimum(edge, 1 - edge))
    grid = stripe * (1 - 0.55 * gap)
    return grid / grid.mean((2, 3), keepdim=True)


def _backlight(light: Tensor, view: _View, generator: torch.Generator) -> Tensor:
    """Apply a display's white point, brightness, vignetting, and glowing black."""
    batch = len(light)
    white_point = _color((0.96, 1.0, 1.08)) ** uniform(batch, -0.5, 2.0, generator)
    level = uniform(batch, 0.8, 1.25, generator)
    fall_off = uniform(batch, 0, 0.25, generator) * (view.u.square() + view.v.square()) / 2
    leak = uniform(batch, 0.004, 0.035, generator) * _color((0.9, 1.0, 1.15))
    return light * white_point * level * (1 - fall_off) + leak


def _window_glare(view: _View, generator: torch.Generator) -> Tensor:
    """Draw the reflection of a window or a lamp, a soft slab at a random angle."""
    batch = len(view.u)
    center_u, center_v = (uniform(batch, -1, 1, generator) for _ in range(2))
    angle = uniform(batch, 0, math.pi, generator)
    amount = uniform(batch, 0, 0.3, generator) * maybe(batch, 0.4, generator)
    du, dv = view.u - center_u, view.v - center_v
    along = angle.cos() * du + angle.sin() * dv
    across = -angle.sin() * du + angle.cos() * dv
    return amount * torch.exp(-((along / 0.5) ** 4) - (across / 0.16) ** 4)


def _flicker(view: _View, generator: torch.Generator) -> Tensor:
    """Draw the bands of a rolling shutter and the display's refresh."""
    batch = len(view.v)
    amount = uniform(batch, 0, 0.05, generator)
    frequency = uniform(batch, 4, 16, generator)
    phase = uniform(batch, 0, 2 * math.pi, generator)
    return 1 + amount * torch.sin(view.v * frequency + phase)


def _with_border(
    light: Tensor, x: Tensor, y: Tensor, outside: Tensor, generator: torch.Generator
) -> Tensor:
    """Show, in some images, the scene past the edge of the paper or display."""
    batch = len(light)
    edge = uniform(batch, 0.86, 0.98, generator)
    seen = maybe(batch, 0.15, generator) > 0
    beyond = torch.maximum(x.abs(), y.abs()) > edge
    return torch.where(beyond & seen, outside, light)
