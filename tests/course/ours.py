"""The package's own functions under the names of `lasoftmoe.exercises.adapters`."""

import torch.nn.functional as F

from lasoftmoe.losses import clip_contrastive
from lasoftmoe.metrics import eer
from lasoftmoe.moe import LaSoftMoE
from lasoftmoe.moe import linear_attention as linear
from lasoftmoe.moe.naive import la_soft_moe, soft_moe

__all__ = ["build_la_soft_moe", "clip_contrastive", "eer", "la_soft_moe", "linear_attention"]
__all__ += ["soft_moe"]


def linear_attention(queries, keys, values):
    return linear.linear_attention(F.elu(queries) + 1, F.elu(keys) + 1, values)


def build_la_soft_moe(dim, num_experts, slots_per_expert):
    return LaSoftMoE(dim, num_experts, slots_per_expert)
