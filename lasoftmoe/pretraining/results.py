"""Zero-shot results of a pretrained CLIP on people it has not seen."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from data_prep.synthetic.captions.captions import MEDIA, TEXTURES, mentioned, sentence
from data_prep.synthetic.nuisance import LOCAL_TEXTURES, apply_texture
from lasoftmoe.clip import ClipBundle
from lasoftmoe.data import FaceDataset
from lasoftmoe.metrics import auc
from lasoftmoe.pretraining.captures import Captures
from lasoftmoe.pretraining.ceiling import oracle_recall, shared_captions
from lasoftmoe.pretraining.questions import NOBODY, QUESTIONS, UNASKED, Question
from lasoftmoe.pretraining.textures import ALL_TEXTURES, Texture, scene_text
from lasoftmoe.prompts import PROMPTS, class_embeddings, text_embeddings

GALLERY = 100


class Result(TypedDict):
    """A measured value, the value that guessing reaches, and the number of images."""

    value: float
    chance: float
    images: int


@torch.no_grad()
def zero_shot_results(bundle: ClipBundle, captures: Captures, seed: int = 0) -> dict[str, Result]:
    """Measure accuracies (and some AUCs) of zero-shot classification and retrieval.

    ``chance`` of an accuracy is the share of the most frequent answer.

    Args:
        bundle: A CLIP in eval mode that knows the vocabulary of captions.
        captures: Captures of people that it was not trained on.
        seed: Seed of the captions and textures.
    """
    images = _embed(bundle, captures.images)
    results = _retrieval(bundle, captures, images, seed) | _medium(bundle, captures, images)
    for name, question in QUESTIONS.items():
        results |= _question(bundle, captures, images, name, question)
    results["texture"] = _texture(bundle, captures, seed)
    return results


def retrieval_ceiling(captures: Captures, seed: int = 0) -> dict[str, float]:
    """Return upper bounds of ``retrieval R@1`` in ``zero_shot_results``, same arguments.

    Returns:
        "oracle R@1" of an oracle that knows all attributes, and the share of "shared captions".
    """
    oracle, shared = [], []
    for rows, said, _ in _galleries(captures, seed):
        oracle.append(oracle_recall([captures.attributes[row] for row in rows], said))
        shared.append(shared_captions(said))
    return {"oracle R@1": float(np.mean(oracle)), "shared captions": float(np.mean(shared))}


@torch.no_grad()
def live_fake_auc(bundle: ClipBundle, faces: FaceDataset) -> dict[str, float]:
    """Return the zero-shot AUC of live against fake for each of the paper's prompts T-1 to T-8."""
    images = _embed(bundle, faces.batch(list(range(len(faces))))["image"])
    is_attack = faces.table["is_attack"]
    scores = {}
    for name in PROMPTS:
        live, fake = class_embeddings(bundle, name)
        scores[name] = auc((images @ (fake - live)).numpy(), is_attack)
    return scores


def _embed(bundle: ClipBundle, images: Tensor) -> Tensor:
    return torch.cat([bundle.embed_images(part) for part in images.split(128)])


def _result(correct: np.ndarray, chance: float) -> Result:
    return {"value": float(correct.mean()), "chance": chance, "images": len(correct)}


Gallery = tuple[list[int], list[dict[str, str]], list[str]]
"""Rows of captures, the attributes that each caption mentions, and the captions."""


def _galleries(captures: Captures, seed: int) -> Iterator[Gallery]:
    """Yield up to 100 captures of different people: the first of each, then the second, ..."""
    rng = random.Random(seed)
    nth = captures.table.groupby("subject").cumcount().to_numpy()
    for n in range(nth.max() + 1):
        rows = np.flatnonzero(nth == n).tolist()
        for start in range(0, max(len(rows) - len(rows) % GALLERY, 1), GALLERY):
            chosen = rows[start : start + GALLERY]
            said = [mentioned(captures.attributes[row], rng) for row in chosen]
            texts = [
                sentence(words, captures.media[row], rng)
                for words, row in zip(said, chosen, strict=True)
            ]
            yield chosen, said, texts


def _retrieval(
    bundle: ClipBundle, captures: Captures, images: Tensor, seed: int
) -> dict[str, Result]:
    """Share of images whose own caption is nearest among up to 100 of different people."""
    correct = []
    for rows, _, texts in _galleries(captures, seed):
        nearest = (images[rows] @ text_embeddings(bundle, texts).T).argmax(dim=1)
        correct.append((nearest == torch.arange(len(rows))).numpy())
    size = len(correct[0])
    return {f"retrieval R@1 of {size}": _result(np.concatenate(correct), 1 / size)}


def _medium(bundle: ClipBundle, captures: Captures, images: Tensor) -> dict[str, Result]:
    """Accuracy of naming the medium, over all images and as the mean over the three media."""
    texts = [f"{phrases[0]} {NOBODY}" for phrases in MEDIA.values()]
    truth = np.array([list(MEDIA).index(medium) for medium in captures.media])
    correct = _nearest(bundle, images, texts) == truth
    shares = [correct[truth == medium].mean() for medium in np.unique(truth)]
    mean: Result = {"value": float(np.mean(shares)), "chance": 1 / 3, "images": len(truth)}
    return {"medium": _result(correct, _commonest(truth)), "medium (mean of three)": mean}


def _question(
    bundle: ClipBundle, captures: Captures, images: Tensor, name: str, question: Question
) -> dict[str, Result]:
    """Accuracy of a question, or the AUC of a yes-or-no question (glasses)."""
    truth = np.array([question.number(attributes) for attributes in captures.attributes])
    asked, texts = truth != UNASKED, [f"a photo of {answer}" for answer in question.answers]
    images, truth = images[torch.from_numpy(asked)], truth[asked]
    if NOBODY in question.answers and len(texts) == 2:
        nothing, something = text_embeddings(bundle, texts)
        scores = (images @ (something - nothing)).numpy()
        known = 0 < truth.sum() < len(truth)
        value = auc(scores, truth == 1) if known else float("nan")
        return {f"{name} AUC": {"value": value, "chance": 0.5, "images": len(truth)}}
    return {name: _result(_nearest(bundle, images, texts) == truth, _commonest(truth))}


def _nearest(bundle: ClipBundle, images: Tensor, texts: list[str]) -> np.ndarray:
    return (images @ text_embeddings(bundle, texts).T).argmax(dim=1).numpy()


def _commonest(truth: np.ndarray) -> float:
    return float(np.bincount(truth).max() / len(truth))


def _texture(bundle: ClipBundle, captures: Captures, seed: int) -> Result:
    """Accuracy of naming one of six textures, on all or part of the image, equally often each."""
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
    return _result(correct, 1 / len(kinds))
