"""MoE module of the paper's Figure 2: a Linear layer, the MoE, a Linear layer."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lasoftmoe.moe.checks import require_positive, require_tokens, without_masked


class MoEAdapter(nn.Module):
    """Linear layer dim -> rank, ``moe`` at width rank, Linear layer rank -> dim.

    The last layer starts at zero, so at step 0, the branch adds nothing and training starts from
    exactly the CLIP that it was put into. Figure 2 draws the two Linear layers but gives neither
    their width nor their initial values. ``rank == dim`` is its full-width reading.

    Args:
        dim: Width of the block's tokens.
        rank: Width at which the MoE works.
        moe: Layer (batch, tokens, rank) -> (batch, tokens, rank) with an attribute ``dim``.

    Raises:
        ValueError: If a size is below 1, the MoE has another width, or ``forward`` gets tokens of
            the wrong shape.
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

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch tokens dim"]:
        """Return what the branch adds to the tokens: zeros where ``mask`` is false."""
        require_tokens(x, self.dim)
        added = self.up(self.moe(self.down(without_masked(x, mask)), mask))
        return without_masked(added, mask)
