"""An implementation with a mistake in every function but one, and one that is not written."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.course.ours import la_soft_moe  # the one that is right

__all__ = ["la_soft_moe"]


def linear_attention(queries, keys, values):
    return (F.elu(queries) + 1) @ ((F.elu(keys) + 1).mT @ values)


def soft_moe(x, phi, experts):
    logits = torch.einsum("bnd,esd->bnes", x, phi)
    slots = torch.einsum("bnd,bnes->besd", x, logits.softmax(1))
    return torch.einsum("besd,bnes->bnd", experts(slots), logits.softmax(-1))


def build_la_soft_moe(dim, num_experts, slots_per_expert):
    return nn.Linear(dim, dim + 1)


def clip_contrastive(image_emb, text_emb, logit_scale):
    similarity = logit_scale * image_emb @ text_emb.T
    return F.cross_entropy(similarity, torch.arange(len(similarity)))


def eer(attack_score, is_attack):
    raise NotImplementedError
