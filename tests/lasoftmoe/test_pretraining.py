"""Pretraining on a folder of a dozen noise images: what it writes, resumes and refuses."""

import dataclasses
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from data_prep.manifest import DatasetError, write_dataset
from data_prep.synthetic.captions.captions import (
    MEDIA,
    PROMPT_LABELS,
    TEXTURES,
    VOCABULARY_TEXTS,
    describe,
    sentence,
    texture_words,
)
from data_prep.synthetic.nuisance import LOCAL_TEXTURES
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import sample_sessions
from lasoftmoe.clip import load_clip
from lasoftmoe.pretraining import PretrainingConfig, pretrain
from lasoftmoe.pretraining.__main__ import main
from lasoftmoe.pretraining.batches import MIRRORED, CaptionBatches
from lasoftmoe.pretraining.captures import read_captures
from lasoftmoe.pretraining.ceiling import oracle_recall, shared_captions
from lasoftmoe.pretraining.loop import Pretraining, learning_rate_share
from lasoftmoe.pretraining.questions import (
    QUESTIONS,
    TEXTS,
    UNASKED,
    answer_numbers,
    draw_question_texts,
    question_loss,
)
from lasoftmoe.pretraining.results import zero_shot_results
from lasoftmoe.pretraining.run import _random_clip
from lasoftmoe.pretraining.text_tower import encode_texts
from lasoftmoe.pretraining.textures import SCENES, draw_texture, scene_texts
from lasoftmoe.pretraining.vocabulary import vocabulary
from lasoftmoe.progress import progress_bar
from lasoftmoe.prompts import PROMPTS, class_prompts
from lasoftmoe.small_clip import SmallClipConfig
from lasoftmoe.small_clip.tokenizer import SmallTokenizer
from lasoftmoe.training.checkpoint import Checkpoint

CONFIG = PretrainingConfig(epochs=2, batch_size=4)
WORDS = {
    "sex": ("man", "woman"),
    "age": ("old", "middle aged"),
    "hair": ("no hair", "short black hair"),
    "beard": ("a full beard", ""),
    "glasses": ("glasses", ""),
    "skin": ("light", "tan"),
    "smile": ("smiling", ""),
    "mouth": ("an open mouth", ""),
    "looking": ("left", "right"),
    "curls": ("curls", ""),
    "fringe": ("a fringe", ""),
    "shirt": ("a dark brown shirt", "a blue shirt"),
    "place": ("outdoors", "in front of lights at night"),
}
TRUE_OF_THE_FIRST = (
    *(
        " a man",
        "an old person",
        "with no hair",
        "a full beard",
        "with glasses",
        "light skin",
        "with curls",
        "a fringe",
    ),
    *("a smiling person", "an open mouth", "looking left", "a dark brown shirt", "outdoors"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Four people in three media, the last person in dev; man or woman by turns."""
    folder = tmp_path_factory.mktemp("captions")
    rng = np.random.default_rng(0)
    manifest, captions = [], []
    for number in range(12):
        subject, medium = f"c{number // 3}", list(MEDIA)[number % 3]
        path = f"images/{number}.png"
        (folder / "images").mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / path)
        kind = {"photo": "live", "print": "print", "screen": "replay"}[medium]
        family, label = ("live", "live") if kind == "live" else ("physical", "fake")
        identifier = f"image-{number}"
        manifest.append((identifier, path, label, family, kind, subject, subject, 0))
        captions.append(
            {"id": identifier, "medium": medium}
            | {name: words[number // 3 % 2] for name, words in WORDS.items()}
        )
    columns = ["id", "path", "label", "family", "type", "subject", "source", "frame"]
    table = pd.DataFrame(manifest, columns=columns)
    split = ["train"] * 9 + ["dev"] * 3
    protocol = pd.DataFrame({"id": table["id"], "split": split})
    info = {
        "name": "tiny",
        "version": "1",
        "license": "CC0-1.0",
        "seed": 0,
        "generator": "test",
        "image_size": 96,
    }
    extra = {"captions": pd.DataFrame(captions)}
    write_dataset(folder, table, {"pretraining": protocol}, info, extra)
    return folder


@pytest.fixture(scope="module")
def finished(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, pretrain(folder, out, CONFIG)


# --- words ------------------------------------------------------------------------------------


def _tokenizer() -> SmallTokenizer:
    return SmallTokenizer(vocabulary(), SmallClipConfig().context_length)


def test_the_vocabulary_covers_prompts_captions_and_scenes():
    prompts = [text for name in PROMPTS for text in class_prompts(name).values()]
    _tokenizer()([*prompts, *VOCABULARY_TEXTS, *scene_texts()])


def test_the_longest_caption_fits_the_context():
    attributes = {name: max(words, key=len) for name, words in WORDS.items()}
    attributes |= {"age": "middle aged", "hair": "short dark brown hair"}
    rng, tokenizer = random.Random(0), _tokenizer()
    texts = {
        texture_words(texture, texture in LOCAL_TEXTURES, rng) + sentence(attributes, medium, rng)
        for medium in MEDIA
        for texture in TEXTURES
        for _ in range(20)
    }
    lengths = [int((tokenizer(text) > 0).sum()) for text in texts]
    assert max(lengths) <= tokenizer.context_length
    assert max(lengths) > tokenizer.context_length - 4  # not much longer than needed, either


def test_every_word_of_every_attribute_has_an_answer():
    people, sessions = sample_identities(400, seed=2), sample_sessions(400, seed=2)
    for attributes in describe(people, sessions):
        numbers = answer_numbers(attributes, "print")
        answers = dict(zip([*QUESTIONS, "medium"], numbers, strict=True))
        bald = attributes["hair"] == "no hair"
        assert [name for name, number in answers.items() if number == UNASKED] == (
            ["hair color"] if bald else []
        )
        assert answers["medium"] == 1


def test_the_texts_of_questions_stand_where_their_loss_looks():
    """Whoever knows which texts are true of an image has no loss."""
    texts = draw_question_texts(random.Random(3))
    _tokenizer()(texts)
    assert len(texts) == TEXTS
    attributes = {name: words[0] for name, words in WORDS.items()}
    logits = torch.zeros(1, TEXTS)
    for number, text in enumerate(texts[: -len(MEDIA)]):
        logits[0, number] = 50.0 * text.endswith(TRUE_OF_THE_FIRST)
    logits[0, -len(MEDIA) + 1] = 50.0  # the print
    answers = torch.tensor([answer_numbers(attributes, "print")])
    assert question_loss(logits, answers) < 1e-6
    assert question_loss(-logits, answers) > 10


def test_an_oracle_finds_what_captions_tell_apart():
    men = {"sex": "man", "glasses": ""}, {"sex": "man", "glasses": "glasses"}
    both = [dict(men[0]), dict(men[1])]
    assert oracle_recall(both, [{"sex": "man"}, {"sex": "man", "glasses": "glasses"}]) == 1
    same = [{"sex": "man"}, {"sex": "man"}]
    assert oracle_recall(both, same) == pytest.approx(0.5)
    assert shared_captions(same) == 1
    assert shared_captions([{"sex": "man"}, {"glasses": "glasses"}]) == 0


def test_texts_without_padding_have_the_same_embeddings():
    bundle = load_clip("small", None)
    tokens = bundle.tokenize(["a photo of a person", "a face"])
    short, whole = encode_texts(bundle.model, tokens), bundle.model.encode_text(tokens)
    assert torch.allclose(short, whole, atol=1e-5)


def test_scenes_are_every_medium_with_every_texture_and_all_texts_differ():
    assert len(SCENES) == len(MEDIA) * (len(TEXTURES) + len(LOCAL_TEXTURES))
    assert len(set(scene_texts())) == len(SCENES)
    assert "partly blurry : a picture on a screen of a person" in scene_texts()


def test_every_texture_is_drawn_and_only_some_are_local():
    rng = random.Random(0)
    drawn = {draw_texture(rng) for _ in range(500)}
    assert {texture.kind for texture in drawn} == set(TEXTURES)
    assert {texture.kind for texture in drawn if texture.local} == set(LOCAL_TEXTURES)


# --- data -------------------------------------------------------------------------------------


def test_captures_are_split_by_person(folder):
    splits = read_captures(folder)
    assert {name: len(captures) for name, captures in splits.items()} == {"train": 9, "dev": 3}
    people = [set(captures.table["subject"]) for captures in splits.values()]
    assert not people[0] & people[1]
    assert splits["train"].images.dtype == torch.uint8


def test_images_and_captions_stay_together(folder):
    train = read_captures(folder)["train"]
    with Image.open(folder / "images" / "7.png") as image:
        expected = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    row = train.table["id"].tolist().index("image-7")
    assert torch.equal(train.images[row], expected)
    assert train.attributes[row]["sex"] == "man" and train.media[row] == "print"


def test_an_epoch_repeats_itself_and_differs_from_the_next(folder):
    batches = CaptionBatches(read_captures(folder)["train"], _tokenizer(), 4, seed=0)
    first, again, second = (list(batches.epoch(n)) for n in (0, 0, 1))
    assert len(first) == len(batches) == 2
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].images, second[0].images)


def test_captions_name_the_medium_and_the_scene_of_their_image(folder):
    tokenizer = _tokenizer()
    captures = read_captures(folder)["train"]
    for batch in CaptionBatches(captures, tokenizer, 8, seed=0).epoch(0):
        for ids, scene in zip(batch.tokens, batch.scenes.tolist(), strict=True):
            medium, texture = SCENES[scene]
            text = tokenizer.decode(ids)
            assert any(phrase in text for phrase in MEDIA[medium])
            assert any(word in text for word in TEXTURES[texture.kind])
            assert ("partly" in text) == texture.local


def test_a_mirrored_person_looks_the_other_way(folder, monkeypatch):
    from lasoftmoe.pretraining import batches as module

    seen = []
    monkeypatch.setattr(module, "apply_texture", lambda image, *_: seen.append(image) or image)
    captures = read_captures(folder)["train"]
    texts = []
    monkeypatch.setattr(
        module, "caption", lambda attributes, *_: texts.append(attributes["looking"]) or "a face"
    )
    list(CaptionBatches(captures, _tokenizer(), 9, seed=1).epoch(0))
    originals = {image.numpy().tobytes(): i for i, image in enumerate(captures.images)}
    mirrors = {image.flip(-1).numpy().tobytes(): i for i, image in enumerate(captures.images)}
    flipped = 0
    for image, looking in zip(seen, texts, strict=True):
        key = image.contiguous().numpy().tobytes()
        if key in mirrors:
            flipped += 1
            assert looking == MIRRORED[captures.attributes[mirrors[key]]["looking"]]
        else:
            assert looking == captures.attributes[originals[key]]["looking"]
    assert 0 < flipped < 9


def test_folders_without_captions_or_batches_are_refused(folder, tmp_path):
    with pytest.raises(DatasetError, match="no captioned captures"):
        read_captures(tmp_path / "nothing")
    with pytest.raises(ValueError, match="9 captures do not fill one batch of 64"):
        pretrain(folder, tmp_path, PretrainingConfig(batch_size=64))
    shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("captions.parquet"))
    with pytest.raises(DatasetError, match=r"captions\.parquet is missing"):
        read_captures(tmp_path / "copy")


# --- training ---------------------------------------------------------------------------------


def test_a_run_leaves_weights_that_load_and_a_card(finished):
    out, facts = finished
    bundle = load_clip("small", str(out / "small_clip.safetensors"))
    scores = bundle.embed_images(torch.rand(2, 3, 96, 96))
    assert scores.isfinite().all()
    card = (out / "small_clip.md").read_text()
    assert "python -m lasoftmoe.pretraining --data DATA --out OUT --epochs 2 --batch_size 4" in card
    assert "| medium |" in card and "{" not in card
    assert facts["steps"] == 4 and facts["dev_subjects"] == 1
    assert facts["command"] == facts["commands"][-1] and "torch" in facts["versions"]


def test_the_log_has_a_row_a_step_and_a_schedule_that_ends_low(finished):
    log = pd.read_csv(finished[0] / "log.csv")
    assert log["step"].tolist() == [1, 2, 3, 4]
    assert np.isfinite(log.to_numpy()).all()
    assert log["learning_rate"].iloc[-1] < log["learning_rate"].max()


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    folder, finished, tmp_path, monkeypatch
):
    from lasoftmoe.pretraining import loop

    class Interrupted(Exception):
        pass

    def stop_in_the_second_epoch(run, batch, share, step=loop.Pretraining._step):
        if len(run.state.log) == 3:
            raise Interrupted
        return step(run, batch, share)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Pretraining, "_step", stop_in_the_second_epoch)
        with pytest.raises(Interrupted):
            pretrain(folder, tmp_path, CONFIG)
    assert not (tmp_path / "small_clip.safetensors").exists()
    pretrain(folder, tmp_path, CONFIG)
    resumed, whole = (
        load_file(path / "small_clip.safetensors") for path in (tmp_path, finished[0])
    )
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_folder_with_another_run_is_not_taken_up(folder, finished):
    with pytest.raises(ValueError, match="other settings"):
        pretrain(folder, finished[0], PretrainingConfig(epochs=3, batch_size=4))


def test_held_out_people_must_be_others(folder, finished, tmp_path):
    with pytest.raises(ValueError, match="the same people"):
        pretrain(folder, finished[0], CONFIG, held_out=folder)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    info = json.loads((other / "dataset.json").read_text())
    (other / "dataset.json").write_text(json.dumps(info | {"seed": 1}))
    facts = pretrain(folder, finished[0], CONFIG, held_out=other)  # measured anew, not trained
    assert facts["dev_images"] == 12 and facts["steps"] == 4
    assert "--held_out HELD_OUT" in facts["commands"][-1]


def test_cpu_seconds_end_a_run(folder, tmp_path):
    config = PretrainingConfig(batch_size=4, cpu_seconds=0.01)
    assert pretrain(folder, tmp_path, config)["steps"] == 1


def test_the_scaffold_and_the_layout_branch_learn_from_their_epoch_on(folder, tmp_path):
    config = dataclasses.replace(CONFIG, scaffold_epoch=1)
    _, bundle = _random_clip(0)
    checkpoint = Checkpoint(tmp_path / "state.safetensors")
    run = Pretraining(bundle, read_captures(folder)["train"], config, checkpoint)
    branch, head = bundle.model.visual.conv1.layout[-1].weight, run.trained["scaffold"].layer.weight
    before = head.clone()
    with progress_bar(total=4) as bar:
        run._epoch(bar)
        assert not branch.any() and torch.equal(head, before)
        run._epoch(bar)
    assert branch.any() and not torch.equal(head, before)


def test_the_learning_rate_rises_and_falls():
    shares = [learning_rate_share(p, 0.1) for p in (0, 0.05, 0.1, 0.55, 1)]
    assert shares == pytest.approx([0, 0.5, 1, 0.5, 0])


def test_results_are_shares_beside_chance(folder):
    _, bundle = _random_clip(0)
    bundle.model.eval()
    results = zero_shot_results(bundle, read_captures(folder)["train"])
    names = ("retrieval R@1 of 3", "medium", "sex", "hair color", "skin", "glasses AUC", "texture")
    for name in names:
        assert 0 <= results[name]["value"] <= 1
        assert 0 < results[name]["chance"] <= 1
    assert results["sex"]["chance"] == pytest.approx(6 / 9)


def test_the_command_tells_an_error_in_one_message(tmp_path, capsys):
    status = main(["--data", str(tmp_path / "nothing"), "--out", str(tmp_path)])
    message = capsys.readouterr().err
    assert status == 2
    assert message.startswith("error: no captioned captures") and "Traceback" not in message


@pytest.mark.parametrize("option", ["--data", "--held_out"])
def test_a_missing_folder_names_the_command_that_writes_captions(folder, option, tmp_path, capsys):
    nothing = tmp_path / "nothing"
    folders = {"--data": folder, "--held_out": folder} | {option: nothing}
    arguments = [str(part) for pair in folders.items() for part in pair]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert f"`python -m data_prep captions --out {nothing}`" in message
    assert "synthetic" not in message


def test_the_vocabulary_has_every_word_of_the_papers_prompts():
    tokenizer = SmallTokenizer(vocabulary(), SmallClipConfig().context_length)
    for template in PROMPTS.values():
        for label in PROMPT_LABELS:
            tokenizer([template.format(label=label)])  # a word that it does not know is an error
