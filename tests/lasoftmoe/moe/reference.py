"""References for the fast layers: the package's naive forms, attention and experts as loops.

The loops run over single numbers and share only a layer's parameters with the package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lasoftmoe.moe import Experts, LaSoftMoE, SoftmaxAttention, SoftMoE, TopKMoE, naive
from lasoftmoe.moe.self_attention import SelfAttention


def matrix(rows: int, columns: int, entry: Callable[[int, int], Tensor]) -> Tensor:
    """The matrix of ``entry(i, j)``."""
    return torch.stack([torch.stack([entry(i, j) for j in range(columns)]) for i in range(rows)])


def dot(a: Tensor, b: Tensor) -> Tensor:
    return sum((a[k] * b[k] for k in range(len(a))), start=torch.zeros((), dtype=a.dtype))


def feature(name: str, x: Tensor) -> Tensor:
    if name == "elu":
        return x + 1 if x > 0 else x.exp()
    return x if x > 0 else x * 0


def attention(layer: SelfAttention, x: Tensor) -> Tensor:
    """Eq. 6 or Eq. 5 on the tokens of one image, head by head, pair by pair."""
    n, width = x.shape
    if layer.qkv is None:
        q = k = v = x
    else:
        weight = layer.qkv.weight
        q, k, v = (
            matrix(n, width, lambda i, j, part=part: dot(weight[part * width + j], x[i]))
            for part in range(3)
        )
    per_head = width // layer.heads

    def similarity(i: int, other: int, head: int) -> Tensor:
        span = range(head * per_head, (head + 1) * per_head)
        if isinstance(layer, SoftmaxAttention):
            return (sum(q[i, f] * k[other, f] for f in span) / per_head**0.5).exp()
        phi_q = [feature(layer.feature_map, q[i, f]) for f in span]
        phi_k = [feature(layer.feature_map, k[other, f]) for f in span]
        return sum(a * b for a, b in zip(phi_q, phi_k, strict=True))

    def entry(i: int, j: int) -> Tensor:
        weights = [similarity(i, other, j // per_head) for other in range(n)]
        total = sum(weights[other] * v[other, j] for other in range(n))
        averages = isinstance(layer, SoftmaxAttention) or layer.normalize
        return total / sum(weights) if averages else total

    return matrix(n, width, entry)


def expert(layer: Experts, index: int, slot: Tensor) -> Tensor:
    """One expert of Eq. 3 on one slot (d,)."""
    w_in, b_in = layer.weight_in[index], layer.bias_in[index]
    w_out, b_out = layer.weight_out[index], layer.bias_out[index]
    hidden = []
    for h in range(layer.hidden_dim):
        z = dot(slot, w_in[:, h]) + b_in[h]
        hidden.append(z * (1 + torch.erf(z / 2**0.5)) / 2)
    return torch.stack([dot(torch.stack(hidden), w_out[:, k]) + b_out[k] for k in range(layer.dim)])


def run_experts(layer: Experts, slots: Tensor) -> Tensor:
    """Eq. 3 on slots (batch, experts, slots, dim)."""
    images = [
        torch.stack([torch.stack([expert(layer, e, slot) for slot in own]) for e, own in pairs])
        for pairs in (enumerate(image) for image in slots)
    ]
    return torch.stack(images)


def soft_moe(layer: SoftMoE, x: Tensor) -> Tensor:
    """A layer as the paper prints it, with attention and experts as loops; x (batch, n, d)."""
    experts = partial(run_experts, layer.experts)
    if not isinstance(layer, LaSoftMoE):
        return ours(layer, x) if layer.scale is not None else naive.soft_moe(x, layer.phi, experts)
    if layer.variant == "stable" or layer.scale is not None:
        return ours(layer, x)
    return naive.la_soft_moe(x, layer.phi, partial(expected, layer.attention), experts)


def ours(layer: SoftMoE, x: Tensor) -> Tensor:
    """The same with what the paper lacks: normalized routing, and the stable variant."""
    tokens, phi = x, layer.phi.flatten(0, 1)
    if layer.scale is not None:
        tokens = x / x.square().sum(dim=-1, keepdim=True).sqrt()
        phi = layer.scale * phi / phi.square().sum(dim=-1, keepdim=True).sqrt()
    logits = tokens @ phi.T
    if not isinstance(layer, LaSoftMoE):
        combine = logits.softmax(dim=-1)
    else:
        combine = F.instance_norm(expected(layer.attention, logits))
        if layer.variant == "stable":
            positive = (1 + (logits + combine).exp()).log() + 1e-6
            combine = positive / positive.sum(dim=-1, keepdim=True)
    slots = (logits.softmax(dim=1).mT @ x).unflatten(1, layer.phi.shape[:2])
    return combine @ run_experts(layer.experts, slots).flatten(1, 2)


def sparse_routing(layer: TopKMoE, logits: Tensor, capacity: int, mask: list[bool]):
    """The (token, expert, place, gate) of every choice of one image that finds room."""
    n, experts = logits.shape
    probabilities = [
        [
            logits[i, e].exp() / sum(logits[i, f].exp() for f in range(experts))
            for e in range(experts)
        ]
        for i in range(n)
    ]
    best = [
        sorted(range(experts), key=lambda e, p=p: -p[e].item())[: layer.k] for p in probabilities
    ]
    tokens = [i for i in range(n) if mask[i]]
    if layer.priority == "weight":
        tokens.sort(key=lambda i: -probabilities[i][best[i][0]].item())
    queues = [0] * experts
    for rank in range(layer.k):
        for i in tokens:
            e = best[i][rank]
            place, queues[e] = queues[e], queues[e] + 1
            gate = probabilities[i][e]
            if layer.normalize_gates:
                gate = gate / sum(probabilities[i][f] for f in best[i])
            if place < capacity:
                yield i, e, place, gate


def sparse_moe(layer: TopKMoE, x: Tensor, capacity: int, mask: list[bool] | None = None) -> Tensor:
    """Top-k MoE on one image x (n, d): tokens queue at experts, the queue's end is dropped."""
    n, d = x.shape
    logits = matrix(n, layer.num_experts, lambda i, e: dot(layer.router[e], x[i]))
    outputs = [torch.zeros(d, dtype=x.dtype) for _ in range(n)]
    for i, e, _, gate in sparse_routing(layer, logits, capacity, mask or [True] * n):
        outputs[i] = outputs[i] + gate * expert(layer.experts, e, x[i])
    return torch.stack(outputs)


def expected(layer: nn.Module, x: Tensor) -> Tensor:
    """What ``layer`` must return for x (batch, n, d)."""
    if isinstance(layer, TopKMoE):
        factor = layer.capacity_factor
        room = x.shape[1] if factor is None else factor * layer.k * x.shape[1] / layer.num_experts
        capacity = next(c for c in range(1, x.shape[1] + 1) if c >= min(room, x.shape[1]) - 1e-9)
        return torch.stack([sparse_moe(layer, image, capacity) for image in x])
    if isinstance(layer, SelfAttention):
        return torch.stack([attention(layer, image) for image in x])
    return soft_moe(layer, x)


def randomize(layer: nn.Module, seed: int = 0) -> nn.Module:
    """Double precision, every parameter redrawn: biases and last layers start at zero."""
    generator = torch.Generator().manual_seed(seed)
    layer = layer.double()
    for parameter in layer.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = 0.7 * noise
    return layer


def assert_matches(layer: nn.Module, x: Tensor) -> None:
    """Check that values and gradients of ``layer`` at x equal those of the reference."""
    x = x.detach().requires_grad_()
    inputs = (x, *layer.parameters())
    actual, wanted = layer(x), expected(layer, x)
    torch.testing.assert_close(actual, wanted, rtol=1e-9, atol=1e-9)
    cotangent = torch.linspace(-1, 2, actual.numel(), dtype=actual.dtype).view_as(actual)
    for got, want in zip(
        torch.autograd.grad(actual, inputs, cotangent, materialize_grads=True, allow_unused=True),
        torch.autograd.grad(wanted, inputs, cotangent, materialize_grads=True, allow_unused=True),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-8)
