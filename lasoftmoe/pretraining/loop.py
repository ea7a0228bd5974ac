"""The pretraining loop: contrastive learning on captions with two more classification losses.

Adds cross-entropy over texts that name medium and texture, and over texts that name one
attribute, to the loss of Radford et al. 2021.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm.auto import tqdm

from lasoftmoe.clip import ClipBundle
from lasoftmoe.losses import clip_contrastive
from lasoftmoe.pretraining.batches import CaptionBatch, CaptionBatches
from lasoftmoe.pretraining.captures import Captures
from lasoftmoe.pretraining.questions import question_loss
from lasoftmoe.pretraining.scaffold import Scaffold
from lasoftmoe.pretraining.text_tower import encode_texts
from lasoftmoe.pretraining.textures import scene_texts
from lasoftmoe.progress import progress_bar
from lasoftmoe.small_clip.stem import PATCH_SIZE
from lasoftmoe.training.checkpoint import Checkpoint, TrainingState
from lasoftmoe.training.optimizer import half_cosine

INITIAL_LOGIT_SCALE = 10.0


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of a pretraining run.

    ``cpu_seconds``, if given, ends the run and its learning rate schedule after that much CPU time
    instead of after ``epochs``; the result then depends on the machine's speed. The layout branch
    and a ``Scaffold``, which is dropped at the end, learn from ``scaffold_epoch`` and have no
    effect before. ``bf16`` computes in bfloat16 by autocast.
    """

    seed: int = 0
    epochs: int = 26
    cpu_seconds: float | None = None
    batch_size: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_fraction: float = 0.08
    scene_weight: float = 1.0
    question_weight: float = 4.0
    scaffold_weight: float = 3.0
    scaffold_epoch: int = 0
    bf16: bool = False


class Pretraining:
    """One run: model, optimizer, batches, and progress."""

    def __init__(
        self,
        bundle: ClipBundle,
        captures: Captures,
        config: PretrainingConfig,
        checkpoint: Checkpoint,
        device: torch.device | str = "cpu",
    ) -> None:
        """Move the model to ``device`` and prepare everything up to the first step."""
        bundle.model.to(device)
        self.bundle = bundle
        self.config = config
        self.checkpoint = checkpoint
        self.batches = CaptionBatches(captures, bundle.tokenize, config.batch_size, config.seed)
        self.scene_tokens = bundle.tokenize(scene_texts()).to(device)
        with torch.no_grad():
            bundle.model.logit_scale.fill_(math.log(INITIAL_LOGIT_SCALE))
        places = (bundle.image_size // PATCH_SIZE) ** 2
        scaffold = Scaffold(bundle.model, places, config.seed).to(device)
        self.trained = nn.ModuleDict({"clip": bundle.model, "scaffold": scaffold})
        self.optimizer = torch.optim.AdamW(
            self.trained.parameters(), betas=(0.9, 0.98), weight_decay=config.weight_decay
        )
        self.state = TrainingState(epoch=0, log=[])
        self._scaffold_weight = 0.0

    def run(self) -> pd.DataFrame:
        """Train to the end, from a checkpoint if there is one; return a log row per step."""
        self.bundle.model.train()
        self.state = self.checkpoint.load(self.trained, self.optimizer) or self.state
        total = None if self.config.cpu_seconds else self.config.epochs * len(self.batches)
        bar = progress_bar(desc="pretrain", total=total, initial=len(self.state.log), unit="step")
        with bar:
            while self._progress() < 1:
                self._epoch(bar)
        return pd.DataFrame(self.state.log)

    def _epoch(self, bar: tqdm) -> None:
        used, start = self._cpu_seconds(), time.process_time()
        self._switch_scaffold(self.state.epoch >= self.config.scaffold_epoch)
        for batch in self.batches.epoch(self.state.epoch):
            progress = self._progress()
            if progress >= 1:
                break
            batch = batch.to(self.bundle.device)
            row = self._step(batch, learning_rate_share(progress, self.config.warmup_fraction))
            row["cpu_seconds"] = round(used + time.process_time() - start, 2)
            self.state.log.append({"step": len(self.state.log) + 1, **row})
            bar.update()
            bar.set_postfix({name: f"{row[name]:.3f}" for name in row if name.endswith("loss")})
        self.state.epoch += 1
        self.checkpoint.save(self.trained, self.optimizer, self.state)

    def _switch_scaffold(self, on: bool) -> None:
        for part in (self.trained["scaffold"], self.bundle.model.visual.conv1.layout):
            if part is not None:
                part.requires_grad_(on)
        self._scaffold_weight = self.config.scaffold_weight if on else 0.0

    def _step(self, batch: CaptionBatch, share: float) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = share * self.config.learning_rate
        losses = self._losses(batch)
        weights = {
            "scene_loss": self.config.scene_weight,
            "question_loss": self.config.question_weight,
            "scaffold_loss": self._scaffold_weight,
        }
        self.optimizer.zero_grad()
        sum(weights.get(name, 1.0) * loss for name, loss in losses.items()).backward()
        nn.utils.clip_grad_norm_(self.trained.parameters(), 1.0)
        self.optimizer.step()
        return {
            **{name: loss.item() for name, loss in losses.items()},
            "logit_scale": self.bundle.logit_scale.item(),
            "learning_rate": share * self.config.learning_rate,
        }

    def _losses(self, batch: CaptionBatch) -> dict[str, Tensor]:
        model, scale = self.bundle.model, self.bundle.logit_scale
        # With 65 tokens, plain attention is faster on a CPU than fused attention.
        with (
            torch.autocast(batch.images.device.type, torch.bfloat16, enabled=self.config.bf16),
            sdpa_kernel(SDPBackend.MATH),
        ):
            images = self.bundle.embed_images(batch.images).float()
            captions = encode_texts(model, batch.tokens)
            choices = encode_texts(model, torch.cat([self.scene_tokens, batch.question_tokens]))
        logits = scale * images @ F.normalize(choices.float(), dim=-1).T
        scenes, questions = logits.tensor_split([len(self.scene_tokens)], dim=1)
        return {
            "loss": clip_contrastive(images, captions.float(), scale),
            "scene_loss": F.cross_entropy(scenes, batch.scenes),
            "question_loss": question_loss(questions, batch.answers),
            "scaffold_loss": question_loss(self.trained["scaffold"](), batch.answers),
        }

    def _cpu_seconds(self) -> float:
        return self.state.log[-1]["cpu_seconds"] if self.state.log else 0.0

    def _progress(self) -> float:
        if self.config.cpu_seconds is not None:
            return self._cpu_seconds() / self.config.cpu_seconds
        return len(self.state.log) / (self.config.epochs * len(self.batches))


def learning_rate_share(progress: float, warmup_fraction: float) -> float:
    """Return a linear warm-up, then half a cosine down to 0; ``progress`` is from 0 to 1."""
    if progress < warmup_fraction:
        return progress / warmup_fraction
    after = (progress - warmup_fraction) / (1 - warmup_fraction)
    return half_cosine(after)
