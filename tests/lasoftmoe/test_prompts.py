from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lasoftmoe.prompts import (
    CLASSES,
    PROMPTS,
    class_embeddings,
    class_prompts,
    ensemble,
    text_embeddings,
)

TABLE_4_FAKE = {
    "T-1": "There is a fake face in this photo.",
    "T-2": "fake face is in this photo.",
    "T-3": "A photo of a fake face.",
    "T-4": "This is an example of a fake face.",
    "T-5": "This is how a fake face looks like.",
    "T-6": "This photo contains fake face.",
    "T-7": "The picture is a fake face.",
    "T-8": "This is an image of a fake face.",
}


class LetterCounts(nn.Module):
    """A text tower small enough to work out by hand: counts of letters, then a Linear."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(128, 5)

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.linear(tokens.float())


@pytest.fixture
def bundle() -> SimpleNamespace:
    def tokenize(texts: list[str]) -> torch.Tensor:
        assert isinstance(texts, list)
        rows = [torch.bincount(torch.tensor(list(text.encode())), minlength=128) for text in texts]
        return torch.stack(rows)

    return SimpleNamespace(model=LetterCounts(), tokenize=tokenize)


def test_table_4():
    assert {name: class_prompts(name)["fake"] for name in PROMPTS} == TABLE_4_FAKE


def test_class_prompts_differ_in_the_label_only_and_keep_the_order():
    for name in PROMPTS:
        prompts = class_prompts(name)
        assert tuple(prompts) == CLASSES == ("live", "fake")
        assert prompts["live"].replace("live", "fake") == prompts["fake"]


def test_a_text_of_ones_own():
    assert class_prompts("{label}, {strange} {label}") == {
        "live": "live, {strange} live",
        "fake": "fake, {strange} fake",
    }


@pytest.mark.parametrize("name", ["T-9", "t-1", "", "a photo of a face"])
def test_unknown_template(name):
    with pytest.raises(ValueError, match="T-1, T-2, T-3, T-4, T-5, T-6, T-7, T-8 or a text"):
        class_prompts(name)


def test_text_embeddings_are_unit_vectors_of_the_towers_output(bundle):
    texts = ["live", "a fake face"]
    embeddings = text_embeddings(bundle, texts)
    raw = bundle.model.encode_text(bundle.tokenize(texts))
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(embeddings * raw.norm(dim=1, keepdim=True), raw)
    assert embeddings.requires_grad


def test_one_template_needs_no_ensemble(bundle):
    wanted = text_embeddings(bundle, list(class_prompts("T-8").values()))
    torch.testing.assert_close(class_embeddings(bundle, "T-8"), wanted)
    torch.testing.assert_close(class_embeddings(bundle, ["T-8"], "mean_then_normalize"), wanted)


def test_ensemble_is_normalize_mean_normalize_by_hand(bundle):
    names = ["T-1", "T-3", "{label}!"]
    for row, label in enumerate(CLASSES):
        total = torch.zeros(5)
        for name in names:
            raw = bundle.model.encode_text(bundle.tokenize([class_prompts(name)[label]]))[0]
            total += raw / raw.norm()
        torch.testing.assert_close(class_embeddings(bundle, names)[row], total / total.norm())


def test_order_of_averaging_matters_for_long_embeddings():
    embeddings = torch.tensor([[[10.0, 0.0]], [[0.0, 1.0]]])
    equal = ensemble(embeddings)
    long_first = ensemble(embeddings, "mean_then_normalize")
    torch.testing.assert_close(equal, torch.tensor([[0.5**0.5, 0.5**0.5]]))
    torch.testing.assert_close(long_first, torch.tensor([[10.0, 1.0]]) / 101**0.5)


def test_ensemble_errors(bundle):
    with pytest.raises(ValueError, match="at least one template"):
        class_embeddings(bundle, [])
    with pytest.raises(ValueError, match="unknown order 'mean'; use 'normalize_then_mean'"):
        class_embeddings(bundle, "T-1", order="mean")
    with pytest.raises(ValueError, match="unknown prompt template 'T-0'"):
        class_embeddings(bundle, ["T-1", "T-0"])
