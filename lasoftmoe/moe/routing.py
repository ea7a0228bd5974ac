"""Routing of tokens to slots: the part that differs between MoE layers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lasoftmoe.moe.checks import require_tokens, without_masked


class Routing(NamedTuple):
    """Routing weights of one MoE layer for one batch, each (batch, tokens, experts, slots).

    ``logits`` is X Phi, ``dispatch`` is D of Eq. 2, and ``combine`` is C of Eq. 4 or Eq. 7. In a
    sparse layer, a slot is a place in an expert's queue. Its router knows experts only, so its
    ``logits`` are (batch, tokens, experts, 1).
    """

    logits: Tensor
    dispatch: Tensor
    combine: Tensor

    def detach(self) -> Routing:
        """Return the same weights, detached from the graph of gradients."""
        return Routing(*(weights.detach() for weights in self))


class RoutedLayer(nn.Module):
    """Base class of all MoE layers, which differ only in their ``route``.

    A layer needs ``dim``, ``num_experts``, ``experts``, and ``route``. :func:`capture_routing`
    finds layers by this class.
    """

    dim: int
    num_experts: int
    experts: nn.Module

    def forward(
        self, x: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Float[Tensor, "batch tokens dim"]:
        """Send tokens through the experts.

        Args:
            x: Tokens.
            mask: False where a token is padding: it gets zeros and does not affect other tokens.
                ``None`` keeps all tokens.
        """
        require_tokens(x, self.dim)
        x = without_masked(x, mask)
        routing = self.route(x, mask)
        dispatch, combine = routing.dispatch.flatten(2), routing.combine.flatten(2)
        slots = dispatch.transpose(1, 2) @ x  # Eq. 2: (batch, experts * slots, dim)
        outputs = self.experts(slots.unflatten(1, (self.num_experts, -1)))
        return combine @ outputs.flatten(1, 2)  # Eq. 4

    def route(
        self, x: Float[Tensor, "batch tokens dim"], mask: Bool[Tensor, "batch tokens"] | None = None
    ) -> Routing:
        """Compute the routing of tokens; arguments as in :meth:`forward`."""
        raise NotImplementedError(f"{type(self).__name__} must define route(x, mask)")


@contextmanager
def capture_routing(module: nn.Module, detach: bool = True) -> Generator[dict[str, Routing]]:
    """Record the routing of every MoE layer in ``module`` while the context is open.

    Yields a dictionary from a layer's name in ``module.named_modules()`` (the empty string if
    ``module`` is itself such a layer) to the :class:`Routing` of its latest forward pass, detached
    unless ``detach`` is false (for a loss on the routing). Outside the context, a layer runs
    exactly the code that it runs without it.

    >>> layer = SoftMoE(dim=8, num_experts=2, slots_per_expert=3)
    >>> with capture_routing(layer) as routing:
    ...     _ = layer(torch.randn(1, 5, 8))
    >>> routing[""].dispatch.shape
    torch.Size([1, 5, 2, 3])
    """
    captured: dict[str, Routing] = {}

    def record(name: str, route: Callable[..., Routing], x: Tensor, *mask: Tensor | None):
        routing = route(x, *mask)
        captured[name] = routing.detach() if detach else routing
        return routing

    layers = [(n, m) for n, m in module.named_modules() if isinstance(m, RoutedLayer)]
    # An attribute of the instance hides the method of its class, and forward finds it first.
    outer = [layer.__dict__.get("route") for _, layer in layers]
    for name, layer in layers:
        layer.route = partial(record, name, layer.route)
    try:
        yield captured
    finally:
        for (_, layer), route in zip(layers, outer, strict=True):
            if route is None:
                del layer.route
            else:
                layer.route = route
