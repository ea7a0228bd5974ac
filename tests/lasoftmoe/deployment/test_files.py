"""What is scored: images as they were trained on, folders, videos, and what cannot be read."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data_prep.errors import DatasetError
from lasoftmoe.deployment.files import found_files, score_files
from lasoftmoe.deployment.scorer import TorchScorer
from tests.data_prep.videos import numbered, write_video
from tests.lasoftmoe.tiny import TinyDetector


@pytest.fixture
def scorer():
    return TorchScorer("tiny-0", 16, 0.0, "dev EER of tiny-0", TinyDetector().eval())


def save(path, side=16, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_an_image_gets_the_score_of_its_pixels(tmp_path, scorer):
    pixels = save(tmp_path / "a.png")
    (row,) = score_files([tmp_path / "a.png"], scorer, crop="none")
    (wanted,) = scorer.score(pixels.transpose(2, 0, 1)[None].copy())
    assert row.score == pytest.approx(float(wanted)) and row.frames == 1 and not row.reason


def test_other_sizes_are_resized_as_for_training(tmp_path, scorer):
    save(tmp_path / "a.png", side=40)
    small = Image.open(tmp_path / "a.png").resize((16, 16), Image.Resampling.BICUBIC)
    (row,) = score_files([tmp_path / "a.png"], scorer, crop="none")
    (wanted,) = scorer.score(np.asarray(small).transpose(2, 0, 1)[None].copy())
    assert row.score == pytest.approx(float(wanted))


def test_a_folder_gives_its_images_in_order(tmp_path, scorer):
    for name in ("b/2.png", "a.png", "b/1.jpg"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    rows = list(score_files([tmp_path], scorer, crop="none"))
    assert [row.path.relative_to(tmp_path).as_posix() for row in rows] == [
        "a.png",
        "b/1.jpg",
        "b/2.png",
    ]


def test_a_folder_does_not_lead_elsewhere(tmp_path):
    save(tmp_path / "elsewhere/secret.png")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/link.png").symlink_to(tmp_path / "elsewhere/secret.png")
    with pytest.raises(DatasetError, match="points outside"):
        list(found_files([tmp_path / "folder"]))
    with pytest.raises(FileNotFoundError, match=r"missing\.png: no such file"):
        list(found_files([tmp_path / "missing.png"]))


def test_a_video_gets_the_mean_of_its_frames(tmp_path, scorer):
    path = write_video(tmp_path / "clip.mp4", numbered(12))
    (row,) = score_files([path], scorer, crop="none", frames=4)
    assert row.frames == 4 and np.isfinite(row.score)


def test_unreadable_files_are_told_and_stop_nothing(tmp_path, scorer):
    save(tmp_path / "good.png")
    (tmp_path / "broken.png").write_bytes(b"no image at all")
    (tmp_path / "text.txt").write_text("words")
    paths = [tmp_path / name for name in ("broken.png", "text.txt", "good.png")]
    broken, text, good = score_files(paths, scorer, crop="none")
    assert broken.score is None and "unknown format" in broken.reason
    assert text.score is None and "neither an image nor a video" in text.reason
    assert good.score is not None


def test_an_image_without_a_face_is_told(tmp_path, scorer):
    Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "wall.png")
    (row,) = score_files([tmp_path / "wall.png"], scorer)
    assert row.score is None and "no face found; --crop none" in row.reason


def test_the_largest_face_is_cut_out(tmp_path, scorer):
    from skimage.data import astronaut

    Image.fromarray(astronaut()).save(tmp_path / "person.png")
    (row,) = score_files([tmp_path / "person.png"], scorer)
    (whole,) = score_files([tmp_path / "person.png"], scorer, crop="none")
    assert row.score is not None and row.score != whole.score
