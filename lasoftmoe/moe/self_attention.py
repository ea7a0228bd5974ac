"""What all kinds of self-attention among tokens share: projections and heads."""

from __future__ import annotations

from torch import Tensor, nn

from lasoftmoe.moe.checks import require_positive, require_tokens, without_masked


class SelfAttention(nn.Module):
    """Queries, keys and values of tokens, split into heads, attended and joined again.

    Args:
        dim: width of the tokens, in and out.
        heads: number of heads; has to divide ``dim``.
        project: make queries, keys and values by learned projections without bias; otherwise
            all three are the input itself. The paper does not say.

    Raises:
        ValueError: a size below 1, heads that do not divide dim; tokens or a mask of the wrong
            shape in ``forward``.
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

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend among the tokens of ``x`` (batch, tokens, dim); the same shape comes back.

        ``mask`` is bool (batch, tokens), false for tokens that nobody attends to.
        """
        require_tokens(x, self.dim)
        queries, keys, values = self.heads_of(without_masked(x, mask))
        keep = None if mask is None else mask[:, None, :, None]
        output = self.attend(queries, keys, values, keep)
        return output.transpose(1, 2).flatten(2).to(x.dtype)

    def heads_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (batch, heads, tokens, dim / heads)."""
        if self.qkv is None:
            parts = (x, x, x)
        else:
            parts = self.qkv(x.to(self.qkv.weight.dtype)).chunk(3, dim=-1)
        queries, keys, values = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts
        )
        return queries, keys, values

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None) -> Tensor:
        """What each query reads, (batch, heads, tokens, dim / heads) as the arguments.

        ``keep`` is bool (batch, 1, tokens, 1), false for keys that nobody may read.
        """
        raise NotImplementedError(f"{type(self).__name__} has to define attend")

    def extra_repr(self) -> str:
        return f"dim={self.dim}, heads={self.heads}, project={self.qkv is not None}"
