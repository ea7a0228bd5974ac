import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import chi2_contingency
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from data_prep.cli import main
from data_prep.inspection.audit import POOLED, Audit, Bar, Bars, auc_interval, audit_dataset
from data_prep.manifest import DatasetError, read_dataset, write_dataset
from data_prep.taxonomy import family_of

EMBEDDED = Path(__file__).parents[3] / "data" / "synthetic-laptop"
FAST = ("mean_color", "border", "file_size", "high_pass")
TYPES = ("live", "live", "print", "fgsm")


def write(folder, spoil=lambda picture, kind: (picture, {})):
    """80 subjects with two live images and two attacks each; ``spoil`` plants a shortcut.

    Live images and attacks differ in nothing else: pictures are blurred noise of a random color.
    """
    rng = np.random.default_rng(3)
    (folder / "images").mkdir(parents=True)
    rows = []
    for subject in range(80):
        for number, kind in enumerate(TYPES):
            color = rng.uniform(60, 190, 3)
            noise = rng.normal(0, rng.uniform(2, 10), (24, 24, 3))
            picture = np.clip(color + noise, 0, 255).astype(np.uint8)
            picture, options = spoil(picture, kind)
            name = f"s{subject}-{number}"
            Image.fromarray(picture).save(folder / f"images/{name}.png", **options)
            row = {"id": name, "path": f"images/{name}.png", "family": family_of(kind)}
            row |= {"label": "live" if kind == "live" else "fake", "type": kind}
            rows.append({**row, "subject": f"s{subject}", "source": name, "frame": 0})
    manifest = pd.DataFrame(rows)
    number = manifest["subject"].str[1:].astype(int)
    split = np.select([number < 40, number < 70], ["train", "dev"], "test")
    info = {"name": "planted", "version": "1", "license": "CC0-1.0", "seed": 0}
    info |= {"generator": "tests", "image_size": 24}
    protocol = pd.DataFrame({"id": manifest["id"], "split": split})
    write_dataset(folder, manifest, {"p1": protocol}, info)
    return folder


def larger_file(picture, kind):
    return picture, {} if kind == "live" else {"compress_level": 0}


def colored_border(picture, kind):
    """Brighter on the top and darker on the bottom edge: the mean color stays."""
    if kind == "print":
        picture = picture.astype(int)
        picture[0] += 40
        picture[-1] -= 40
    return np.clip(picture, 0, 255).astype(np.uint8), {}


def tinted(picture, kind):
    return np.clip(np.add(picture, [0, 0, 60 * (kind != "live")]), 0, 255).astype(np.uint8), {}


def noisy(picture, kind):
    noise = np.random.default_rng(int(picture.sum())).normal(0, 25, picture.shape)
    picture = picture + noise * (kind == "fgsm")
    return np.clip(picture, 0, 255).astype(np.uint8), {}


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return write(tmp_path_factory.mktemp("audit") / "clean")


@pytest.fixture(scope="module")
def clean_audit(clean):
    return audit_dataset(clean, bars=Bars(), probes=FAST)


def test_a_clean_dataset_passes(clean_audit):
    assert clean_audit.broken.empty, clean_audit.to_text()
    assert "No probe exceeds its limit." in clean_audit.to_text()
    for probe in FAST:
        assert 0.35 < clean_audit.auc(probe) < 0.65


@pytest.mark.parametrize(
    ("spoil", "probe", "type_name", "innocent"),
    [
        (larger_file, "file_size", POOLED, ("mean_color", "border", "high_pass")),
        (colored_border, "border", "print", ("mean_color",)),
        (tinted, "mean_color", POOLED, ("file_size", "high_pass")),
        (noisy, "high_pass", "fgsm", ("mean_color", "border")),
    ],
)
def test_a_planted_shortcut_is_caught_and_named(tmp_path, spoil, probe, type_name, innocent):
    audit = audit_dataset(write(tmp_path / "set", spoil), bars=Bars(), probes=FAST)
    caught = set(zip(audit.broken["probe"], audit.broken["type"], strict=True))
    assert (probe, type_name) in caught
    assert not caught & {(name, kind) for name in innocent for kind in (POOLED, "print", "fgsm")}
    assert f"SHORTCUT: {probe} reaches " in audit.to_text()


def test_bars_can_be_set_or_left_out(clean):
    strict = Bars(file_size=Bar(pooled=0.1))
    audit = audit_dataset(clean, bars=strict, probes=["file_size"])
    assert list(audit.broken["type"]) == [POOLED]
    free = audit_dataset(clean, probes=["file_size"])
    assert free.broken.empty
    assert "No limits were set." in free.to_text()


def test_the_table_has_a_row_for_each_probe_and_type(clean_audit):
    table = clean_audit.table
    assert len(table) == len(FAST) * 3
    assert set(table["type"]) == {POOLED, "print", "fgsm"}
    assert list(table.loc[table["type"] == POOLED, "images"].unique()) == [60]
    assert ((table["low"] <= table["auc"]) & (table["auc"] <= table["high"])).all()
    assert clean_audit.to_dict()["passed"]


def test_same_seed_same_audit(clean, clean_audit):
    again = audit_dataset(clean, bars=Bars(), probes=FAST)
    pd.testing.assert_frame_equal(again.table, clean_audit.table)


def test_interval_agrees_with_scikit_learn_on_ties_too():
    rng = np.random.default_rng(0)
    score, attack = rng.integers(0, 6, 90) / 5, rng.random(90) < 0.6
    subject = np.repeat(np.arange(30), 3)
    auc, low, high = auc_interval(score, attack, subject, resamples=400)
    assert auc == pytest.approx(roc_auc_score(attack, score), abs=1e-12)
    draws = []
    for _ in range(400):
        drawn = rng.integers(0, 30, 30)
        images = np.concatenate([np.flatnonzero(subject == number) for number in drawn])
        draws.append(roc_auc_score(attack[images], score[images]))
    np.testing.assert_allclose([low, high], np.quantile(draws, [0.025, 0.975]), atol=0.025)


def test_images_of_one_subject_are_not_independent():
    """Ten copies of every image say no more than one."""
    rng = np.random.default_rng(1)
    score, attack, subject = rng.random(40), rng.random(40) < 0.5, np.arange(40)
    once = auc_interval(score, attack, subject)
    tenfold = auc_interval(*(np.repeat(values, 10) for values in (score, attack, subject)))
    np.testing.assert_allclose(once, tenfold, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "p9"}, "unknown protocol 'p9'.*has: p1"),
        ({"split": "train"}, "expected dev or test"),
        ({"probes": ["taste"]}, "unknown probe 'taste'; known: mean_color"),
    ],
)
def test_wrong_options_are_errors(clean, options, message):
    with pytest.raises(ValueError, match=message):
        audit_dataset(clean, **options)


def test_a_split_without_live_images_is_an_error(tmp_path):
    dataset = read_dataset(write(tmp_path / "set"))
    protocol = dataset.protocols["p1"].merge(dataset.manifest[["id", "label"]], on="id")
    protocol = protocol[(protocol["split"] != "dev") | (protocol["label"] == "fake")]
    write_dataset(tmp_path / "set", dataset.manifest, {"p1": protocol[["id", "split"]]}, BARE)
    with pytest.raises(DatasetError, match="60 images in dev; live images and attacks are both"):
        audit_dataset(tmp_path / "set")


BARE = {"name": "a", "version": "1", "license": "CC0-1.0", "seed": 0, "generator": "tests"}
BARE["image_size"] = 24


def test_command_prints_writes_and_exits_with_1_on_a_shortcut(tmp_path, capsys):
    folder = write(tmp_path / "set", larger_file)
    out = tmp_path / "audit.json"
    assert main(["audit", str(folder), "--json", str(out)]) == 1
    told = capsys.readouterr().out
    assert "SHORTCUT: file_size reaches 100.0 for pooled; at most 60 is allowed" in told
    written = json.loads(out.read_text("utf-8"))
    assert (written["split"], written["passed"]) == ("dev", False)
    assert {row["probe"] for row in written["rows"] if row["broken"]} == {"file_size"}
    assert all(row["bar"] is None for row in written["rows"] if row["probe"] == "energy")
    assert main(["audit", str(folder), "--no-bars"]) == 0
    assert main(["audit", str(tmp_path / "nowhere")]) == 2


@pytest.mark.slow
@pytest.mark.skipif(not (EMBEDDED / "dataset.json").is_file(), reason="run make data first")
def test_the_embedded_dataset_has_no_shortcut():
    audit: Audit = audit_dataset(EMBEDDED, split="test", bars=Bars())
    assert audit.broken.empty, f"tell the data card what changed\n{audit.to_text()}"


@pytest.mark.slow
@pytest.mark.skipif(not (EMBEDDED / "dataset.json").is_file(), reason="run make data first")
def test_neither_subject_nor_session_predicts_the_type():
    """Trees that know both guess the types of other subjects no better than a constant guess."""
    dataset = read_dataset(EMBEDDED)
    rows = dataset.manifest.merge(dataset.protocols["p1"], on="id")
    rows = rows[rows["label"] == "fake"]
    numbers = rows["source"].str.extract(r"s(\d+)-session-(\d+)").astype(int)
    for split, of_split in rows.groupby("split"):
        known, types = numbers.loc[of_split.index].to_numpy(), of_split["type"].to_numpy()
        table = pd.crosstab(types, known[:, 1])
        assert chi2_contingency(table).pvalue > 0.001, f"{split}: the session tells the type"
        folds = GroupKFold(5, shuffle=True, random_state=0)
        trees = DecisionTreeClassifier(min_samples_leaf=5, random_state=0)
        guessed = cross_val_predict(trees, known, types, groups=of_split["subject"], cv=folds)
        chance = pd.Series(types).value_counts(normalize=True).max()
        allowed = chance + 3 * np.sqrt(chance * (1 - chance) / len(types))
        assert np.mean(guessed == types) < allowed, f"{split}: {np.mean(guessed == types):.3f}"
