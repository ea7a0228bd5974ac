"""The MoE module of the paper's figure 2: a Linear layer, the MoE, a Linear layer."""

from __future__ import annotations

from torch import Tensor, nn

from lasoftmoe.moe.checks import require_positive, require_tokens, without_masked


class MoEAdapter(nn.Module):
    """Linear dim -> rank, ``moe`` at width rank, Linear rank -> dim.

    The last layer starts at zero, so that the branch adds nothing at step 0 and training
    starts from exactly the CLIP it was put into. Figure 2 draws the two Linear layers but
    gives neither their width nor their initial values; ``rank == dim`` is its full-width
    reading.

    Args:
        dim: width of the block's tokens.
        rank: width at which the MoE works.
        moe: a layer (batch, tokens, rank) -> (batch, tokens, rank) with an attribute ``dim``.

    Raises:
        ValueError: a size below 1, a MoE of another width, tokens of the wrong shape.
    """

    def __init__(self, dim: int, rank: int, moe: nn.Module) -> None:
        super().__init__()
        require_positive(dim=dim, rank=rank)
        if moe.dim != rank:
            raise ValueError(f"the MoE works at width {moe.dim}, but rank is {rank}")
        self.dim = dim
        self.rank = rank
        self.down = nn.Linear(dim, rank)
        self.moe = moe
        self.up = nn.Linear(rank, dim)
        # Tokens come from a layer norm; this keeps their unit variance at width rank.
        nn.init.normal_(self.down.weight, std=dim**-0.5)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the branch adds to tokens ``x`` (batch, tokens, dim); the same shape.

        ``mask`` is bool (batch, tokens); tokens where it is false get zeros.
        """
        require_tokens(x, self.dim)
        added = self.up(self.moe(self.down(without_masked(x, mask)), mask))
        return without_masked(added, mask)
