"""Which token goes to which slot: what every MoE layer decides and what plots look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn


class Routing(NamedTuple):
    """The weights of one MoE layer for one batch, each (batch, tokens, experts, slots).

    ``logits`` is X Phi, ``dispatch`` is D of Eq. 2 and ``combine`` is C of Eq. 4 or Eq. 7.
    """

    logits: Tensor
    dispatch: Tensor
    combine: Tensor

    def detach(self) -> Routing:
        """The same weights, cut from the graph of gradients."""
        return Routing(*(weights.detach() for weights in self))


class RoutedLayer(nn.Module):
    """A layer whose ``forward`` gets its weights from its own ``route``.

    The base class of every MoE layer; it is what :func:`capture_routing` looks for.
    """

    def route(self, x: Tensor) -> Routing:
        """The routing of tokens ``x`` (batch, tokens, dim)."""
        raise NotImplementedError(f"{type(self).__name__} has to define route(x)")


@contextmanager
def capture_routing(module: nn.Module) -> Iterator[dict[str, Routing]]:
    """Record the routing of every MoE layer inside ``module`` while the context is open.

    Yields a dictionary from a layer's name in ``module.named_modules()`` (the empty string
    when ``module`` is itself such a layer) to the detached :class:`Routing` of its latest
    forward pass. Outside the context a layer runs exactly the code it runs without it.

    >>> layer = SoftMoE(dim=8, num_experts=2, slots_per_expert=3)
    >>> with capture_routing(layer) as routing:
    ...     _ = layer(torch.randn(1, 5, 8))
    >>> routing[""].dispatch.shape
    torch.Size([1, 5, 2, 3])
    """
    captured: dict[str, Routing] = {}

    def record(name: str, route, x: Tensor) -> Routing:
        routing = route(x)
        captured[name] = routing.detach()
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
