"""UniAttackDetection's prompts, mining, and loss equal slow and obvious forms of them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lasoftmoe.clip import ClipConfig, load_clip
from lasoftmoe.methods import (
    build_detector,
    build_shape,
    method_config,
    parameter_count,
    preset_settings,
)
from lasoftmoe.methods.uni_attack_detection import (
    FAMILIES,
    KnowledgeMining,
    LearnedPrompt,
    UniAttackDetectionConfig,
    mining_loss,
)
from lasoftmoe.prompts import class_prompts, text_embeddings

CLIP, ADDED = 149_620_737, 11_944_192
TEXTS = ("live face", "physical attack", "adversarial attack")


@pytest.fixture(scope="module")
def bundle():
    return load_clip()


def make(**changes):
    return build_detector(UniAttackDetectionConfig(**changes), 0)


def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 96, 96), dtype=torch.uint8, generator=generator)
    is_attack = torch.tensor([False, True, True, True])
    return {"image": images, "is_attack": is_attack, "family": list(FAMILIES)}


def test_the_sizes_of_its_parts():
    """As the one public re-implementation has them, without a layer that it never uses."""
    shape = build_shape(method_config("uni_attack_detection", full()))
    parts = [shape.prompt, shape.mining.block, shape.mining.project, shape.to_vision]
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [8_192, 3_152_384, 8_389_632, 393_984] and sum(counts) == ADDED
    assert sum(p.numel() for p in shape.parameters() if p.requires_grad) == ADDED
    assert parameter_count("uni_attack_detection", "a100") == CLIP + ADDED


def full():
    return preset_settings("uni_attack_detection", "a100")


def test_the_vision_tower_reads_213_or_69_tokens():
    shape = build_shape(method_config("uni_attack_detection", full()))
    pixels = torch.empty(2, 3, 224, 224, device="meta")
    assert shape.vision_tokens(pixels).shape == (2, 213, 768)
    assert make().vision_tokens(torch.rand(2, 3, 96, 96)).shape == (2, 69, 96)


def test_without_learned_tokens_the_student_has_clips_own_text_features(bundle):
    prompt = LearnedPrompt(bundle, TEXTS, 0)
    assert torch.allclose(
        prompt(bundle), bundle.model.encode_text(bundle.tokenize(TEXTS)), atol=1e-6
    )


def test_learned_tokens_that_are_words_read_as_those_words(bundle):
    """The end is found after the class's name, and the name is not overwritten."""
    prompt = LearnedPrompt(bundle, TEXTS, 3)
    words = bundle.tokenize(["a photo of"])[0, 1:4]
    with torch.no_grad():
        prompt.tokens.copy_(bundle.model.token_embedding(words))
    expected = bundle.model.encode_text(bundle.tokenize([f"a photo of {t}" for t in TEXTS]))
    assert torch.allclose(prompt(bundle), expected, atol=1e-5)
    changed = LearnedPrompt(bundle, ("live face", "digital attack", "adversarial attack"), 3)
    changed.load_state_dict(prompt.state_dict())
    differences = (changed(bundle) - prompt(bundle)).abs().amax(dim=1)
    assert differences[1] > 1e-2 and differences[[0, 2]].max() < 1e-5


def test_too_many_tokens_are_refused(bundle):
    with pytest.raises(ValueError, match=r"60 learned tokens .* this CLIP reads at most 56"):
        LearnedPrompt(bundle, TEXTS, 60)(bundle)


def test_the_teacher_is_the_written_texts_and_training_leaves_it_alone(bundle):
    detector = make()
    before = detector.teacher().clone()
    for row, name in zip(before, ("T-6", "T-1", "T-2", "T-3"), strict=True):
        texts = class_prompts(name)
        assert torch.allclose(
            row, text_embeddings(bundle, [texts["live"], texts["fake"]]), atol=1e-6
        )
    sum(detector.train().training_loss(batch()).values()).backward()
    torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], 0.1).step()
    detector._forget_teacher()
    assert torch.equal(detector.teacher(), before)


def by_hand(mining, texts, heads):
    """A transformer block with norms after its sums, head by head, and the linear layer."""
    block, size = mining.block, texts.shape[1] // heads
    q, k, v = (texts @ block.self_attn.in_proj_weight.T + block.self_attn.in_proj_bias).chunk(3, 1)
    rows = []
    for i in range(len(texts)):
        parts = []
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            scores = torch.stack([q[i, part] @ k[j, part] for j in range(len(texts))])
            weights = torch.exp(scores / size**0.5)
            parts.append((weights / weights.sum()) @ v[:, part])
        rows.append(block.self_attn.out_proj(torch.cat(parts)))
    x = block.norm1(texts + torch.stack(rows))
    x = block.norm2(x + block.linear2(block.linear1(x).clamp(min=0)))
    fused = mining.project(x.reshape(-1)).reshape(2, -1)
    return fused / fused.norm(dim=1, keepdim=True)


def test_mining_is_one_block_and_one_layer_with_gradients():
    torch.manual_seed(0)
    mining = KnowledgeMining(8, 5, 2, heads=2, hidden_ratio=4, dropout=0.0).double()
    texts = torch.randn(5, 8, dtype=torch.float64, requires_grad=True)
    result, expected = mining(texts), by_hand(mining, texts, 2)
    assert torch.allclose(result, expected, atol=1e-10)
    weights = torch.randn(2, 8, dtype=torch.float64)
    gradients = [torch.autograd.grad((y * weights).sum(), texts)[0] for y in (result, expected)]
    assert torch.allclose(*gradients, atol=1e-10) and gradients[0].abs().max() > 0


def test_the_mining_loss_is_a_mean_of_one_minus_cosines():
    torch.manual_seed(0)
    fused = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(3, 2, 6, dtype=torch.float64)
    terms = [
        1 - fused[c] @ teacher[g, c] / (fused[c].norm() * teacher[g, c].norm())
        for g in range(3)
        for c in range(2)
    ]
    result, expected = mining_loss(fused, teacher), sum(terms) / 6
    assert torch.allclose(result, expected)
    gradients = [torch.autograd.grad(y, fused, retain_graph=True)[0] for y in (result, expected)]
    assert torch.allclose(*gradients)
    assert torch.allclose(mining_loss(7 * fused, teacher), result)


def test_the_mining_loss_is_zero_only_at_every_template():
    torch.manual_seed(0)
    fused = torch.randn(2, 6)
    same = fused.expand(3, 2, 6).clone()
    assert mining_loss(fused, same).abs() < 1e-6
    assert mining_loss(fused, -same).item() == pytest.approx(2)
    same[1, 0] = torch.randn(6)
    assert mining_loss(fused, same) > 1e-2


@pytest.mark.parametrize("frozen", [True, False])
def test_only_what_is_trained_gets_gradients(frozen):
    detector = make(freeze_image=frozen).train()
    before = {name: value.clone() for name, value in detector.clip.named_buffers()}
    sum(detector.training_loss(batch()).values()).backward()
    reached = {name for name, p in detector.named_parameters() if p.grad is not None}
    added = {f"{part}." for part in ("prompt", "mining", "to_vision")}
    assert all(any(name.startswith(part) for name in reached) for part in added)
    others = {name for name in reached if not name.startswith(tuple(added))}
    assert all(name.startswith("clip.visual.") for name in others) and bool(others) is not frozen
    same = [torch.equal(value, before[name]) for name, value in detector.clip.named_buffers()]
    assert all(same) is frozen


def test_learned_tokens_change_what_the_class_token_sees():
    detector, pixels = make().eval(), batch()["image"]
    with torch.no_grad():
        first = detector.embed(pixels)
        detector.prompt.tokens.mul_(50)
        assert (detector.embed(pixels) - first).abs().max() > 1e-3
        nn.init.zeros_(detector.to_vision.weight)
        nn.init.zeros_(detector.to_vision.bias)
        empty = detector.embed(pixels)  # tokens of zeros still get attention
        alone = make(tokens=0).eval().embed(pixels)
        assert (empty - alone).abs().max() > 1e-4
        assert torch.allclose(alone, load_clip().embed_images(pixels), atol=1e-5)


def test_classes_are_compared_with_the_fused_features():
    detector, data = make().eval(), batch()
    scale = detector.clip.logit_scale.exp().clamp(max=100)
    with torch.no_grad():
        images, fused = detector.embed(data["image"]), detector.fused()
        logits = torch.stack([scale * (images * row).sum(1) for row in fused], dim=1)
        picked = logits.log_softmax(1)[torch.arange(4), data["is_attack"].long()]
        terms = detector.training_loss(data)
        assert torch.allclose(terms["class"], -picked.mean(), atol=1e-5)
        assert torch.allclose(terms["mining"], mining_loss(fused, detector.teacher()))
        assert set(terms) == {"class", "mining"} and detector.needs == ()
        difference = logits[:, 1] - logits[:, 0]
        assert torch.allclose(detector.attack_score(data["image"]), difference, atol=1e-4)


def test_families_can_teach_the_student():
    detector, data = make(family_weight=0.5).eval(), batch()
    assert detector.needs == ("family",)
    scale = detector.clip.logit_scale.exp().clamp(max=100)
    logits = scale * detector.embed(data["image"]) @ detector.student().T
    expected = 0.5 * F.cross_entropy(logits, torch.arange(4))
    assert torch.allclose(detector.training_loss(data)["family"], expected)
    with pytest.raises(ValueError, match="has the family 'digital'; expected one of"):
        detector.training_loss(data | {"family": ["live", "digital", "live", "live"]})


def test_unknown_templates_and_texts_are_refused():
    with pytest.raises(ValueError, match=r"templates are \['T-9'\]; expected names among T-1"):
        UniAttackDetectionConfig(templates=("T-9",))
    with pytest.raises(ValueError, match="templates are"):
        UniAttackDetectionConfig(templates=())
    strange = ("live face", "wax", "digital attack", "adversarial attack")
    with pytest.raises(ValueError, match="'wax'"):
        make(student_classes=strange).student()
    assert UniAttackDetectionConfig().unloaded().clip == ClipConfig(pretrained=None)
