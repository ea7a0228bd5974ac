"""The pretraining loop: contrastive learning on captions, and naming textures.

Radford et al. 2021 with a second term: cross-entropy over texts that name medium and texture.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from tqdm.auto import tqdm

from lasoftmoe.checkpoint import Checkpoint, TrainingState
from lasoftmoe.clip import ClipBundle
from lasoftmoe.data import open_dataset
from lasoftmoe.losses import clip_contrastive
from lasoftmoe.pretraining.batches import CaptionBatch, CaptionBatches
from lasoftmoe.pretraining.captures import Captures, read_captures
from lasoftmoe.pretraining.card import write_card
from lasoftmoe.pretraining.figures import live_fake_auc, zero_shot_figures
from lasoftmoe.pretraining.textures import scene_texts
from lasoftmoe.pretraining.vocabulary import vocabulary
from lasoftmoe.small_clip import (
    EMBEDDED_WEIGHTS,
    SmallClipConfig,
    build_small_clip,
    save_small_clip,
)
from lasoftmoe.small_tokenizer import SmallTokenizer

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


def pretrain(
    data: str | Path, out: str | Path, config: PretrainingConfig, faces: str | Path | None = None
) -> dict[str, Any]:
    """Pretrain a small CLIP on captioned captures and write it to ``out``.

    Writes ``small_clip.safetensors``, ``.json`` and ``.md``, and ``log.csv``. An interrupted run
    goes on from its last finished epoch when it is called again with the same arguments; a
    finished one is only measured again.

    Args:
        data: folder that ``python -m data_prep captions`` wrote.
        out: folder for the results.
        faces: a prepared dataset with protocol p1, to add live against fake to the card.

    Returns:
        the facts of the run, as they stand in the ``.json`` under "training".

    Raises:
        DatasetError: ``data`` or ``faces`` is not what it should be.
        ValueError: fewer captures than one batch, or a checkpoint of another configuration.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    splits = read_captures(data)
    architecture = SmallClipConfig()
    tokenizer = SmallTokenizer(vocabulary(), architecture.context_length)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build_small_clip(architecture, tokenizer.vocab_size)
    bundle = ClipBundle(
        model, tokenizer, architecture.image_size, architecture.mean, architecture.std
    )
    run = _Pretraining(bundle, splits["train"], config, _checkpoint(out, config))
    log = run.run()
    log.to_csv(out / "log.csv", index=False)
    model.eval()
    facts = _facts(model, config, splits, log)
    facts["figures"] = zero_shot_figures(bundle, splits["dev"])
    if faces is not None:
        dev = open_dataset(faces, "p1")["dev"]
        facts["live_fake"] = {"images": len(dev), "auc": live_fake_auc(bundle, dev)}
    weights = out / EMBEDDED_WEIGHTS.name
    save_small_clip(weights, model, architecture, tokenizer, facts)
    write_card(weights.with_suffix(".json"))
    return facts


def _checkpoint(out: Path, config: PretrainingConfig) -> Checkpoint:
    """The run's checkpoint; its configuration lies beside it, so that no other run takes it up."""
    checkpoint, path = Checkpoint(out / "checkpoint.safetensors"), out / "config.json"
    wanted = json.dumps(asdict(config), indent=1)
    if checkpoint.path.is_file() and path.read_text("utf-8") != wanted:
        raise ValueError(f"{out} holds a run with other choices ({path}); choose another folder")
    path.write_text(wanted, "utf-8")
    return checkpoint


def _command(config: PretrainingConfig) -> str:
    """The command line that repeats the run: what differs from the defaults, no paths."""
    options = [
        f"--{name} {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in asdict(config).items()
        if value != getattr(PretrainingConfig, name)
    ]
    return " ".join(["python -m lasoftmoe.pretraining --data DIR --out DIR", *options])


def _facts(
    model: nn.Module, config: PretrainingConfig, splits: dict[str, Captures], log: pd.DataFrame
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "command": _command(config),
        "config": asdict(config),
        "parameters": sum(p.numel() for p in model.parameters()),
        "steps": len(log),
        "cpu_seconds": round(float(log["cpu_seconds"].iloc[-1])),
        "hardware": f"{os.cpu_count()}-core CPU",
        "date": datetime.date.today().isoformat(),
    }
    for split, captures in splits.items():
        facts[f"{split}_images"] = len(captures)
        facts[f"{split}_subjects"] = int(captures.table["subject"].nunique())
    return facts


class _Pretraining:
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
        bar = tqdm(desc="pretrain", total=total, initial=len(self.state.log), unit="step")
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
