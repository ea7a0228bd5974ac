"""``python -m tests.lasoftmoe.methods.one_step EXPERIMENT DATA OUT [PRECISION]``: train one step.

Run by one process, or by several that share the batch; writes the trained weights. SGD, because
Adam turns a gradient of rounding errors into a full step.
"""

import sys
from pathlib import Path

from lasoftmoe.data import open_dataset
from lasoftmoe.experiment import load_config
from lasoftmoe.methods import build_detector
from lasoftmoe.training import processes, train
from lasoftmoe.training.config import TrainingConfig
from lasoftmoe.weights_files import save_weights

IMAGES = 32
"""All training images of the tiny dataset: one batch."""


def main(name: str, data: str, out: str, precision: str = "no") -> None:
    """Train one step; only the first process writes."""
    accelerator = processes.start()
    detector = build_detector(load_config(name, "laptop").detector, 0)
    config = TrainingConfig(
        epochs=1,
        batch_size=IMAGES // accelerator.num_processes,
        optimizer="sgd",
        learning_rate=1e-3,
        weight_decay=0.0,
        warmup_fraction=0.0,
        schedule="constant",
        shift_pixels=1,
        precision=precision,
    )
    train(detector, open_dataset(data, splits=["train"])["train"], None, config, seed=0)
    if accelerator.is_main_process:
        save_weights(detector, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
