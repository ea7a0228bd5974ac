"""The ResNet is a detector like any other: it learns, scores, embeds and runs as an experiment."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from lasoftmoe.experiment import load_config
from lasoftmoe.experiment import runs as experiment
from lasoftmoe.methods import build_detector, build_shape, parameter_count
from lasoftmoe.methods.timm_classifier import TimmClassifier, TimmClassifierConfig

SMALL = TimmClassifierConfig("resnet10t", None, 0.125)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return {"image": images, "is_attack": torch.arange(8) % 2 == 0}


def test_it_is_built_by_its_kind_and_the_seed_fixes_it():
    first, again, other = (build_detector(SMALL, seed) for seed in (0, 0, 1))
    assert isinstance(first, TimmClassifier)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(next(first.parameters()), next(other.parameters()))


def test_width_multiplies_the_channels_of_the_stages():
    narrow, wide = (
        sum(p.numel() for p in build_detector(TimmClassifierConfig(width=w), 0)
            .network.layer4.parameters())
        for w in (0.5, 1.0)
    )  # fmt: skip
    assert 3.5 < wide / narrow < 4.5


def test_score_is_the_logit_and_bytes_and_fractions_agree(batch):
    detector = build_detector(SMALL, 0).eval()
    with torch.no_grad():
        scores = detector.attack_score(batch["image"])
        network_input = (batch["image"].float() / 255 - detector.mean) / detector.std
        assert torch.allclose(scores, detector.network(network_input)[:, 0], atol=1e-5)
        assert torch.allclose(scores, detector.attack_score(batch["image"].float() / 255))
        lengths = detector.embed(batch["image"]).norm(dim=1)
    assert scores.shape == (8,) and torch.allclose(lengths, torch.ones(8))


def test_loss_is_the_binary_cross_entropy_and_falls(batch):
    detector = build_detector(SMALL, 0).train()
    sign = torch.where(batch["is_attack"], -1.0, 1.0)
    expected = torch.nn.functional.softplus(sign * detector.attack_score(batch["image"])).mean()
    assert torch.allclose(detector.training_loss(batch), expected)
    optimizer = torch.optim.AdamW(detector.parameter_groups()["model"].parameters, lr=1e-2)
    losses = []
    for _ in range(15):
        loss = detector.training_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_score_has_gradients_in_the_image(batch):
    image = (batch["image"].float() / 255).requires_grad_()
    build_detector(SMALL, 0).eval().attack_score(image).sum().backward()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (("resnet9000",), ValueError, "no network named 'resnet9000'"),
        (("resnet50", "mine"), ValueError, "no weights tagged 'mine'; expected one of .*tv_in1k"),
        (("resnet50", "/nowhere/a.safetensors"), FileNotFoundError, "/nowhere/a.safetensors"),
    ],
)
def test_networks_and_weights_that_do_not_exist_are_named(config, error, message):
    with pytest.raises(error, match=message):
        build_detector(TimmClassifierConfig(*config), 0)


def test_weights_of_one_width_are_not_asked_for_at_another():
    with pytest.raises(ValueError, match=r"have width 1, not 0\.5"):
        TimmClassifierConfig("resnet50", "tv_in1k", 0.5)


def test_only_a_resnet_has_a_width():
    with pytest.raises(ValueError, match="only a ResNet has a width"):
        TimmClassifierConfig("vit_tiny_patch16_224", None, 0.5)


def test_the_presets_name_a_small_one_and_the_papers():
    laptop, a100 = (load_config("resnet", preset).detector for preset in ("laptop", "a100"))
    assert laptop.kind == a100.kind == "timm_classifier"
    assert laptop.pretrained is None and a100.name == "resnet50"


def test_an_experiment_of_it_runs_and_reads_back(tiny_folder, runs):
    overrides = {
        "data": {"folder": str(tiny_folder), "image_size": 16},
        "detector": {"width": 0.125},
        "training": {"epochs": 1, "batch_size": 16},
    }
    run = experiment.run("resnet", "laptop", 0, overrides)
    assert run.report["parameters"]["moe"] == 0
    dev = run.datasets()["dev"]
    again = run.detector().attack_score(dev.batch([0, 1])["image"])
    stored = run.scores.loc[run.scores["split"] == "dev", "attack_score"][:2]
    assert torch.allclose(again.double(), torch.tensor(stored.to_numpy()), atol=1e-4)


def test_one_output_is_one_logit_less_than_the_published_two_classes():
    assert parameter_count("timm_classifier", "a100") == 23_510_081
    assert parameter_count("timm_classifier", "a100") + 2048 + 1 == 23_512_130


def test_two_logits_and_one_have_the_same_loss_and_gradient():
    z = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)
    is_attack = torch.arange(9) % 2
    one = F.binary_cross_entropy_with_logits(z, is_attack.double())
    two = F.cross_entropy(torch.stack((torch.zeros_like(z), z), dim=1), is_attack)
    assert torch.allclose(one, two)
    assert torch.allclose(torch.autograd.grad(one, z)[0], torch.autograd.grad(two, z)[0])


def test_a_score_depends_on_its_batch_in_training_only(batch):
    detector = build_detector(SMALL, 0)
    alone, among = (batch["image"][:2], batch["image"])
    with torch.no_grad():
        for training in (False, True):
            detector.train(training)
            same = torch.allclose(
                detector.attack_score(alone), detector.attack_score(among)[:2], atol=1e-4
            )
            assert same is not training


def test_features_have_the_networks_width():
    assert build_shape(TimmClassifierConfig("resnet50")).network.num_features == 2048
    assert build_shape(TimmClassifierConfig(width=0.5)).network.num_features == 256


@pytest.mark.parametrize(
    ("what", "message"),
    [("folder", "found a folder"), ("pickle", "is a pickle"), ("whole numbers", "has type I64")],
)
def test_weights_that_are_something_else_are_named(tmp_path, what, message):
    path = tmp_path / ("weights.pth" if what == "pickle" else "weights.safetensors")
    if what == "folder":
        path.mkdir()
    elif what == "pickle":
        torch.save({"fc.weight": torch.zeros(2)}, path)
    else:
        network = timm.create_model("resnet10t", num_classes=1)
        whole = {"conv1.0.weight": network.state_dict()["conv1.0.weight"].long()}
        save_file({**network.state_dict(), **whole}, path)
    with pytest.raises(ValueError, match=message):
        build_detector(TimmClassifierConfig("resnet10t", str(path)), 0)
