"""What runs next to a student's function. Nothing here knows a right answer.

A trial calls the function on the arguments of one case and returns what a judge needs to see:
usually the answer itself, sometimes its gradient, the layers it built, or several calls.
"""

from __future__ import annotations

import copy
import linecache
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lasoftmoe.exercises.values import plain
from lasoftmoe.moe import LaSoftMoE, MoEAdapter


@dataclass(frozen=True)
class Outcome:
    """How one case went.

    Attributes:
        state: ``"value"``, ``"blank"``, ``"none"`` (returned nothing), or ``"error"``.
        value: the plain value that the trial returned.
        error: type and place of what the function raised.
        said: its message, which may hold inputs.
    """

    state: str
    value: Any = None
    error: str = ""
    said: str = ""


class NothingReturnedError(Exception):
    """The student's function ended without a result."""


class Asked:
    """A student's function as a trial calls it.

    It gets copies of the arguments, so it cannot spoil the case, and must return something.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.uncopied(*copy.deepcopy(args))

    def uncopied(self, *args: Any) -> Any:
        """Call with the very arguments, where their gradients are needed."""
        answer = self.function(*args)
        if answer is None:
            raise NothingReturnedError
        return answer


def attempt(trial: str, function: Callable[..., Any], case: tuple[Any, ...]) -> Outcome:
    """Run a trial on one case and say how it went."""
    try:
        with torch.random.fork_rng(devices=[]):  # the reader's random numbers stay as they are
            return Outcome("value", plain(TRIALS[trial](Asked(function), *case)))
    except NotImplementedError:
        return Outcome("blank")
    except NothingReturnedError:
        return Outcome("none")
    except Exception as error:
        return Outcome("error", None, describe(error, function), first_line(error))


def describe(error: BaseException, function: Callable[..., Any]) -> str:
    """Return the type of an error and, where it can be told, the student's line."""
    name = type(error).__name__
    code = getattr(function, "__code__", None)
    first = code.co_firstlineno if code else 1
    if isinstance(function, type):  # lines of a class are counted from the start of its cell
        code = getattr(function.__init__, "__code__", None)
    step, found = error.__traceback__, None
    while code is not None and step is not None:
        if step.tb_frame.f_code.co_filename == code.co_filename:
            found = step.tb_lineno
        step = step.tb_next
    if found is None:
        return name
    line = linecache.getline(code.co_filename, found).strip()
    return f"{name} in line {found - first + 1}{f', `{line}`' if line else ''}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or an empty string."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else ""


def call(function: Asked, *args: Any) -> Any:
    """Return the answer itself."""
    return function(*args)


class Name(str):
    """A name whose hash changes with ``salt``, as names' hashes do from one Python to the next."""

    salt = 0

    def __hash__(self) -> int:
        return hash((str(self), Name.salt))


def split_with_seeds(function: Asked, subject: Any, test_share: float) -> list[Any]:
    """Split with seed 0, with seed 0 in a "new" Python, and with five other seeds."""
    names = np.empty(len(subject), dtype=object)
    names[:] = [Name(name) for name in subject]
    splits = []
    for Name.salt, seed in ((0, 0), (1, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5)):
        splits.append(plain(np.asarray(function(names, test_share, seed))))
    return splits


def saved_twice(function: Asked, pixels: Any) -> tuple[Any, Any]:
    """Give the same pixels in two files, uncompressed and compressed."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"level{level}.png" for level in (0, 9)]
        for path, level in zip(files, (0, 9), strict=True):
            Image.fromarray(pixels).save(path, compress_level=level)
        first, second = (plain(function(path)) for path in files)
    return first, second


def drawn_rows(function: Asked, table: Any) -> list[Any]:
    """Return the image numbers of twenty resamples, and of the first one drawn again."""
    rows = []
    for seed in (*range(20), 0):
        drawn = function(table, np.random.default_rng(seed))
        columns = getattr(drawn, "columns", ())
        if not {"subject", "image"} <= set(columns):
            return [type(drawn).__name__]
        rows.append(drawn["image"].to_numpy())
    return rows


def name_by_name(function: Asked, names: list[str]) -> list[bool]:
    """Ask about every name."""
    return [bool(function(name)) for name in names]


def with_gradient(function: Asked, x: Tensor) -> tuple[Any, Any]:
    """Return a scalar and its gradient for ``x``, or the string ``"none"`` where it has none."""
    asked = x.clone().requires_grad_()
    answer = function.uncopied(asked)
    if not isinstance(answer, Tensor) or answer.numel() != 1 or not answer.requires_grad:
        return answer, "none"
    (slope,) = torch.autograd.grad(answer.sum(), asked, allow_unused=True)
    return answer, "none" if slope is None else slope


def counted(function: Asked, *args: Tensor) -> tuple[Any, bool]:
    """Return the answer, and whether it took more multiply-adds than two thin products.

    A thin product takes as many as ``(tokens x width)`` by ``(width x width)`` does. A table of
    all pairs of tokens takes more, because the cases have many tokens and few features.
    """
    with FlopCounterMode(display=False) as counter:
        answer = function(*args)
    batch, tokens, width = args[0].shape
    return answer, counter.get_total_flops() // 2 > 3 * batch * tokens * width**2


def layer_built(function: Asked, num_tokens: int, dim: int, num_experts: int) -> list[Any]:
    """Return the name of the layer's class, and the experts and slots of its dispatch weights."""
    layer = function(num_tokens, dim, num_experts)
    if not hasattr(layer, "route"):
        return [type(layer).__name__]
    with torch.no_grad():
        dispatch = layer.route(torch.zeros(1, num_tokens, dim)).dispatch
    return [type(layer).__name__, *dispatch.shape[2:]]


def features_of(function: Asked, x: Tensor) -> list[Any]:
    """Return the features, those of each token alone, and the slope at every number of ``x``.

    The slope is that of a randomly weighted sum: the plain sum of some features is constant.
    """
    features = function(x)
    if not isinstance(features, Tensor) or features.dim() != 3 or features.shape[:2] != x.shape[:2]:
        return [features]
    alone = torch.stack([function(token[None, None])[0, 0] for token in x.flatten(0, 1)])
    asked = x.clone().requires_grad_()
    answer = function.uncopied(asked)
    weights = torch.randn(answer.shape, generator=torch.Generator().manual_seed(0))
    if not answer.requires_grad:
        return [features, alone.view_as(features), torch.zeros_like(x)]
    (slope,) = torch.autograd.grad((weights * answer).sum(), asked)
    return [features, alone.view_as(features), slope]


def adapter_changed(function: Asked, x: Tensor, rank: int, seed: int) -> list[Any]:
    """Give an adapter with random weights and biases; return what has become of it.

    Returns:
        The name of the class, the first frozen parameter (or ""), the largest output, whether
        ``up.weight`` and ``down.weight`` are not all zero, whether ``up.weight`` gets a gradient,
        and whether the experts are as they were.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        adapter = MoEAdapter(x.shape[-1], rank, LaSoftMoE(rank, num_experts=2, slots_per_expert=3))
        for parameter in adapter.parameters():
            parameter.normal_(std=0.5)
        target = torch.randn(x.shape)
    before = [parameter.detach().clone() for parameter in adapter.moe.parameters()]
    adapter = function.uncopied(adapter)
    if not isinstance(adapter, MoEAdapter):
        return [type(adapter).__name__]
    frozen = next((name for name, p in adapter.named_parameters() if not p.requires_grad), "")
    output = adapter(x)
    if not frozen:
        adapter.zero_grad()
        (output - target).square().mean().backward()
    learns = adapter.up.weight.grad is not None and bool(adapter.up.weight.grad.any())
    after = list(adapter.moe.parameters())
    kept = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    parts: list[nn.Linear] = [adapter.up, adapter.down]
    alive = [bool(part.weight.any()) for part in parts]
    return [
        type(adapter).__name__,
        frozen,
        float(output.detach().abs().max()),
        *alive,
        learns,
        kept,
    ]


def module_built(function: Asked, x: Tensor, experts: int, slots: int, seed: int) -> list[Any]:
    """Build a module for tokens ``x``, give it random weights, and run it forward and backward.

    Returns:
        The names of the class and its bases, the output, that of the first image alone, the names
        of all parameters, their values, and the names of those without a gradient. Only the names
        of the class where it is no module, and these and the output where that is no tensor.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = function.uncopied(x.shape[-1], experts, slots)
        classes = [base.__name__ for base in type(layer).__mro__]
        if not isinstance(layer, nn.Module):
            return [classes]
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_(std=0.5)
        target = torch.randn(x.shape)
    output = Asked(layer)(x)
    if not isinstance(output, Tensor) or output.shape != x.shape or not output.requires_grad:
        return [classes, output]
    (output * target).sum().backward()
    named = dict(layer.named_parameters())
    silent = [name for name, p in named.items() if p.grad is None or not p.grad.any()]
    with torch.no_grad():
        alone = layer(x[:1].clone())
    return [classes, output, alone, list(named), list(named.values()), silent]


TRIALS = {
    trial.__name__: trial
    for trial in (
        call,
        split_with_seeds,
        saved_twice,
        drawn_rows,
        name_by_name,
        with_gradient,
        counted,
        layer_built,
        features_of,
        adapter_changed,
        module_built,
    )
}
