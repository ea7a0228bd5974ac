"""Soft MoE, La-SoftMoE, and their sparse ancestor, one idea per file (paper, Section 3)."""

from lasoftmoe.moe.adapter import MoEAdapter
from lasoftmoe.moe.branch import add_moe, moe_parameters
from lasoftmoe.moe.build import MoEConfig, build_moe, routing_loss
from lasoftmoe.moe.experts import Experts
from lasoftmoe.moe.la_soft_moe import LaSoftMoE
from lasoftmoe.moe.linear_attention import LinearAttention
from lasoftmoe.moe.routing import RoutedLayer, Routing, capture_routing
from lasoftmoe.moe.soft_moe import SoftMoE
from lasoftmoe.moe.softmax_attention import SoftmaxAttention
from lasoftmoe.moe.sparse_moe import TopKMoE, balance_loss, z_loss

__all__ = [
    "Experts",
    "LaSoftMoE",
    "LinearAttention",
    "MoEAdapter",
    "MoEConfig",
    "RoutedLayer",
    "Routing",
    "SoftMoE",
    "SoftmaxAttention",
    "TopKMoE",
    "add_moe",
    "balance_loss",
    "build_moe",
    "capture_routing",
    "moe_parameters",
    "routing_loss",
    "z_loss",
]
