"""The contract every method keeps, on the detector made from CLIP."""

import pytest
import torch

from lasoftmoe.clip import ClipConfig
from lasoftmoe.detector import Detector
from lasoftmoe.methods import build_detector
from lasoftmoe.methods.clip import ClipDetector, ClipDetectorConfig, text_parameters
from lasoftmoe.moe import MoEConfig

LOSSES = ["class_prompt_cross_entropy", "clip_contrastive", "multi_positive_contrastive"]
RANDOM_CLIP = ClipConfig(name="small", pretrained=None)
BRANCH = MoEConfig(kind="la", num_experts=2, slots_per_expert=4)


def make(seed: int = 0, **choices) -> ClipDetector:
    return build_detector(ClipDetectorConfig(clip=RANDOM_CLIP, **choices), seed)


@pytest.fixture
def batch():
    """Sixteen gray squares; every attack carries strong pixel noise."""
    generator = torch.Generator().manual_seed(3)
    is_attack = torch.arange(16) % 2 == 1
    image = torch.full((16, 3, 96, 96), 128.0) + 20 * torch.rand(16, 1, 1, 1, generator=generator)
    noise = 25 * torch.randn(16, 3, 96, 96, generator=generator)
    image = image + noise * is_attack.view(-1, 1, 1, 1)
    return {
        "image": image.clamp(0, 255).byte(),
        "is_attack": is_attack,
        "attack_type": ["fgsm" if a else "live" for a in is_attack.tolist()],
        "id": [f"image-{i}" for i in range(16)],
    }


def take_steps(detector: Detector, batch, steps: int) -> None:
    optimizer = torch.optim.AdamW([p for p in detector.parameters() if p.requires_grad], lr=1e-3)
    detector.train()
    for _ in range(steps):
        optimizer.zero_grad()
        detector.training_loss(batch).backward()
        optimizer.step()
    detector.eval()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_a_finite_scalar_with_gradients(batch, loss):
    detector = make(loss=loss, moe=BRANCH).train()
    value = detector.training_loss(batch)
    value.backward()
    assert value.shape == () and value.isfinite()
    assert any(p.grad is not None and p.grad.any() for p in detector.parameters())


def test_sparse_branches_add_their_losses_and_learn_from_them(batch):
    losses = {}
    for coefficient in (0.0, 1.0):
        moe = MoEConfig(kind="topk", balance_coefficient=coefficient, z_coefficient=0.0)
        detector = make(moe=moe).train()
        losses[coefficient] = sum(detector.training_loss(batch).values())
        losses[coefficient].backward()
    # four blocks, each of them at least 1; the branch itself adds nothing at step 0
    assert 4 <= losses[1.0] - losses[0.0] < 16
    routers = [p for n, p in detector.named_parameters() if n.endswith("router")]
    assert len(routers) == 4 and all(p.grad.abs().max() > 0 for p in routers)


def test_scores_are_one_finite_number_per_image(batch):
    scores = make().eval().attack_score(batch["image"])
    assert scores.shape == (16,) and scores.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_attacks_score_higher_after_learning_sixteen_images(batch, loss):
    detector = make(loss=loss)
    take_steps(detector, batch, 15)
    with torch.no_grad():
        scores = detector.attack_score(batch["image"])
    assert scores[batch["is_attack"]].min() > scores[~batch["is_attack"]].max()


def test_the_score_is_the_scaled_difference_of_two_cosines(batch):
    detector = make().eval()
    with torch.no_grad():
        cosines = detector.embed(batch["image"]) @ detector.class_embeddings().T
        expected = detector.clip.logit_scale.exp() * (cosines[:, 1] - cosines[:, 0])
        assert torch.allclose(detector.attack_score(batch["image"]), expected, atol=1e-5)


def test_scores_let_gradients_reach_float_images_even_after_inference_mode(batch):
    detector = make().eval()
    with torch.inference_mode():
        detector.attack_score(batch["image"])
    images = (batch["image"].float() / 255).requires_grad_()
    detector.attack_score(images).sum().backward()
    assert images.grad.abs().sum() > 0


def test_texts_are_kept_in_eval_and_forgotten_when_weights_may_move(batch):
    detector = make().eval()
    before = detector.class_embeddings()
    assert detector.class_embeddings() is before
    take_steps(detector, batch, 1)
    after = detector.class_embeddings()
    assert not torch.equal(after, before)
    detector.load_state_dict(make().state_dict())
    assert torch.equal(detector.class_embeddings(), before)


def test_texts_are_encoded_with_gradients_while_training():
    detector = make().train()
    assert detector.class_embeddings().requires_grad
    frozen = make(freeze_text=True).train()
    assert not frozen.class_embeddings().requires_grad


def test_a_frozen_text_tower_does_not_move(batch):
    detector = make(freeze_text=True)
    before = [p.clone() for p in text_parameters(detector.clip)]
    take_steps(detector, batch, 2)
    after = text_parameters(detector.clip)
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    trained = {id(p) for group in detector.parameter_groups().values() for p in group.parameters}
    assert not trained & {id(p) for p in after}


def test_parameter_groups_cover_every_trainable_parameter_once():
    detector = make(moe=BRANCH)
    groups = detector.parameter_groups()
    grouped = [id(p) for group in groups.values() for p in group.parameters]
    assert sorted(grouped) == sorted(id(p) for p in detector.parameters())
    assert set(groups) == {"clip", "moe"} and set(make().parameter_groups()) == {"clip"}


def test_the_seed_fixes_every_weight_and_spares_the_global_generator():
    state = torch.random.get_rng_state()
    one, same, other = make(seed=1, moe=BRANCH), make(seed=1, moe=BRANCH), make(seed=2, moe=BRANCH)
    assert torch.equal(torch.random.get_rng_state(), state)
    pairs = list(zip(one.parameters(), same.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(one.clip.visual.proj, other.clip.visual.proj)


def test_the_prompt_may_be_a_name_or_a_text():
    named = make(prompt="T-3").class_texts
    assert ["live" in named[0], "fake" in named[1]] == [True, True]
    assert make(prompt="A photo of a {label} face.").class_texts == named


def test_the_logit_scale_is_bounded():
    detector = make()
    detector.clip.logit_scale.data.fill_(20.0)
    assert detector.logit_scale == 100
