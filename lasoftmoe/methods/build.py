"""Building a detector from its settings."""

from __future__ import annotations

import logging

import torch

from lasoftmoe.detector import Detector
from lasoftmoe.method import MethodConfig
from lasoftmoe.methods import METHODS, method_config, preset_settings


def build_detector(config: MethodConfig, seed: int) -> Detector:
    """Build a detector; ``seed`` fixes every random weight and nothing else.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: See the method's own file.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        return METHODS[config.kind].build(config)


def build_shape(config: MethodConfig) -> Detector:
    """Build a detector on the meta device, which has shapes but no values; reads no weights."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # open_clip warns that the weights are random
    try:
        with torch.device("meta"):
            return build_detector(config.unloaded(), seed=0)
    finally:
        logging.disable(before)


def parameter_count(name: str, preset: str) -> int:
    """Return a method's number of parameters under a preset, without allocating them.

    Raises:
        KeyError: if there is no such method or preset.
    """
    config = method_config(name, preset_settings(name, preset))
    return sum(parameter.numel() for parameter in build_shape(config).parameters())
