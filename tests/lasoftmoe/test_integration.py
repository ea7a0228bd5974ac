"""The branch inside CLIP under what users do: cast, checkpoint, compile, export, spread it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lasoftmoe.moe import capture_routing
from tests.lasoftmoe.distributed import (
    BRANCHES,
    PROCESSES,
    backward,
    gradients,
    images,
    tower,
    work,
)

every_branch = pytest.mark.parametrize("branch", BRANCHES)
slow = pytest.mark.slow


def assert_same_gradients(actual: dict, wanted: dict, **tolerance) -> None:
    assert actual.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(actual[name], gradient, msg=name.format, **tolerance)


def own_gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    model.zero_grad()
    backward(model, images())
    return {name: gradient.clone() for name, gradient in gradients(model).items()}


# --- precision and memory ---------------------------------------------------------------------


@every_branch
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_autocast_stays_close_to_float32_and_trains(branch, half):
    visual = tower(branch)
    wanted = visual(images()).detach()
    with torch.autocast("cpu", dtype=half):
        output = visual(images())
        loss = output.float().square().mean()
    loss.backward()
    assert (output.float() - wanted).norm() / wanted.norm() < 0.1
    found = gradients(visual)
    assert all(g is not None and g.isfinite().all() for g in found.values())


@every_branch
def test_checkpointing_changes_no_bit_of_the_gradients(branch):
    visual = tower(branch)
    for block in visual.transformer.resblocks:
        block.mlp.moe.moe.noise = 0.5  # of top-k: recomputing has to draw it again
    torch.manual_seed(3)
    wanted = own_gradients(visual)
    visual.set_grad_checkpointing(True)
    torch.manual_seed(3)
    found = own_gradients(visual)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_losses_of_captured_routing_survive_checkpointing():
    visual, results = tower("top-k"), []
    for checkpointing in (False, True):
        visual.set_grad_checkpointing(checkpointing)
        visual.zero_grad()
        with capture_routing(visual, detach=False) as routing:
            visual(images())
        sum(layer.logits.square().sum() for layer in routing.values()).backward()
        results.append(visual.transformer.resblocks[0].mlp.moe.moe.router.grad.clone())
    assert results[0].any() and torch.equal(*results)


# --- compiling and exporting ------------------------------------------------------------------

unchecked = pytest.mark.usefixtures("unchecked")


@unchecked
@every_branch
def test_forward_and_backward_are_one_graph_each(branch):
    """Traced as for compiling, run as they are; no code is generated."""
    block = tower(branch, blocks=1).transformer.resblocks[0]
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 10, 96, requires_grad=True)
    (wanted,) = torch.autograd.grad(block(x).square().mean(), x)
    (found,) = torch.autograd.grad(compiled(x).square().mean(), x)
    torch.testing.assert_close(found, wanted)


@slow
@unchecked
def test_compiles_with_inductor():
    visual = tower("stable", blocks=1)
    wanted = own_gradients(visual)
    compiled = torch.compile(visual, fullgraph=True)
    torch.testing.assert_close(compiled(images()), visual(images()), rtol=1e-4, atol=1e-4)
    visual.zero_grad()
    backward(compiled, images())
    assert_same_gradients(gradients(visual), wanted, rtol=1e-3, atol=1e-4)


@unchecked
@every_branch
def test_exports_for_any_batch_size(branch):
    visual = tower(branch).eval()
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    with torch.no_grad():
        program = torch.export.export(visual, (images(),), dynamic_shapes=dynamic)
        for count in (1, 3):
            x = images()[:count]
            torch.testing.assert_close(program.module()(x), visual(x), rtol=1e-5, atol=1e-5)


@slow
@unchecked
@every_branch
def test_onnx_runtime_computes_the_same(branch, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    visual = tower(branch).eval()
    dynamic = ({0: torch.export.Dim.DYNAMIC},)
    program = torch.onnx.export(
        visual, (images(),), dynamo=True, dynamic_shapes=dynamic, verbose=False
    )
    program.save(tmp_path / "tower.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "tower.onnx")
    (name,) = (node.name for node in session.get_inputs())
    for count in (1, 3):
        x = images()[:count]
        (output,) = session.run(None, {name: x.numpy()})
        wanted = visual(x).detach()
        torch.testing.assert_close(torch.from_numpy(output), wanted, rtol=1e-4, atol=1e-4)


# --- several processes ------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["stable", "top-k"])
def two_processes(request, tmp_path_factory):
    """Gradients of one process with the whole batch, and of two with half of it each."""
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(work, (request.param, folder), nprocs=PROCESSES)
    found = torch.load(folder / "gradients.pt", weights_only=True)
    return {"alone": own_gradients(tower(request.param)), **found}


@slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_average_to_the_gradient_of_one(two_processes, kind):
    assert_same_gradients(two_processes[kind], two_processes["alone"], rtol=1e-4, atol=1e-5)
