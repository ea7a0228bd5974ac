"""What files are by their endings, and by their first bytes where an ending says nothing."""

import pytest
from PIL import Image

from data_prep.media.images import inspect_image
from data_prep.media.kinds import IMAGE, VIDEO, kind_of
from tests.data_prep.videos import numbered, write_video

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.mpo", "a.jpg_large", "a"])
def test_jpeg_of_any_ending_is_an_image(name, tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / name, "JPEG")
    assert kind_of(tmp_path / name) == (IMAGE, "")
    assert inspect_image(tmp_path / name).error == ""


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.3gp", "libx264", "3gp"),
        ("a.MTS", "libx264", "mpegts"),
        ("a.m2ts", "libx264", "mpegts"),
        ("a.vob", "mpeg2video", "vob"),
        ("a.clip", "libx264", "mp4"),
        ("b.clip", "libx264", "matroska"),
        ("c.clip", "mpeg4", "avi"),
        ("d.clip", "libx264", "mpegts"),
    ],
)
def test_videos_of_phones_and_cameras_are_videos(name, codec, container, tmp_path):
    from data_prep.media.video import sample_frames

    path = write_video(tmp_path / name, numbered(6), codec, container=container)
    assert kind_of(path) == (VIDEO, "")
    assert len(list(sample_frames(path, 3))) == 3


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.HEIC", "must be converted: HEIC"),
        ("a.gif", "must be converted: GIF"),
        ("a.dng", "must be converted: a camera's raw data"),
        ("a.avif", "must be converted: AVIF"),
        ("a.mxf", "must be converted: a kind of video not read"),
        ("a.txt", "neither an image nor a video"),
    ],
)
def test_what_must_be_converted_is_named(name, told, tmp_path):
    (tmp_path / name).write_bytes(b"words")
    assert kind_of(tmp_path / name)[0] == ""
    assert kind_of(tmp_path / name)[1].startswith(told)


def test_heic_without_an_ending_or_under_a_wrong_one_is_named(tmp_path):
    (tmp_path / "a").write_bytes(HEIC)
    assert kind_of(tmp_path / "a")[1].startswith("must be converted: HEIC")
    (tmp_path / "a.jpg").write_bytes(HEIC)
    assert "by its contents it is HEIC" in inspect_image(tmp_path / "a.jpg").error
