"""Neck, ears, and clothes as layers of simple shapes in the image plane."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

from data_prep.synthetic.noise import FINE, SKIN, bell, blend, gray, noise, rgb, smoothstep
from data_prep.synthetic.people.geometry import View
from data_prep.synthetic.people.hair import Layer
from data_prep.synthetic.people.session import NECKLINES
from data_prep.synthetic.people.shading import PLAIN_WRAP, shade
from data_prep.synthetic.row_numbers import choose, larger, nobody, smaller

_EDGE = 0.012
"""Half width of a soft edge, about a pixel."""


def neck(view: View, p: SimpleNamespace, s: SimpleNamespace) -> Layer:
    """Draw a cylinder under the chin, in the head's shadow."""
    half = (0.36 + 0.07 * p.male) * p.head_width / 0.70
    flare = 0.14 * smoothstep(-1.05, -1.45, view.y)
    x = view.x / (half + flare)
    alpha = smoothstep(_EDGE, -_EDGE, (view.x.abs() - half - flare)) * smoothstep(
        -0.35, -0.45, view.y
    )
    towards = (1 - x * x).clamp(min=0.02).sqrt()
    normal = torch.stack([x.clamp(-1, 1), torch.zeros_like(x), towards], dim=-3)
    color = p.skin * gray(1 + 0.03 * noise(SKIN, view.x, view.y))
    shadow = 0.38 + 0.62 * smoothstep(-0.95, -1.45, view.y + 0.1 * x.abs())
    return shade(F.normalize(normal, dim=-3), color, s, 0.02, 8.0) * gray(shadow), alpha


def ears(view: View, p: SimpleNamespace, s: SimpleNamespace) -> list[Layer]:
    """Draw both ears, unless long hair hides them."""
    seen = 1 - p.long_hair * (1 - p.bald)
    if nobody(seen):
        return []
    layers = []
    for side in (-1.0, 1.0):
        x = view.x - side * 1.01 * p.head_width * view.cos_yaw
        y = view.y - (p.eye_y - 0.10) * view.cos_pitch
        turned = smaller(larger(1 - 0.5 * side * view.sin_yaw, 0.3), 1.4)
        radius = (x / (0.11 * turned)) ** 2 + (y / p.ear_length) ** 2
        normal = torch.stack([x / 0.15 + 0.5 * side, y / 0.4, torch.full_like(x, 0.6)], dim=-3)
        color = p.skin * rgb(1.0, 0.88, 0.86) * gray(0.75 + 0.25 * torch.cos(5 * radius))
        lit = 0.85 * shade(F.normalize(normal, dim=-3), color, s, 0.02, 8.0)
        layers.append((lit, seen * smoothstep(1.12, 0.88, radius)))
    return layers


def clothes(view: View, p: SimpleNamespace, s: SimpleNamespace) -> Layer:
    """Draw shoulders with a neckline and its trim."""
    x, y, ax = view.x, view.y, view.x.abs()
    shoulder = -1.10 - 0.05 * (1 - p.male) - 0.55 * (ax - 0.35).clamp(min=0) ** 1.3
    shoulder = torch.maximum(shoulder, -1.06 - 0.9 * (ax - 0.30).clamp(min=0))
    alpha = smoothstep(-_EDGE, _EDGE, shoulder - y)
    opening = choose(s.neckline, [partial(_opening, ax, kind) for kind in NECKLINES])
    alpha = alpha * smoothstep(-_EDGE, _EDGE, opening - y + 3 * (ax - 0.46).clamp(min=0))
    red = s.clothing[..., 0, :, :]
    folds = 0.10 * noise(SKIN, 0.5 * x + red, 0.35 * y) + 0.04 * noise(FINE, x, y)
    folds = gray(0.92 + folds)
    trim = choose(s.neckline, [partial(_trim, ax, y, opening, kind) for kind in NECKLINES])
    color = blend(s.clothing * folds, s.clothing_trim * folds, 0.85 * trim)
    slope = torch.stack([0.55 * x, torch.full_like(x, 0.45), torch.full_like(x, 0.75)], dim=-3)
    return shade(F.normalize(slope, dim=-3), color, s, wrap=PLAIN_WRAP), alpha


def _opening(ax: Tensor, kind: str) -> Tensor:
    """Return the height of a neckline's edge, at |x| from the middle."""
    depth = {"round": 0.16, "v": 0.42, "collar": 0.10}[kind]
    return -1.08 - depth * (1 - (ax / 0.46).clamp(max=1) ** (1.0 if kind == "v" else 2.2))


def _trim(ax: Tensor, y: Tensor, opening: Tensor, kind: str) -> Tensor:
    if kind == "collar":
        return smoothstep(0.16, 0.12, (ax - 0.30).abs() + 0.5 * (y + 1.22).abs())
    return bell(y - opening + 0.04, 0.035) * (ax < 0.5)
