"""A linear layer that answers the questions from the stem's tokens while the towers learn.

Small things in a fixed place (glasses, a mouth) reach the stem only through a transformer that
does not yet look there, so the stem does not learn them for a thousand steps. A linear layer over
all positions teaches it within a hundred steps. The layer is not part of the model.
"""

from __future__ import annotations

import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from torch.nn import functional as F

from lasoftmoe.pretraining.questions import TEXTS


class Scaffold(nn.Module):
    """Logits of the answers to all questions, from the stem's latest tokens.

    Args:
        model: A small CLIP, whose tokens after the stem are kept at every forward pass.
        places: Number of tokens after the stem.
        seed: Seed of the initial weights.
    """

    def __init__(self, model: CLIP, places: int, seed: int) -> None:
        super().__init__()
        width = model.visual.conv1.layers[-1].out_channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layer = nn.Linear(places * width, TEXTS)
        self._tokens: Tensor | None = None
        model.visual.conv1.layers.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: object, tokens: Tensor) -> None:
        self._tokens = tokens

    def forward(self) -> Tensor:
        """Return logits, (images, ``TEXTS``), for the model's latest images."""
        tokens = self._tokens.float().flatten(2).transpose(1, 2)
        return self.layer(F.layer_norm(tokens, tokens.shape[-1:]).flatten(1))
