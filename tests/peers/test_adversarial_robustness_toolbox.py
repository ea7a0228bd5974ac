"""Our sign attacks against those of the adversarial-robustness-toolbox (ART).

Its attacks ask an estimator for the gradient of a loss and go uphill. Ours go down the cosine to
the clean embedding, so the estimator's loss is minus that cosine. Where ours add something of
their own (a random start, a smoothed gradient), the test gives ART the same.

Why the dataset is not made with it: ART's Carlini and Wagner needs classes, it knows neither
AdvDrop nor our semantic attack, and each step goes through numpy; for the three below, the values
are the same anyway. Of the other libraries, torchattacks 3.5.1 allows no requests newer than 2.25
and so does not install beside the rest, and foolbox 3.3.4 asks for classes too.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from data_prep.synthetic.attacks import adversarial
from data_prep.synthetic.camera import gaussian_blur

art = pytest.importorskip("art", reason="pip install adversarial-robustness-toolbox")
from art.attacks.evasion import (  # noqa: E402
    FastGradientMethod,
    MomentumIterativeMethod,
    ProjectedGradientDescentNumpy,
)
from art.estimators import BaseEstimator, LossGradientsMixin  # noqa: E402

EPSILON = 6.0


class MinusCosine(BaseEstimator, LossGradientsMixin):
    """What ART needs of a recognizer: the gradient of minus the cosine to the clean embedding."""

    def __init__(self, network, images, smooth=0.0, offset=0.0):
        super().__init__(model=network, clip_values=(0.0, 1.0))
        self.clean = network(images)
        self.smooth = smooth
        self.offset = offset

    def loss_gradient(self, x, y, **kwargs):
        at = (torch.from_numpy(x) + self.offset).requires_grad_()
        loss = -(self.model(at) * self.clean).sum()
        gradient = torch.autograd.grad(loss, at)[0]
        return gaussian_blur(gradient, self.smooth).numpy()

    @property
    def input_shape(self):
        return (3, 24, 24)

    def predict(self, x, **kwargs):
        return self.model(torch.from_numpy(x)).numpy()

    def fit(self, x, y, **kwargs):
        raise NotImplementedError


@pytest.fixture(scope="module")
def network():
    """Not normalized: its gradient at the clean picture is not zero, so no random start needed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, 2), nn.Tanh(), nn.Conv2d(8, 8, 3, 2), nn.Tanh()]
        net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(200, 16))
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    """Away from black and white: ART clips after every step, ours at the end."""
    return 0.2 + 0.6 * torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def limit():
    return torch.full((3, 1, 1, 1), EPSILON)


def labels(images):
    return np.zeros(len(images))


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=0, atol=1e-6)


def test_fgsm(network, images, limit):
    ours = adversarial.fgsm(images, network, limit, torch.Generator().manual_seed(2))
    start = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    estimator = MinusCosine(network, images, offset=adversarial._START * start)
    attack = FastGradientMethod(estimator, eps=EPSILON / 255)
    assert_same(ours, attack.generate(images.numpy(), y=labels(images)))


def test_pgd(network, images, limit, monkeypatch):
    """From the picture itself: the random start is the only thing left out."""
    monkeypatch.setattr(torch, "rand", lambda shape, generator: torch.full(shape, 0.5))
    ours = adversarial.pgd(images, network, limit, torch.Generator(), steps=5)
    attack = ProjectedGradientDescentNumpy(
        MinusCosine(network, images),
        eps=EPSILON / 255,
        eps_step=0.3 * EPSILON / 255,
        max_iter=5,
        verbose=False,
    )
    assert_same(ours, attack.generate(images.numpy(), y=labels(images)))


def test_mifgsm(network, images, limit, monkeypatch):
    monkeypatch.setattr(adversarial, "_START", 0.0)
    ours = adversarial.mifgsm(images, network, limit, torch.Generator(), steps=5)
    attack = MomentumIterativeMethod(
        MinusCosine(network, images, smooth=1.2),
        eps=EPSILON / 255,
        eps_step=0.25 * EPSILON / 255,
        decay=1.0,
        max_iter=5,
        verbose=False,
    )
    theirs = attack.generate(images.numpy(), y=labels(images))
    # A sign of a sum of gradients flips where the sum is zero to the last bit.
    same = np.isclose(ours.numpy(), theirs, rtol=0, atol=1e-6)
    assert same.mean() > 0.999


def test_the_comparison_can_fail(network, images, limit):
    """Gradients of another network: most signs differ somewhere."""
    ours = adversarial.fgsm(images, network, limit, torch.Generator().manual_seed(2))
    other = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 16)).requires_grad_(False)
    attack = FastGradientMethod(MinusCosine(other, images), eps=EPSILON / 255)
    theirs = attack.generate(images.numpy(), y=labels(images))
    assert np.abs(ours.numpy() - theirs).max() > EPSILON / 255
