"""The pretraining loop: contrastive learning on captions, and naming textures.

Radford et al. 2021 with a second term: cross-entropy over texts that name medium and texture.
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

from lasoftmoe.checkpoint import Checkpoint, TrainingState
from lasoftmoe.clip import ClipBundle
from lasoftmoe.losses import clip_contrastive
from lasoftmoe.pretraining.batches import CaptionBatch, CaptionBatches
from lasoftmoe.pretraining.captures import Captures
from lasoftmoe.pretraining.textures import scene_texts
from lasoftmoe.progress import progress_bar

INITIAL_LOGIT_SCALE = 10.0
MAX_LOGIT_SCALE = 100.0


@dataclass(frozen=True)
class PretrainingConfig:
    """Choices of a pretraining run.

    ``cpu_seconds``, if given, ends the run (and its learning rate schedule) after so much CPU
    time instead of after ``epochs``; the result then depends on the machine's speed.
    ``bf16`` computes in bfloat16 by autocast: faster where the processor supports it.
    """

    seed: int = 0
    epochs: int = 26
    cpu_seconds: float | None = None
    batch_size: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_fraction: float = 0.08
    scene_weight: float = 1.0
    bf16: bool = False


class Pretraining:
    """One run: model, optimizer, batches and how far it has come."""

    def __init__(
        self,
        bundle: ClipBundle,
        captures: Captures,
        config: PretrainingConfig,
        checkpoint: Checkpoint,
    ) -> None:
        self.bundle = bundle
        self.config = config
        self.checkpoint = checkpoint
        self.batches = CaptionBatches(captures, bundle.tokenize, config.batch_size, config.seed)
        self.scene_tokens = bundle.tokenize(scene_texts())
        with torch.no_grad():
            bundle.model.logit_scale.fill_(math.log(INITIAL_LOGIT_SCALE))
        self.optimizer = torch.optim.AdamW(
            bundle.model.parameters(), betas=(0.9, 0.98), weight_decay=config.weight_decay
        )
        self.state = TrainingState(epoch=0, log=[])

    def run(self) -> pd.DataFrame:
        """Train to the end, from the checkpoint if there is one; one row of the log a step."""
        self.bundle.model.train()
        self.state = self.checkpoint.load(self.bundle.model, self.optimizer) or self.state
        total = None if self.config.cpu_seconds else self.config.epochs * len(self.batches)
        bar = progress_bar(desc="pretrain", total=total, initial=len(self.state.log), unit="step")
        with bar:
            while self._progress() < 1:
                self._epoch(bar)
        return pd.DataFrame(self.state.log)

    def _epoch(self, bar: tqdm) -> None:
        used, start = self._cpu_seconds(), time.process_time()
        for batch in self.batches.epoch(self.state.epoch):
            progress = self._progress()
            if progress >= 1:
                break
            row = self._step(batch, learning_rate_share(progress, self.config.warmup_fraction))
            row["cpu_seconds"] = round(used + time.process_time() - start, 2)
            self.state.log.append({"step": len(self.state.log) + 1, **row})
            bar.update()
            bar.set_postfix(loss=f"{row['loss']:.3f}", scenes=f"{row['scene_loss']:.3f}")
        self.state.epoch += 1
        self.checkpoint.save(self.bundle.model, self.optimizer, self.state)

    def _step(self, batch: CaptionBatch, share: float) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = share * self.config.learning_rate
        contrastive, scene_loss = self._losses(batch)
        self.optimizer.zero_grad()
        (contrastive + self.config.scene_weight * scene_loss).backward()
        nn.utils.clip_grad_norm_(self.bundle.model.parameters(), 1.0)
        self.optimizer.step()
        return {
            "loss": contrastive.item(),
            "scene_loss": scene_loss.item(),
            "logit_scale": self._logit_scale().item(),
            "learning_rate": share * self.config.learning_rate,
        }

    def _losses(self, batch: CaptionBatch) -> tuple[Tensor, Tensor]:
        model = self.bundle.model
        # with 65 tokens the plain attention is faster on a CPU than the fused one
        with (
            torch.autocast("cpu", torch.bfloat16, enabled=self.config.bf16),
            sdpa_kernel(SDPBackend.MATH),
        ):
            images = self.bundle.embed_images(batch.images)
            texts = model.encode_text(torch.cat([batch.tokens, self.scene_tokens]))
        captions, scenes = F.normalize(texts.float(), dim=-1).split(
            [len(batch.tokens), len(self.scene_tokens)]
        )
        scale = self._logit_scale()
        scene_logits = scale * images.float() @ scenes.T
        contrastive = clip_contrastive(images, captions, scale)
        return contrastive, F.cross_entropy(scene_logits, batch.scenes)

    def _logit_scale(self) -> Tensor:
        return self.bundle.model.logit_scale.exp().clamp(max=MAX_LOGIT_SCALE)

    def _cpu_seconds(self) -> float:
        return self.state.log[-1]["cpu_seconds"] if self.state.log else 0.0

    def _progress(self) -> float:
        if self.config.cpu_seconds is not None:
            return self._cpu_seconds() / self.config.cpu_seconds
        return len(self.state.log) / (self.config.epochs * len(self.batches))


def learning_rate_share(progress: float, warmup_fraction: float) -> float:
    """Linear warm-up, then half a cosine down to zero; ``progress`` runs from 0 to 1."""
    if progress < warmup_fraction:
        return progress / warmup_fraction
    after = (progress - warmup_fraction) / (1 - warmup_fraction)
    return 0.5 * (1 + math.cos(math.pi * after))
