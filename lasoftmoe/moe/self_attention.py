"""Projections and heads that all kinds of self-attention among tokens share."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lasoftmoe.moe.checks import require_positive, require_tokens, without_masked


class SelfAttention(nn.Module):
    """Self-attention with heads; subclasses define how a head attends.

    Args:
        dim: Width of the tokens, in and out.
        heads: Number of heads; must divide ``dim``.
        project: Compute queries, keys, and values by learned projections without bias. Otherwise,
            all three are the input itself. The paper does not say.

    Raises:
        ValueError: If a size is below 1, ``heads`` does not divide ``dim``, or ``forward`` gets
            tokens or a mask of the wrong shape.
    """

    def __init__(self, dim: int, heads: int = 1, project: bool = True) -> None:
        super().__init__()
        require_positive(dim=dim, heads=heads)
        if dim % heads:
            raise ValueError(f"dim={dim} is not divisible by heads={heads}")
        self.dim = dim
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False) if project else None
        if self.qkv is not None:
            nn.init.normal_(self.qkv.weight, std=dim**-0.5)

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch tokens dim"]:
        """Attend among tokens; no query reads a token where ``mask`` is false."""
        require_tokens(x, self.dim)
        queries, keys, values = self.heads_of(without_masked(x, mask))
        keep = None if mask is None else mask[:, None, :, None]
        output = self.attend(queries, keys, values, keep)
        return output.transpose(1, 2).flatten(2).to(x.dtype)

    def heads_of(self, x: Float[Tensor, "batch tokens dim"]) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys, and values, each (batch, heads, tokens, dim / heads)."""
        if self.qkv is None:
            parts = (x, x, x)
        else:
            parts = self.qkv(x.to(self.qkv.weight.dtype)).chunk(3, dim=-1)
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts
        )
        return queries, keys, values

    def attend(
        self,
        queries: Float[Tensor, "batch heads tokens width"],
        keys: Float[Tensor, "batch heads tokens width"],
        values: Float[Tensor, "batch heads tokens width"],
        keep: Bool[Tensor, "batch 1 tokens 1"] | None,
    ) -> Float[Tensor, "batch heads tokens width"]:
        """Compute what each query reads; no query reads a key where ``keep`` is false."""
        raise NotImplementedError(f"{type(self).__name__} must define attend")

    def extra_repr(self) -> str:
        return f"dim={self.dim}, heads={self.heads}, project={self.qkv is not None}"
