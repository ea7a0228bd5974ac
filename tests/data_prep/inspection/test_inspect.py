"""The inspection: what it finds, and a page that is safe, whole and readable."""

import itertools
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_prep.building.shards import write_shards
from data_prep.cli import main
from data_prep.inspection.files import count_tables, inspect_dataset
from data_prep.inspection.page import write_inspection
from data_prep.inspection.pictures import separation
from data_prep.manifest import read_dataset, write_dataset
from tests.data_prep.small import INFO

NASTY = "<script>alert(1)</script>"
SPLITS = ("train", "dev", "test")


def source(folder, shots=3, name="plain", size=64):
    """Six people, live and printed, of noise; ``name`` stands in ids, people and a protocol."""
    draw = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    rows = []
    for person in range(6):
        for shot in range(shots):
            live = shot % 2 == 0
            path = f"images/{person}-{shot}.png"
            picture = draw.integers(0, 256, (size, size, 3)).astype(np.uint8)
            Image.fromarray(picture).save(folder / path)
            label, family, kind = ("live",) * 3 if live else ("fake", "physical", "print")
            row = {"id": f"{person}-{shot}-{name}", "path": path, "label": label, "family": family}
            row |= {"type": kind, "subject": f"p{person}{name}", "source": path, "frame": shot}
            rows.append(row)
    manifest = pd.DataFrame(rows)
    return write_manifest(folder, manifest, {**INFO, "name": name, "image_size": size})


def write_manifest(folder, manifest, info):
    split = [SPLITS[int(path.split("/")[1][0]) % 3] for path in manifest["path"]]
    protocol = pd.DataFrame({"id": manifest["id"], "split": split})
    return write_dataset(folder, manifest, {"p1": protocol}, info)


def found(folder):
    inspection = inspect_dataset(read_dataset(folder), 1)
    return {finding.title: list(finding.rows) for finding in inspection.findings}, inspection


def test_nothing_is_found_in_a_good_dataset(tmp_path):
    source(tmp_path)
    findings, inspection = found(tmp_path)
    assert findings == {} and not inspection.serious


def test_counts_are_those_of_the_tables(tmp_path):
    tables = count_tables(source(tmp_path))
    assert tables["all"].loc[("all", "all"), "all"] == 18
    p1 = tables["p1"]
    assert p1.loc[("live", "live")].tolist() == [4, 4, 4, 12]
    assert p1.loc[("physical", "print")].tolist() == [2, 2, 2, 6]
    assert list(p1.index) == [("live", "live"), ("physical", "print"), ("all", "all")]


def test_missing_and_damaged_files_are_told(tmp_path):
    source(tmp_path)
    (tmp_path / "images/0-0.png").unlink()
    (tmp_path / "images/1-0.png").write_bytes(b"")
    whole = (tmp_path / "images/2-0.png").read_bytes()
    (tmp_path / "images/2-0.png").write_bytes(whole[: len(whole) // 2])
    findings, inspection = found(tmp_path)
    assert findings["missing files"] == ["images/0-0.png (0-0-plain)"]
    assert [row.split(":")[0] for row in findings["unreadable files"]] == [
        "images/1-0.png (1-0-plain)",
        "images/2-0.png (2-0-plain)",
    ]
    assert inspection.serious and len(inspection.readable) == 15


def test_link_that_leads_out_is_not_opened(tmp_path):
    source(tmp_path / "set")
    outside = tmp_path / "outside.png"
    (tmp_path / "set/images/0-0.png").replace(outside)
    (tmp_path / "set/images/0-0.png").symlink_to(outside)
    findings, inspection = found(tmp_path / "set")
    (row,) = findings["unreadable files"]
    assert row.startswith("images/0-0.png (0-0-plain): ") and not inspection.images["sha256"][0]


def test_changed_files_are_told(tmp_path):
    source(tmp_path)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "images/0-0.png")
    findings, inspection = found(tmp_path)
    assert "a file changed after" in findings["changed files"][0] and inspection.serious


@pytest.mark.parametrize(
    ("copied", "title", "serious"),
    [
        ("3-0", "duplicate files", False),  # both in train
        ("1-0", "equal files in two splits", True),
        ("0-1", "equal files labeled live and fake", True),
    ],
)
def test_equal_files_are_told_apart_by_what_they_do(copied, title, serious, tmp_path):
    dataset = source(tmp_path)
    shutil.copy(tmp_path / "images/0-0.png", tmp_path / f"images/{copied}.png")
    write_manifest(tmp_path, dataset.manifest, {**INFO, "image_size": 64})
    findings, inspection = found(tmp_path)
    (row,) = findings[title]
    assert "images/0-0.png" in row and f"images/{copied}.png" in row
    assert len(findings) == 1 and inspection.serious is serious


def test_tiny_and_misnamed_files_are_told(tmp_path):
    dataset = source(tmp_path)
    Image.new("RGB", (10, 64), "red").save(tmp_path / "images/0-0.png")
    Image.effect_noise((64, 64), 90).convert("RGB").save(tmp_path / "images/1-0.png", "JPEG")
    write_manifest(tmp_path, dataset.manifest, {**INFO, "image_size": None})
    findings, inspection = found(tmp_path)
    assert findings["tiny files"][0].startswith("images/0-0.png: 10 × 64 pixels")
    assert findings["files with the wrong ending"] == ["images/1-0.png is JPEG"]
    assert not inspection.serious


def test_command_prints_counts_and_ends_with_the_verdict(tmp_path, capsys):
    source(tmp_path / "set")
    command = ["inspect", str(tmp_path / "set"), "--out", str(tmp_path / "page.html")]
    command += ["--each", "2", "--images", "1", "--workers", "1"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "images of protocol p1:" in told and "train  dev  test  all" in told
    (tmp_path / "set/images/0-0.png").unlink()
    assert main(command) == 1
    assert "to be put right: missing files\n  images/0-0.png" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "none"), "--out", str(tmp_path / "x.html")]) == 2
    assert not (tmp_path / "x.html").exists()


def test_shards_are_inspected_like_folders(tmp_path):
    source(tmp_path / "set")
    write_shards(tmp_path / "set", tmp_path / "packed", workers=1)
    findings, inspection = found(tmp_path / "packed")
    assert findings == {} and (inspection.images["width"] == 64).all()


def test_separation_of_labels_that_lie_apart_or_mixed():
    labels = pd.DataFrame({"label": ["live"] * 30 + ["fake"] * 30})
    draw = np.random.default_rng(0)
    places = draw.normal(size=(60, 2))
    assert separation(labels, places + 50 * (labels["label"] == "fake").to_numpy()[:, None]) == 1
    assert separation(labels, places) < 0.75


class Tags(HTMLParser):
    """All tags, and a check that they close in order."""

    EMPTY = ("meta", "img", "source", "link", "br")

    def __init__(self, text):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of a dataset in which every name is an attack on the page, with every finding."""
    folder = tmp_path_factory.mktemp("nasty")
    name = f'{NASTY}"><img src=https://example.org/x onerror=alert(2)>'
    dataset = source(folder / "set", shots=4, name=name)
    info = {**dataset.info, "license": NASTY, "generator": NASTY}
    shutil.copy(folder / "set/images/0-0.png", folder / "set/images/1-0.png")
    manifest = dataset.manifest.assign(type=lambda t: t["type"].replace("print", NASTY))
    declared = {NASTY: {"family": "physical", "description": "", "source": ""}}
    write_manifest(folder / "set", manifest, {**info, "attack_types": declared})
    (folder / "set/images/2-1.png").unlink()
    write_inspection(folder / "set", folder / "page.html", workers=1)
    return folder / "page.html"


def test_names_cannot_become_markup(page):
    text = page.read_text("utf-8")
    tags = Tags(text).seen
    names = {tag for tag, _ in tags}
    assert not names & {"script", "iframe", "object", "link", "form"}
    for _, attributes in tags:
        assert not [key for key in attributes if key.startswith("on")]
        for key in ("src", "srcset", "href"):
            assert attributes.get(key, "data:").startswith(("data:image/", "#", "data:"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_page_can_be_listened_to(page):
    tags = Tags(page.read_text("utf-8")).seen
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert images and all(attributes["alt"].strip() for attributes in images)
    assert dict(tags)["html"]["lang"] == "en"
    heads = [attributes["scope"] for tag, attributes in tags if tag == "th"]
    assert set(heads) == {"row", "col"}
    levels = [int(tag[1]) for tag, _ in tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    keys = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(keys) == len(set(keys))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_shows_it_on_a_phone_without_requests(page, chromium, scheme):
    outside, errors = [], []
    opened = chromium.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    opened.on("request", lambda request: outside.append(request.url))
    opened.on("console", lambda message: errors.append(message.text))
    opened.on("dialog", lambda dialog: errors.append(dialog.message))
    opened.goto(page.as_uri(), timeout=120_000)
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    widths = opened.locator("img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert widths and all(widths)
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.close()
    assert [url for url in outside if not url.startswith(("file:", "data:"))] == []
    assert errors == []
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 28)"}[scheme]


def test_page_is_the_same_each_time(tmp_path):
    source(tmp_path / "set", shots=2)
    for name in ("a", "b"):
        write_inspection(tmp_path / "set", tmp_path / f"{name}.html", workers=1)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_equal_images_have_no_map(tmp_path):
    """t-SNE ends the whole process on images that are all equal."""
    from data_prep.inspection.pictures import texture_map

    dataset = source(tmp_path / "set")
    folder = dataset.folder
    for path in dataset.manifest["path"]:
        Image.new("RGB", (64, 64), (120, 90, 80)).save(folder / path)
    readable = dataset.manifest.assign(width=64, height=64)
    assert len(readable) >= 12
    images, places = texture_map(dataset, readable, 100, 0)
    assert len(images) == 0 and places.shape == (0, 2)
