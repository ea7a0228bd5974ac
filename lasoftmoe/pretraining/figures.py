"""What a pretrained CLIP can do without further training, on people it has not seen."""

from __future__ import annotations

import random
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from data_prep.synthetic.captions import MEDIA, TEXTURES, caption
from data_prep.synthetic.nuisance import LOCAL_TEXTURES, apply_texture
from lasoftmoe.clip import ClipBundle
from lasoftmoe.data import FaceDataset
from lasoftmoe.metrics import auc
from lasoftmoe.pretraining.captures import Captures
from lasoftmoe.pretraining.textures import ALL_TEXTURES, Texture, scene_text
from lasoftmoe.prompts import PROMPTS, class_embeddings, text_embeddings

GALLERY = 100


class Figure(TypedDict):
    """A figure, what guessing would reach, and how many images it rests on."""

    value: float
    chance: float
    images: int


@torch.no_grad()
def zero_shot_figures(bundle: ClipBundle, captures: Captures, seed: int = 0) -> dict[str, Figure]:
    """Accuracies (and one AUC) of zero-shot classification and retrieval.

    ``chance`` of an accuracy is the share of the most frequent answer.

    Args:
        bundle: a CLIP in eval mode that knows the words of captions.
        captures: people that it was not trained on.
        seed: for the captions and textures.
    """
    images = _embed(bundle, captures.images)
    table = captures.table
    figures = _retrieval(bundle, captures, images, seed)
    media = [f"{phrases[0]} a person" for phrases in MEDIA.values()]
    figures["medium"] = _accuracy(bundle, images, media, list(MEDIA), table["medium"])
    for name, text in {
        "sex": "a photo of a {}",
        "hair": "a photo of a person with {}",
        "skin": "a photo of a person with {} skin",
    }.items():
        answers = sorted(table[name].unique())
        texts = [text.format(answer) for answer in answers]
        figures[name] = _accuracy(bundle, images, texts, answers, table[name])
    figures["glasses AUC"] = _glasses(bundle, images, table["glasses"])
    figures["texture"] = _texture(bundle, captures, seed)
    return figures


@torch.no_grad()
def live_fake_auc(bundle: ClipBundle, faces: FaceDataset) -> dict[str, float]:
    """AUC of live against fake by each of the paper's prompts T-1 to T-8, without training."""
    images = _embed(bundle, faces.batch(list(range(len(faces))))["image"])
    is_attack = faces.table["is_attack"]
    scores = {}
    for name in PROMPTS:
        live, fake = class_embeddings(bundle, name)
        scores[name] = auc((images @ (fake - live)).numpy(), is_attack)
    return scores


def _embed(bundle: ClipBundle, images: Tensor) -> Tensor:
    return torch.cat([bundle.embed_images(part) for part in images.split(128)])


def _figure(correct: np.ndarray, chance: float) -> Figure:
    return {"value": float(correct.mean()), "chance": chance, "images": len(correct)}


def _accuracy(
    bundle: ClipBundle, images: Tensor, texts: list[str], answers: list[str], truth
) -> Figure:
    nearest = (images @ text_embeddings(bundle, texts).T).argmax(dim=1).tolist()
    correct = np.array([answers[i] for i in nearest]) == truth.to_numpy()
    return _figure(correct, float(truth.value_counts(normalize=True).max()))


def _retrieval(
    bundle: ClipBundle, captures: Captures, images: Tensor, seed: int
) -> dict[str, Figure]:
    """Share of images whose own caption is the nearest of up to 100, all of different people.

    Each capture of a person stands in a gallery with one capture of each of the others.
    """
    rng = random.Random(seed)
    nth = captures.table.groupby("subject").cumcount().to_numpy()
    media = captures.media
    correct = []
    for rows in (np.flatnonzero(nth == n)[:GALLERY].tolist() for n in range(nth.max() + 1)):
        texts = [caption(captures.attributes[row], media[row], rng) for row in rows]
        nearest = (images[rows] @ text_embeddings(bundle, texts).T).argmax(dim=1)
        correct.append((nearest == torch.arange(len(rows))).numpy())
    size = len(correct[0])
    return {f"retrieval R@1 of {size}": _figure(np.concatenate(correct), 1 / size)}


def _glasses(bundle: ClipBundle, images: Tensor, glasses) -> Figure:
    texts = ["a photo of a person", "a photo of a person with glasses"]
    without, with_glasses = text_embeddings(bundle, texts)
    wears = (glasses != "").to_numpy()
    known = 0 < wears.sum() < len(wears)
    scores = (images @ (with_glasses - without)).numpy()
    value = auc(scores, wears) if known else float("nan")
    return {"value": value, "chance": 0.5, "images": len(wears)}


def _texture(bundle: ClipBundle, captures: Captures, seed: int) -> Figure:
    """Which of six textures, whole or partial; every kind falls on equally many images."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    kinds = list(TEXTURES)
    truth = [kinds[i % len(kinds)] for i in range(len(captures))]
    local = [kind in LOCAL_TEXTURES and rng.random() < 0.5 for kind in truth]
    textured = [
        apply_texture(image, kind, partly, generator)
        for image, kind, partly in zip(captures.images, truth, local, strict=True)
    ]
    texts = text_embeddings(bundle, [scene_text("photo", texture) for texture in ALL_TEXTURES])
    nearest = (_embed(bundle, torch.stack(textured)) @ texts.T).argmax(dim=1).tolist()
    named: list[Texture] = [ALL_TEXTURES[i] for i in nearest]
    correct = np.array([texture.kind for texture in named]) == np.array(truth)
    return _figure(correct, 1 / len(kinds))
