"""Soft MoE and La-SoftMoE, one idea a file: what the paper's section 3 adds to CLIP."""

from lasoftmoe.moe.adapter import MoEAdapter
from lasoftmoe.moe.build import build_moe
from lasoftmoe.moe.experts import Experts
from lasoftmoe.moe.la_soft_moe import LaSoftMoE
from lasoftmoe.moe.linear_attention import LinearAttention
from lasoftmoe.moe.routing import RoutedLayer, Routing, capture_routing
from lasoftmoe.moe.soft_moe import SoftMoE

__all__ = [
    "Experts",
    "LaSoftMoE",
    "LinearAttention",
    "MoEAdapter",
    "RoutedLayer",
    "Routing",
    "SoftMoE",
    "build_moe",
    "capture_routing",
]
