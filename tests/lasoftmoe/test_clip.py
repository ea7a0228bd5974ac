"""Loading CLIPs and preprocessing."""

import json
import os

import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from lasoftmoe import clip_request
from lasoftmoe.clip import load_clip
from lasoftmoe.clip_request import check_request
from lasoftmoe.small_clip import EMBEDDED_WEIGHTS, build_small_clip, read_description
from lasoftmoe.small_clip.tokenizer import SmallTokenizer, UnknownWordError, collect_vocabulary


@pytest.fixture
def small():
    torch.manual_seed(0)
    return load_clip("small", None)


@pytest.fixture
def faces():
    return torch.randint(0, 256, (3, 3, 96, 96), generator=torch.Generator().manual_seed(1)).byte()


# --- preprocessing ----------------------------------------------------------------------------


def test_uint8_and_float_images_are_the_same_to_preprocess(small, faces):
    assert torch.equal(small.preprocess(faces), small.preprocess(faces.float() / 255))


def test_preprocess_subtracts_the_mean_and_divides_by_the_deviation(small):
    mean = torch.tensor(small.mean).view(1, 3, 1, 1).expand(1, 3, 96, 96)
    assert torch.allclose(small.preprocess(mean), torch.zeros(1, 3, 96, 96), atol=1e-6)
    one_deviation_up = mean + torch.tensor(small.std).view(1, 3, 1, 1)
    assert torch.allclose(small.preprocess(one_deviation_up), torch.ones(1, 3, 96, 96), atol=1e-5)


def test_preprocess_resizes_and_lets_gradients_through(small):
    images = torch.rand(2, 3, 120, 120, requires_grad=True)
    small.embed_images(images).sum().backward()
    assert small.preprocess(images).shape == (2, 3, 96, 96)
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.full((1, 3, 96, 96), 200.0), ValueError, "Divide by 255"),
        (torch.zeros(1, 3, 96, 96, dtype=torch.int64), TypeError, "int64"),
        (torch.zeros(3, 96, 96), ValueError, r"\(3, 96, 96\)"),
    ],
)
def test_images_in_the_wrong_form_are_refused(small, images, error, message):
    with pytest.raises(error, match=message):
        small.preprocess(images)


# --- words ------------------------------------------------------------------------------------


def test_texts_survive_the_tokenizer(small):
    text = "this is an image of a live face"
    ids = small.tokenize([text])
    assert ids.shape == (1, 56)
    assert small.tokenize.decode(ids[0]) == text


def test_the_end_of_text_has_the_highest_id_in_every_row(small):
    ids = small.tokenize(["a photo of a face", "fake"])
    assert ids.argmax(dim=1).tolist() == [6, 2]


def test_unknown_words_are_named_with_near_ones(small):
    with pytest.raises(UnknownWordError, match=r"'fotograph'.*'zebra'|'zebra'.*'fotograph'"):
        small.tokenize(["a fotograph of a zebra"])
    with pytest.raises(UnknownWordError, match=r"near: .*photo"):
        small.tokenize(["a photoo"])


def test_a_text_longer_than_the_context_is_refused_rather_than_cut(small):
    with pytest.raises(ValueError, match="reads at most 56"):
        small.tokenize([" ".join(["face"] * 60)])


def test_a_vocabulary_must_be_byte_pair_tokens_without_duplicates():
    assert collect_vocabulary(["a face", "A face"]) == ["a</w>", "face</w>"]
    for vocabulary in (["notatoken!</w>"], ["a</w>", "a</w>"]):
        with pytest.raises(ValueError, match="distinct byte-pair tokens"):
            SmallTokenizer(vocabulary, 8)


# --- files and errors -------------------------------------------------------------------------


def test_the_embedded_weights_load_and_are_small():
    bundle = load_clip()
    assert not bundle.model.training
    assert EMBEDDED_WEIGHTS.stat().st_size <= 10e6
    with torch.no_grad():
        assert bundle.embed_images(torch.rand(2, 3, 96, 96)).isfinite().all()


def test_an_unknown_name_says_which_names_there_are():
    with pytest.raises(ValueError, match=r"no CLIP named 'ViT-Z'.*ViT-B-16-quickgelu"):
        load_clip("ViT-Z", None)


def test_an_unknown_tag_says_which_tags_there_are():
    with pytest.raises(ValueError, match=r"no weights tagged 'laion'.*openai"):
        load_clip("ViT-B-16-quickgelu", "laion")
    with pytest.raises(ValueError, match="expected 'embedded'"):
        load_clip("small", "openai")


@pytest.mark.parametrize("name", ["small", "ViT-B-16-quickgelu"])
def test_a_missing_weights_file_is_named(tmp_path, name):
    missing = tmp_path / "none.safetensors"
    with pytest.raises(FileNotFoundError, match=r"none\.(safetensors|json)"):
        load_clip(name, str(missing))


def test_a_missing_file_of_weights_beside_its_description(tmp_path):
    description = EMBEDDED_WEIGHTS.with_suffix(".json")
    (tmp_path / "mine.json").write_bytes(description.read_bytes())
    with pytest.raises(FileNotFoundError, match=r"no file at .*mine\.safetensors"):
        load_clip("small", str(tmp_path / "mine.safetensors"))


def _altered_copy(folder, change):
    tensors = load_file(EMBEDDED_WEIGHTS)
    change(tensors)
    save_file(tensors, folder / "mine.safetensors")
    description = EMBEDDED_WEIGHTS.with_suffix(".json")
    (folder / "mine.json").write_bytes(description.read_bytes())
    return str(folder / "mine.safetensors")


def test_weights_of_another_shape_name_the_tensor_and_both_shapes(tmp_path):
    path = _altered_copy(tmp_path, lambda t: t.update({"visual.class_embedding": torch.zeros(7)}))
    expected = r"visual.class_embedding has shape \(7,\), this model needs \(96,\)"
    with pytest.raises(ValueError, match=expected):
        load_clip("small", path)


def test_missing_tensors_are_named(tmp_path):
    path = _altered_copy(tmp_path, lambda t: t.pop("visual.proj"))
    with pytest.raises(ValueError, match=r"visual\.proj is missing"):
        load_clip("small", path)


def test_a_file_that_is_not_safetensors_is_refused(tmp_path):
    path = _altered_copy(tmp_path, lambda t: None)
    (tmp_path / "mine.safetensors").write_bytes(b"not weights")
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        load_clip("small", path)


def test_a_description_without_an_architecture_is_refused(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"vocabulary": []}))
    with pytest.raises(ValueError, match="architecture"):
        read_description(tmp_path / "x.json")


def test_weights_that_cannot_be_downloaded_say_how_to_get_them(monkeypatch):
    def offline(*args, **kwargs):
        raise RuntimeError("Failed to download weights for tag 'openai': offline")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(ConnectionError, match=r"(?s)offline.*HF_HOME.*\.safetensors"):
        load_clip("ViT-B-16-quickgelu", "openai")


def test_weights_of_a_small_clip_do_not_fit_a_vit():
    with pytest.raises(ValueError, match="do not fit ViT-B-16-quickgelu"):
        load_clip("ViT-B-16-quickgelu", str(EMBEDDED_WEIGHTS))


# --- what cannot be built is said before anything is built ------------------------------------


def no_building(*_, **__):
    pytest.fail("built something")


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("RN50", r"vision tower of RN50 is a ResNet.*such as ViT-B-16-quickgelu"),
        ("EVA02-B-16", r"vision tower of EVA02-B-16 is timm's eva02_base.*ViT-B-16-quickgelu"),
    ],
)
def test_a_tower_without_room_for_a_branch_is_named(name, cause, monkeypatch):
    monkeypatch.setattr(open_clip, "create_model", no_building)
    check_request(name, None)  # without a branch it is a CLIP like others
    with pytest.raises(ValueError, match=cause):
        check_request(name, None, branch=True)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("roberta-ViT-B-32", r"text tower of .* \(roberta-base\) needs the package transformers"),
        ("ViT-B-16-SigLIP", r"tokenizer of .* needs the package transformers.*pip install"),
    ],
)
def test_a_clip_that_needs_another_package_names_it(name, cause, monkeypatch):
    monkeypatch.setattr(open_clip, "create_model", no_building)
    monkeypatch.setattr(clip_request, "find_spec", lambda package: None)
    with pytest.raises(ValueError, match=cause):
        load_clip(name, None)


def put(folder, what):
    """Make something at a path that is no file of weights; returns the path."""
    path = folder / ("clip.pt" if what == "pickle" else "clip.safetensors")
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "old pickle":
        path.write_bytes(b"\x80\x02}q\x00X\x01\x00")
    elif what == "pickle":
        torch.save({"visual.proj": torch.zeros(2)}, path)
    elif what == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)  # sparse
    elif what == "no ending":
        path = folder / "weights"
        path.write_bytes(EMBEDDED_WEIGHTS.read_bytes())
    return str(path)


@pytest.mark.parametrize("name", ["small", "ViT-B-16-quickgelu"])
@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("folder", r"clip\.safetensors: expected a regular file, found a folder"),
        ("pipe", r"clip\.safetensors: expected a regular file, found a named pipe"),
        ("pickle", r"clip\.pt is a pickle.*convert it once: python -c .*safetensors"),
        ("old pickle", r"clip\.safetensors is a pickle"),
        ("huge", r"clip\.safetensors is not a readable safetensors file"),
        ("no ending", r"weights holds safetensors; give its name the ending \.safetensors"),
    ],
)
def test_weights_that_are_something_else_are_named(name, what, cause, tmp_path, monkeypatch):
    monkeypatch.setattr(open_clip, "create_model", no_building)
    with pytest.raises(ValueError, match=cause):
        load_clip(name, put(tmp_path, what))


def test_whole_numbers_are_no_weights(tmp_path, monkeypatch):
    name = "visual.class_embedding"
    path = _altered_copy(tmp_path, lambda t: t.update({name: torch.zeros(96, dtype=torch.int64)}))
    with pytest.raises(ValueError, match=rf"{name} has type torch.int64, .* needs torch.float32"):
        load_clip("small", path)
    monkeypatch.setattr(open_clip, "create_model", lambda *_, **__: load_clip().model)
    with pytest.raises(ValueError, match=rf"{name} has type I64, not floating point"):
        load_clip("ViT-B-16-quickgelu", path)


def test_a_network_that_open_clip_cannot_build_says_why_in_short(monkeypatch):
    def breaks(*_, **__):
        raise RuntimeError("no such layer " * 1000)

    monkeypatch.setattr(open_clip, "create_model", breaks)
    with pytest.raises(ValueError, match=r"^ViT-B-16-quickgelu cannot be built: .{1,400}$"):
        load_clip("ViT-B-16-quickgelu", None)


def test_the_small_clip_is_under_a_million_parameters():
    config, tokenizer, _ = read_description(EMBEDDED_WEIGHTS.with_suffix(".json"))
    model = build_small_clip(config, tokenizer.vocab_size)
    assert sum(p.numel() for p in model.parameters()) < 1e6
