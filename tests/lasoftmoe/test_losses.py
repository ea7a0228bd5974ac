from __future__ import annotations

from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lasoftmoe.losses import (
    class_prompt_cross_entropy,
    clip_contrastive,
    multi_positive_contrastive,
)

EMBED = 6


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def two_captions(seed: int, is_attack: list[bool]) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of the two captions, and of each image's caption."""
    captions = draw(2, EMBED, seed=seed + 1)
    return captions, captions[torch.tensor(is_attack).long()]


def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a @ b / (a.norm() * b.norm())).item()


def similarity_matrix(images, texts, scale) -> list[list[float]]:
    return [[scale * cosine(image, text) for text in texts] for image in images]


def spread_loss(s: list[list[float]], targets: list[list[float]]) -> float:
    """Both directions of cross-entropy against a matrix of targets, as plain loops."""
    n, total = len(s), 0.0
    for i in range(n):
        for j in range(n):
            row = sum(exp(s[i][k]) for k in range(n))
            column = sum(exp(s[k][i]) for k in range(n))
            total -= targets[i][j] * log(exp(s[i][j]) / row)
            total -= targets[i][j] * log(exp(s[j][i]) / column)
    return total / (2 * n)


labels = st.lists(st.booleans(), min_size=1, max_size=7)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 6), scale=st.floats(0.1, 30), seed=st.integers(0, 999))
def test_eq_1_as_loops(n, scale, seed):
    images, texts = draw(n, EMBED, seed=seed), draw(n, EMBED, seed=seed + 1)
    s = similarity_matrix(images, texts, scale)
    total = 0.0
    for i in range(n):
        total += log(exp(s[i][i]) / sum(exp(s[i][j]) for j in range(n)))
        total += log(exp(s[i][i]) / sum(exp(s[j][i]) for j in range(n)))
    assert clip_contrastive(images, texts, scale).item() == pytest.approx(-total / (2 * n))


@settings(max_examples=25, deadline=None)
@given(is_attack=labels, scale=st.floats(0.1, 30), seed=st.integers(0, 999))
def test_cross_entropy_as_loops(is_attack, scale, seed):
    images, classes = draw(len(is_attack), EMBED, seed=seed), draw(2, EMBED, seed=seed + 1)
    total = 0.0
    for image, attack in zip(images, is_attack, strict=True):
        live, fake = (exp(scale * cosine(image, text)) for text in classes)
        total -= log((fake if attack else live) / (live + fake))
    loss = class_prompt_cross_entropy(images, classes, torch.tensor(is_attack), scale)
    assert loss.item() == pytest.approx(total / len(is_attack))


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(st.integers(0, 3), min_size=1, max_size=6),
    scale=st.floats(0.1, 30),
    seed=st.integers(0, 999),
)
def test_multi_positive_as_loops(names, scale, seed):
    images, texts = draw(len(names), EMBED, seed=seed), draw(len(names), EMBED, seed=seed + 1)
    targets = [[(a == b) / names.count(a) for b in names] for a in names]
    wanted = spread_loss(similarity_matrix(images, texts, scale), targets)
    loss = multi_positive_contrastive(images, texts, torch.tensor(names), scale)
    assert loss.item() == pytest.approx(wanted)


@settings(max_examples=50, deadline=None)
@given(half=st.integers(1, 8), scale=st.floats(0, 100), seed=st.integers(0, 999))
def test_floor_of_eq_1_with_two_captions(half, scale, seed):
    """No images, captions or scale bring a balanced batch below ln(N/2)."""
    is_attack = [False, True] * half
    _, texts = two_captions(seed, is_attack)
    images = draw(2 * half, EMBED, seed=seed)
    assert clip_contrastive(images, texts, scale).item() >= log(half) - 1e-9


@settings(max_examples=50, deadline=None)
@given(is_attack=labels, scale=st.floats(0, 100), seed=st.integers(0, 999))
def test_floor_of_eq_1_on_an_unbalanced_batch(is_attack, scale, seed):
    """The mean over the batch of ln(number of images that share the caption)."""
    _, texts = two_captions(seed, is_attack)
    images = draw(len(is_attack), EMBED, seed=seed)
    floor = sum(log(is_attack.count(label)) for label in is_attack) / len(is_attack)
    assert clip_contrastive(images, texts, scale).item() >= floor - 1e-9


@pytest.mark.parametrize("half", [1, 4, 16])
def test_floor_is_reached_by_a_perfect_detector(half):
    captions = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    embeddings = captions.repeat(half, 1)
    assert clip_contrastive(embeddings, embeddings, 100.0).item() == pytest.approx(log(half))
    is_attack = torch.tensor([False, True] * half)
    perfect = class_prompt_cross_entropy(embeddings, captions, is_attack, 100.0)
    assert perfect.item() == pytest.approx(0)


@settings(max_examples=25, deadline=None)
@given(is_attack=labels, scale=st.floats(0.1, 30), seed=st.integers(0, 999))
def test_spread_targets_are_eq_1_when_equal_labels_mean_equal_captions(is_attack, scale, seed):
    """Value and gradients: two captions alone do not tell the two losses apart."""
    captions, _ = two_captions(seed, is_attack)
    images = draw(len(is_attack), EMBED, seed=seed).requires_grad_()
    captions.requires_grad_()
    label = torch.tensor(is_attack)
    texts = captions[label.long()]
    one = clip_contrastive(images, texts, scale)
    other = multi_positive_contrastive(images, texts, label, scale)
    torch.testing.assert_close(one, other)
    for a, b in zip(
        torch.autograd.grad(one, (images, captions), retain_graph=True),
        torch.autograd.grad(other, (images, captions)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_spread_targets_differ_from_eq_1_when_captions_of_a_label_differ():
    images, texts = draw(4, EMBED), draw(4, EMBED, seed=1)
    label = torch.tensor([0, 1, 0, 1])
    one = clip_contrastive(images, texts, 5.0)
    assert (one - multi_positive_contrastive(images, texts, label, 5.0)).abs() > 0.01
    distinct = multi_positive_contrastive(images, texts, torch.arange(4), 5.0)
    torch.testing.assert_close(one, distinct)


def test_image_half_of_eq_1_is_the_two_way_loss_plus_the_floor():
    """On a balanced batch; so Eq. 1 does train the classifier, its value just cannot show it."""
    is_attack = [False, True] * 4
    captions, texts = two_captions(0, is_attack)
    images = draw(8, EMBED)
    similarity = torch.tensor(similarity_matrix(images, texts, 7.0), dtype=torch.float64)
    image_half = -similarity.log_softmax(dim=1).diagonal().mean()
    two_way = class_prompt_cross_entropy(images, captions, torch.tensor(is_attack), 7.0)
    torch.testing.assert_close(image_half, two_way + log(4))


def losses_of(images, texts, scale=7.0, order=None) -> list[torch.Tensor]:
    label = torch.tensor([0, 1, 1, 0, 1])
    if order is not None:
        images, texts, label = images[order], texts[order], label[order]
    return [
        clip_contrastive(images, texts, scale),
        multi_positive_contrastive(images, texts, label, scale),
        class_prompt_cross_entropy(images, draw(2, EMBED, seed=9).to(images), label.bool(), scale),
    ]


def test_invariances():
    images, texts = draw(5, EMBED), draw(5, EMBED, seed=1)
    before = losses_of(images, texts)
    torch.testing.assert_close(losses_of(images, texts, order=[3, 0, 4, 1, 2]), before)
    lengths = torch.rand(5, 1, dtype=torch.float64) + 0.5
    torch.testing.assert_close(losses_of(images * lengths, texts * 3), before)
    # Only the two contrastive losses look in both directions.
    torch.testing.assert_close(losses_of(texts, images)[:2], before[:2])


def test_the_scale_is_a_factor_and_learns():
    images, texts = draw(5, EMBED), draw(5, EMBED, seed=1)
    scale = torch.tensor(7.0, requires_grad=True)
    for loss, wanted in zip(losses_of(images, texts, scale), losses_of(images, texts), strict=True):
        torch.testing.assert_close(loss, wanted)
        assert torch.autograd.grad(loss, scale, retain_graph=True)[0] != 0


def test_autocast_does_not_round_the_cosines():
    images, texts = draw(5, EMBED).float(), draw(5, EMBED, seed=1).float()
    wanted = losses_of(images, texts, 100.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = losses_of(images, texts, 100.0)
    torch.testing.assert_close(actual, wanted)
    for loss in losses_of(images.bfloat16(), texts.bfloat16()):
        assert loss.dtype == torch.float32 and loss.isfinite()


@pytest.mark.usefixtures("unchecked")
def test_errors():
    images, texts, label = torch.zeros(4, 6), torch.zeros(4, 6), torch.zeros(4)
    for loss in (clip_contrastive, lambda i, t, s: multi_positive_contrastive(i, t, label, s)):
        for wrong in (texts[:3], texts[:, :5], texts[0]):
            with pytest.raises(ValueError, match=r"one shape \(N, embed\), got \(4, 6\) and"):
                loss(images, wrong, 1.0)
    with pytest.raises(ValueError, match=r"labels of shape \(4,\), got \(3,\)"):
        multi_positive_contrastive(images, texts, label[:3], 1.0)
    with pytest.raises(ValueError, match=r"is_attack of shape \(4,\), got \(4, 1\)"):
        class_prompt_cross_entropy(images, texts[:2], label[:, None], 1.0)
    with pytest.raises(ValueError, match=r"class_emb of shape \(2, embed\), live then fake"):
        class_prompt_cross_entropy(images, texts[:3], label, 1.0)
