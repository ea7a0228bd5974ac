import pytest
import torch

from data_prep.synthetic.noise import (
    BANK_SIZE,
    BLOTCHES,
    FINE,
    SKIN,
    SPOTS,
    bell,
    bell2,
    blend,
    noise,
    noise_bank,
    rgb,
    smoothstep,
)


@pytest.mark.parametrize("channel", [SKIN, BLOTCHES, FINE])
def test_banks_have_unit_variance(channel: int) -> None:
    bank = noise_bank()[channel]
    assert bank.std().item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("channel", [SKIN, BLOTCHES, FINE, SPOTS])
def test_noise_repeats_every_two_units(channel: int) -> None:
    x, y = torch.rand(2, 20, 20, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.allclose(noise(channel, x, y), noise(channel, x + 2, y - 4), atol=2e-3)


def test_there_is_no_seam_where_a_bank_wraps() -> None:
    step = 2 / BANK_SIZE
    x = torch.linspace(1 - 40 * step, 1 + 40 * step, 81).expand(200, 81)
    y = torch.linspace(-0.9, 0.9, 200)[:, None].expand(200, 81)
    jumps = noise(BLOTCHES, x, y).diff(dim=1).abs().mean(dim=0)
    assert jumps[38:42].max() < 2 * jumps.mean()


def test_blotches_are_smoother_than_grain() -> None:
    x, y = torch.meshgrid(torch.linspace(-1, 1, 400), torch.linspace(-1, 1, 400), indexing="xy")
    rough = {c: noise(c, x, y).diff(dim=1).abs().mean().item() for c in (BLOTCHES, SKIN, FINE)}
    assert rough[BLOTCHES] < rough[SKIN] < rough[FINE]


def test_smoothstep_both_ways() -> None:
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert smoothstep(0, 1, x).tolist() == [0, 0, 0.5, 1, 1]
    assert smoothstep(1, 0, x).tolist() == [1, 1, 0.5, 0, 0]


def test_bells_and_blends() -> None:
    x = torch.tensor([0.0, 2.0])
    assert bell(x, 2.0).tolist() == pytest.approx([1, 0.60653], abs=1e-4)
    assert torch.allclose(bell2(x, x, 2.0, 1.0), bell(x, 2.0) * bell(x, 1.0))
    mixed = blend(rgb(0, 0, 0), rgb(1, 0.5, 0), torch.tensor([[0.5]]))
    assert mixed.flatten().tolist() == [0.5, 0.25, 0]
