"""What ``accelerate launch`` starts in the test of training on two processes.

``python -m tests.lasoftmoe.two_processes DATA OUT`` trains the small CLIP for a few steps with each
loss and writes, from the first process, the gradients of the first step and the final weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from lasoftmoe.clip import ClipConfig, moe_parameters
from lasoftmoe.data import epoch_loader, open_dataset
from lasoftmoe.data.sampling import EpochBatches
from lasoftmoe.methods import build_detector
from lasoftmoe.methods.clip import ClipDetector, ClipDetectorConfig
from lasoftmoe.moe import MoEConfig
from lasoftmoe.training.config import TrainingConfig
from lasoftmoe.training.loop import _Loop, processes, train

LOSSES = ("class_prompt_cross_entropy", "clip_contrastive", "multi_positive_contrastive")
GLOBAL_BATCH = 8
BRANCH = MoEConfig(kind="la", num_experts=2, slots_per_expert=4, rank=8, hidden_ratio=1.0)


def detector_of(loss: str) -> ClipDetector:
    """The small CLIP with branches that do not start at zero, so that all of them get gradients."""
    detector = build_detector(ClipDetectorConfig(clip=ClipConfig(), moe=BRANCH, loss=loss), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in moe_parameters(detector):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return in_double(detector)


def in_double(detector: ClipDetector) -> ClipDetector:
    """Compute in float64, where agreement cannot be mistaken for rounding."""
    detector.double()
    clip, preprocess = detector.clip, detector.bundle.preprocess
    detector.embed = lambda images: F.normalize(clip.encode_image(preprocess(images).double()))
    return detector


def training_config(count: int, epochs: int = 1) -> TrainingConfig:
    """One epoch, measured on dev at its end; the batch is shared out among the processes."""
    return TrainingConfig(
        epochs=epochs,
        batch_size=GLOBAL_BATCH // count,
        learning_rate=1e-3,
        warmup_fraction=0.0,
        sampling="class_balanced",
        dev_auc=True,
    )


def first_gradients(detector: ClipDetector, folder: Path) -> dict[str, torch.Tensor]:
    """The gradients of the first batch, before clipping, and its loss."""
    accelerator = processes.start()
    count, process = accelerator.num_processes, accelerator.process_index
    config = training_config(count)
    loop = _Loop(detector, accelerator, config, seed=0, total=1)
    train_set = open_dataset(folder)["train"]
    order = EpochBatches(train_set.is_attack, config.batch_size, 0, config.sampling, count, process)
    detector.train()
    loss = sum(loop.losses(next(iter(epoch_loader(train_set, order))), step=0).values())
    accelerator.backward(loss)
    found = {name: p.grad.clone() for name, p in detector.named_parameters() if p.grad is not None}
    return found | {"loss": accelerator.reduce(loss.detach(), "mean")}


def results(folder: Path) -> dict[str, torch.Tensor]:
    """Gradients and weights by loss and name."""
    splits, found = open_dataset(folder), {}
    for loss in LOSSES:
        gradients = first_gradients(detector_of(loss), folder)
        detector = detector_of(loss)
        config = training_config(processes.start().num_processes)
        log = train(detector, splits["train"], splits["dev"], config, seed=0)
        weights = detector.state_dict()
        found |= {f"{loss}/gradient/{name}": value for name, value in gradients.items()}
        found |= {f"{loss}/weight/{name}": value for name, value in weights.items()}
        found[f"{loss}/log"] = torch.tensor(log[["loss", "grad_norm", "dev_auc"]].to_numpy())
    return {name: value.detach().clone().contiguous() for name, value in found.items()}


def main() -> None:
    """Called once in every process."""
    torch.set_num_threads(1)
    found = results(Path(sys.argv[1]))
    if processes.start().is_main_process:
        save_file(found, sys.argv[2])


if __name__ == "__main__":
    main()
