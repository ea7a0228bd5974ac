"""MoE branches in the blocks of a vision tower (Algorithm 1)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lasoftmoe.moe.build import MoEConfig, build_moe


class MLPWithMoE(nn.Sequential):
    """MLP of a block and a MoE branch that reads the same input: ``mlp(x) + moe(x)``.

    These are lines 7 to 9 of Algorithm 1, ``X = X + mlp(X) + La-SoftMoE(X)``, where the block
    itself adds X. The MLP's layers keep their names from open_clip, so a state dict of plain CLIP
    lacks only ``moe.*``.
    """

    def __init__(self, mlp: nn.Sequential, moe: nn.Module) -> None:
        super().__init__(OrderedDict(mlp.named_children()))
        self.moe = moe

    def forward(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch tokens dim"]:
        """Add the outputs of MLP and branch."""
        hidden = x
        for name, layer in self.named_children():
            if name != "moe":
                hidden = layer(hidden)
        return hidden + self.moe(x)


def add_moe(
    visual: nn.Module, config: MoEConfig, generator: torch.Generator | None = None
) -> nn.Module:
    """Put a MoE branch beside the MLP of a vision tower's blocks, in place.

    The last layer of a branch starts at zero, so before the first training step, the tower
    computes bit for bit what it did before. MLP and branch both read the output of the block's
    second layer norm. Algorithm 1 writes X without this norm, but pretrained CLIP needs it.

    Args:
        visual: Vision tower, ``bundle.model.visual``.
        config: Kind, sizes, and blocks of the branches; ``kind="none"`` changes nothing.
        generator: Source of the initial weights; ``None`` means torch's global generator.

    Returns:
        ``visual`` itself.

    Raises:
        ValueError: If the tower has no transformer blocks (a ResNet), or if a block does not exist
            or already has a branch.
    """
    if config.kind == "none":
        return visual
    blocks = _transformer_blocks(visual)
    chosen = range(len(blocks)) if config.blocks is None else config.blocks
    wrong = [i for i in chosen if not 0 <= i < len(blocks)]
    if wrong or len(set(chosen)) != len(chosen):
        raise ValueError(
            f"MoEConfig.blocks = {list(chosen)}: expected distinct numbers from 0 to "
            f"{len(blocks) - 1}, since this tower has {len(blocks)} blocks."
        )
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:
            draw = torch.randint(2**62, (), generator=generator, device=generator.device)
            torch.manual_seed(int(draw))  # the named device also under `with torch.device("meta")`
        for i in chosen:
            blocks[i].mlp = _with_branch(blocks[i].mlp, config)
    return visual


def moe_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that :func:`add_moe` put into ``model``, a CLIP or its tower."""
    return [p for name, p in model.named_parameters() if "moe" in name.split(".")]


def _transformer_blocks(visual: nn.Module) -> list[Any]:
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", None)
    if not blocks or not all(hasattr(getattr(b, "mlp", None), "c_fc") for b in blocks):
        raise ValueError(
            f"{type(visual).__name__} has no transformer blocks with an MLP like those of "
            "open_clip's VisionTransformer (is it a ResNet CLIP?); choose a ViT such as "
            "ViT-B-16-quickgelu."
        )
    return list(blocks)


def _with_branch(mlp: nn.Sequential, config: MoEConfig) -> MLPWithMoE:
    if hasattr(mlp, "moe"):
        raise ValueError("This block already has a MoE branch; load the CLIP again.")
    weight = mlp.c_fc.weight
    moe = build_moe(mlp.c_fc.in_features, config).to(device=weight.device, dtype=weight.dtype)
    return MLPWithMoE(mlp, moe)
