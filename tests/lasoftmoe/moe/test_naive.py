"""The paper's lines against its formulas, entry by entry, and against the layers."""

from __future__ import annotations

from math import exp, sqrt

import pytest
import torch
from jaxtyping import TypeCheckError

from lasoftmoe.moe import LaSoftMoE, SoftMoE, naive

N, D, E, S = 5, 3, 2, 4
SLOTS = range(E * S)


def tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def experts(slots: torch.Tensor) -> torch.Tensor:
    """Expert e multiplies by e + 2 and squares, so that no two are alike."""
    return (slots * torch.arange(2, 2 + E, dtype=slots.dtype).view(E, 1, 1)) ** 2


def attention(logits: torch.Tensor) -> torch.Tensor:
    """Mixes tokens with a fixed matrix, so that an axis mistaken for another one shows."""
    return tensor(N, N, seed=7) @ logits


def standardized(row: list[float]) -> list[float]:
    mean = sum(row) / len(row)
    variance = sum((c - mean) ** 2 for c in row) / len(row)
    return [(c - mean) / sqrt(variance + 1e-5) for c in row]


def by_entry(x: torch.Tensor, phi: torch.Tensor, combine_rows) -> torch.Tensor:
    """Eq. 2 and 3 in sums over single numbers for one image; slot j = expert * S + slot."""
    logits = [
        [sum(float(x[i, k] * phi[j // S, j % S, k]) for k in range(D)) for j in SLOTS]
        for i in range(N)
    ]
    outputs = []
    for j in SLOTS:
        total = sum(exp(logits[i][j]) for i in range(N))
        slot = [sum(exp(logits[i][j]) / total * float(x[i, k]) for i in range(N)) for k in range(D)]
        outputs.append([((j // S + 2) * value) ** 2 for value in slot])
    combine = combine_rows(logits)
    rows = [[sum(combine[i][j] * outputs[j][k] for j in SLOTS) for k in range(D)] for i in range(N)]
    return torch.tensor(rows, dtype=torch.float64)


def softmax_rows(logits):
    """Eq. 4."""
    return [[exp(z) / sum(exp(other) for other in row) for z in row] for row in logits]


def attended_rows(logits):
    """Lines 6 to 8 of Algorithm 2."""
    attended = attention(torch.tensor(logits, dtype=torch.float64)).tolist()
    return [standardized(row) for row in attended]


def test_soft_moe_is_equations_2_to_4():
    x, phi = tensor(2, N, D), tensor(E, S, D, seed=1)
    expected = torch.stack([by_entry(image, phi, softmax_rows) for image in x])
    torch.testing.assert_close(naive.soft_moe(x, phi, experts), expected)


def test_la_soft_moe_is_algorithm_2():
    x, phi = tensor(2, N, D), tensor(E, S, D, seed=1)
    expected = torch.stack([by_entry(image, phi, attended_rows) for image in x])
    torch.testing.assert_close(naive.la_soft_moe(x, phi, attention, experts), expected)


@pytest.mark.parametrize("kind", [SoftMoE, LaSoftMoE])
def test_layers_are_the_naive_forms_in_values_and_gradients(kind):
    torch.manual_seed(0)
    layer, x = kind(D, E, S).double(), tensor(2, N, D).requires_grad_()
    if kind is SoftMoE:
        wanted = naive.soft_moe(x, layer.phi, layer.experts)
    else:
        wanted = naive.la_soft_moe(x, layer.phi, layer.attention, layer.experts)
    inputs = (x, *layer.parameters())
    torch.testing.assert_close(layer(x), wanted, rtol=1e-10, atol=1e-10)
    for got, want in zip(
        torch.autograd.grad(layer(x).sin().sum(), inputs),
        torch.autograd.grad(wanted.sin().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def test_shapes_in_signatures_are_checked_while_tests_run(request):
    x, phi = tensor(2, N, D), tensor(E, S, D + 1)
    with pytest.raises(TypeCheckError, match=r"parameter 'phi'"):
        naive.soft_moe(x, phi, experts)
    request.getfixturevalue("unchecked")
    with pytest.raises(RuntimeError, match="einsum"):
        naive.soft_moe(x, phi, experts)
