"""Checks of chapter 3: cosine, attack score, prompt ensembles, probabilities, error rates."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lasoftmoe.exercises.checking import call, compare

# Sizes that differ from each other, so that a wrong axis shows; 3 / 4 of the lengths differ too.
IMAGES, PROMPTS, EMBED = 6, 4, 5
LOGIT_SCALE = 20.0


def check_cosine(cosine: Callable[[Tensor, Tensor], Tensor]) -> None:
    """``cosine(image_embedding (n, d), text_embedding (m, d)) -> (n, m)``, nothing normalized."""
    image, text = _embeddings()
    unit_image, unit_text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    compare(
        call(cosine, image, text),
        unit_image @ unit_text.T,
        {
            "This is the plain inner product: you forgot to normalize. It grows with the length "
            "of both vectors, so a caption with a long embedding wins on every image whatever "
            "the image shows. Divide every row by its own length first.": image @ text.T,
            "The images are normalized, the captions are not: a caption with a long embedding "
            "still wins everywhere. Both towers' outputs need length 1.": unit_image @ text.T,
            "The captions are normalized, the images are not. The best caption of an image is "
            "right, but images cannot be compared with each other or with one threshold. Both "
            "towers' outputs need length 1.": image @ unit_text.T,
            "You normalized down the columns (dim=0): that rescales a feature over the batch, so "
            "an image's similarity depends on which other images came with it. Each ROW is one "
            "embedding: normalize over the last axis.": (
                F.normalize(image, dim=0) @ F.normalize(text, dim=0).T
            ),
            "You divided by the length of the whole batch taken as one long vector. Each ROW is "
            "one embedding with a length of its own: take the norm over the last axis.": (
                (image / image.norm()) @ (text / text.norm()).T
            ),
            "You divided by the sum of absolute values. The cosine needs the Euclidean length, "
            "the square root of the sum of squares.": (
                F.normalize(image, p=1, dim=-1) @ F.normalize(text, p=1, dim=-1).T
            ),
            "Rows and columns are exchanged: row i belongs to image i, column j to caption j.": (
                unit_text @ unit_image.T
            ),
        },
    )
    print("Right: only directions count, every value lies between -1 and 1.")


def check_attack_score(attack_score: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """``attack_score(image (n, d), class_embedding (2, d), logit_scale) -> (n,)``, unit rows.

    Row 0 of ``class_embedding`` is live, row 1 is fake.
    """
    image, text = (F.normalize(embedding, dim=-1) for embedding in _embeddings())
    classes = text[:2]
    live, fake = (image @ classes.T).unbind(-1)
    logits = LOGIT_SCALE * (image @ classes.T)
    compare(
        call(attack_score, image, classes, LOGIT_SCALE),
        LOGIT_SCALE * (fake - live),
        {
            "The sign is reversed: this is high for live faces. In this book a higher score "
            "always means more likely an attack, and row 0 is live, row 1 is fake: subtract "
            "live from fake.": LOGIT_SCALE * (live - fake),
            "You used the similarity to `fake` alone. A picture can be close to every caption "
            "or far from every caption; the decision lies in the difference to `live`.": (
                LOGIT_SCALE * fake
            ),
            "You used the similarity to `live` alone, which is high for live faces. Subtract it "
            "from the similarity to `fake`.": LOGIT_SCALE * live,
            "The logit scale is missing. The order of the images, and so the AUC, is the same; "
            "but the softmax of these numbers would not be the model's.": fake - live,
            "This is the probability of `fake`. It puts the images in the same order, but it "
            "squeezes confident scores together near 0 and 1; return the difference of the two "
            "logits, from before the softmax.": logits.softmax(-1)[:, 1],
            "This is the probability of `live`: the wrong class, and a probability instead of a "
            "score.": logits.softmax(-1)[:, 0],
            "This is a decision (1 or 0), not a score. A threshold comes later, and it comes "
            "from the dev split.": (fake > live).float(),
        },
    )
    print("Right: positive where the fake caption fits better, whatever both fit.")


def check_ensemble(ensemble_similarity: Callable[[Tensor, Tensor], Tensor]) -> None:
    """``ensemble_similarity(image (n, d), prompts (k, d)) -> (n,)``, nothing normalized.

    The prompts are ``k`` wordings of one class; wanted is the cosine of every image with the
    class: normalize each wording, average the wordings, normalize the average.
    """
    image, prompts = _embeddings()
    unit_image, unit_prompts = F.normalize(image, dim=-1), F.normalize(prompts, dim=-1)
    cosines = unit_image @ unit_prompts.T
    late = F.normalize(prompts.mean(0), dim=-1)
    compare(
        call(ensemble_similarity, image, prompts),
        unit_image @ F.normalize(unit_prompts.mean(0), dim=-1),
        {
            "You averaged over the images: one number a prompt is left. An ensemble averages the "
            "WORDINGS of one class, and every image keeps a number of its own.": cosines.mean(0),
            "You averaged the images' embeddings and compared that one mean face with every "
            "wording. An ensemble averages the wordings; the images stay apart.": (
                unit_prompts @ F.normalize(unit_image.mean(0), dim=-1)
            ),
            "You averaged before normalizing: a wording whose embedding is three times as long "
            "gets three times the votes, and its length means nothing. Normalize each wording "
            "first.": unit_image @ late,
            "The average of unit vectors is shorter than 1, the more so the more the wordings "
            "disagree, so a class with diverse wordings would look less similar to every image. "
            "Normalize the average once more.": cosines.mean(1),
            "Nothing is normalized: this is the mean of plain inner products.": (
                (image @ prompts.T).mean(1)
            ),
            "You took the best wording for each image instead of the average: the class with "
            "more wordings gets more lottery tickets.": cosines.amax(1),
            "The prompts are right, but the images are not normalized.": (
                image @ F.normalize(unit_prompts.mean(0), dim=-1)
            ),
        },
    )
    print("Right: every wording has one vote, and the class is one direction again.")


def check_probability(probability_of_fake: Callable[[Tensor, float], Tensor]) -> None:
    """``probability_of_fake(cosines (n, 2), logit_scale) -> (n,)``; columns live, fake."""
    image, text = (F.normalize(embedding, dim=-1) for embedding in _embeddings())
    cosines = image @ text[:2].T
    logits = LOGIT_SCALE * cosines
    compare(
        call(probability_of_fake, cosines, LOGIT_SCALE),
        logits.softmax(-1)[:, 1],
        {
            "You read the cosine as a probability. It can be negative, the two do not sum to 1, "
            "and 0.3 against 0.2 is a clear verdict once multiplied by the logit scale.": (
                cosines[:, 1]
            ),
            "Moving the cosine from [-1, 1] to [0, 1] makes it look like a probability, but "
            "the model was never trained to mean it. It was trained through a softmax over "
            "logit scale x cosine.": (1 + cosines[:, 1]) / 2,
            "Dividing by the sum makes two numbers that add up to 1, but not a probability: "
            "cosines may be negative. The model was trained through a softmax.": (
                cosines[:, 1] / cosines.sum(-1)
            ),
            "The logit scale is missing: a softmax over bare cosines is nearly one half for "
            "every image, since two cosines can differ by 2 at most.": cosines.softmax(-1)[:, 1],
            "This is the probability of live. Columns are in the order live, fake.": (
                logits.softmax(-1)[:, 0]
            ),
            "Your softmax runs over the images, so they compete with each other and a verdict "
            "depends on its neighbors. The captions compete for one image: softmax over the "
            "last axis.": logits.softmax(0)[:, 1],
            "You returned both classes; wanted is the column of fake.": logits.softmax(-1),
        },
    )
    print("Right: a probability between these two captions, and between no others.")


def check_error_rates(error_rates: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """``error_rates(attack_score (n,), is_attack (n,), threshold) -> (apcer, bpcer, acer)``."""
    # 3 live, 5 attacks; one score lies exactly on the threshold.
    score = torch.tensor([-1.0, 0.5, -2.0, 0.5, 2.0, -0.5, 0.1, 3.0])
    is_attack = torch.tensor([False, False, False, True, True, True, True, True])
    apcer, bpcer = 2 / 5, 1 / 3
    answer = call(error_rates, score, is_attack, 0.5)
    if isinstance(answer, tuple | list) and len(answer) == 3:
        answer = torch.tensor([float(rate) for rate in answer])
    both_wrong = 3 / 8
    compare(
        answer,
        torch.tensor([apcer, bpcer, (apcer + bpcer) / 2]),
        {
            "APCER and BPCER are exchanged. APCER counts ATTACKS that were accepted, BPCER "
            "counts bona fide (live) faces that were rejected.": torch.tensor(
                [bpcer, apcer, (apcer + bpcer) / 2]
            ),
            "You divided by all images. APCER is a share of the attacks, BPCER a share of the "
            "live faces; otherwise both change when the test set gets more attacks.": torch.tensor(
                [2 / 8, 1 / 8, both_wrong / 2]
            ),
            "ACER is the mean of the two rates, not the share of all errors: it must not depend "
            "on how many attacks the test set holds.": torch.tensor([apcer, bpcer, both_wrong]),
            "These are the shares that were classified correctly. An error rate counts the "
            "others.": torch.tensor([1 - apcer, 1 - bpcer, 1 - (apcer + bpcer) / 2]),
            "ACER is the mean of APCER and BPCER, not their sum.": torch.tensor(
                [apcer, bpcer, apcer + bpcer]
            ),
            "A score that equals the threshold counts as an attack here (score >= threshold). "
            "It matters: the threshold is itself a score of some dev image.": torch.tensor(
                [3 / 5, 0.0, 3 / 10]
            ),
        },
        tolerance=1e-3,
    )
    print("Right: attacks among the attacks, live among the live, then the mean of the two.")


def _embeddings() -> tuple[Tensor, Tensor]:
    """Rows of clearly different lengths, so that a forgotten normalization changes the answer."""
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(IMAGES, EMBED, generator=generator)
    text = torch.randn(PROMPTS, EMBED, generator=generator)
    image_length = torch.linspace(0.5, 3.0, IMAGES)[:, None]
    text_length = torch.linspace(4.0, 0.5, PROMPTS)[:, None]
    return image * image_length, text * text_length
