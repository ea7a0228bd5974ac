"""Frames of videos: the right ones, upright, and an error that names the file for any trap."""

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from data_prep.media.video import VideoError, probe, read_frames, sample_frames, spread
from tests.data_prep.videos import cut, numbered, tag_display, tag_rotation, write_video

KINDS = {
    "h264.mp4": "libx264",
    "h265.mov": "libx265",
    "divx.avi": "mpeg4",
    "h264.avi": "libx264",
    "vp9.webm": "libvpx-vp9",
    "vp8.mkv": "libvpx",
    "mpeg2.mpg": "mpeg2video",
    "wmv2.wmv": "wmv2",
}


def sampled(*arguments, **options) -> list:
    return list(sample_frames(*arguments, **options))


def bar(picture: np.ndarray) -> int:
    """Left edge of the bright bar."""
    return int((picture.mean(axis=(0, 2)) > 150).argmax())


@pytest.mark.parametrize("name", KINDS)
def test_seeking_gives_the_frames_that_decoding_everything_gives(tmp_path, name):
    path = write_video(tmp_path / name, numbered(45), KINDS[name])
    jumped = sampled(path, 6)
    decoded = sampled(path, 6, seek=False)
    assert [index for index, _ in jumped] == [index for index, _ in decoded] == spread(45, 6)
    for (index, one), (_, other) in zip(jumped, decoded, strict=True):
        np.testing.assert_array_equal(one, other)
        assert abs(bar(one) - index * 88 // 44) <= 1, f"frame {index} shows another one"


def test_every_single_frame_is_found_by_seeking(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(30), gop=7)
    everything = dict(sampled(path, 30, seek=False))
    for index in range(30):
        ((_, frame),) = read_frames(path, [index])
        np.testing.assert_array_equal(frame, everything[index])


def test_seeking_decodes_less(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", numbered(60), gop=5)
    decoded = []
    import data_prep.media.video as video

    plain = video._frames

    def counting(*arguments):
        for frame in plain(*arguments):
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(video, "_frames", counting)
    sampled(path, 3)
    assert len(decoded) <= 3 * 5
    decoded.clear()
    sampled(path, 3, seek=False)
    assert len(decoded) > 40


def test_spread_takes_the_middles_and_never_more_than_there_are():
    assert spread(100, 4) == [12, 37, 62, 87]
    assert spread(5, 1) == [2]
    assert spread(3, 8) == [0, 1, 2]


def test_fewer_frames_than_asked_for_gives_all(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(3))
    assert [index for index, _ in sampled(path, 8)] == [0, 1, 2]


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_rotation_tag_is_honored_and_an_argument_replaces_it(tmp_path, clockwise):
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:24, :24] = 255  # the upper left corner
    plain = write_video(tmp_path / "plain.mp4", [picture] * 4)
    tagged = write_video(tmp_path / "tagged.mp4", [picture] * 4)
    tag_rotation(tagged, clockwise)
    ((_, as_stored),) = sampled(tagged, 1, rotation=0)
    ((_, upright),) = sampled(tagged, 1)
    ((_, turned),) = sampled(plain, 1, rotation=clockwise)
    np.testing.assert_array_equal(as_stored, sampled(plain, 1)[0][1])
    np.testing.assert_array_equal(upright, turned)
    np.testing.assert_array_equal(upright, np.rot90(as_stored, -clockwise // 90))
    corner = {90: np.s_[:24, -24:], 180: np.s_[-24:, -24:], 270: np.s_[-24:, :24]}[clockwise]
    assert upright[corner].mean() > 240


def test_memory_does_not_grow_with_the_length(tmp_path):
    frames = numbered(4, 640, 480)
    path = write_video(tmp_path / "a.avi", (frames[i % 4] for i in range(200)), "mpeg4", gop=200)
    program = (
        "import resource, sys\n"
        "from data_prep.media.video import sample_frames\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "list(sample_frames(sys.argv[1], 2))\n"
        "print(peak() - before)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, check=True
    )
    megabytes = int(told.stdout) / 1024
    assert megabytes < 60, "200 frames of 640 x 480 are 184 MB"


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.avi", "mpeg4", {}),
        ("a.mkv", "libx264", {}),
    ],
)
def test_cut_off_video_is_an_error_unless_allowed(tmp_path, name, codec, options):
    path = write_video(tmp_path / name, numbered(50, 160, 120), codec, **options)
    assert not probe(path).truncated
    cut(path, 0.7)
    with pytest.raises(VideoError, match=f"{name}: cut off: .*copy the file again"):
        sampled(path, 3)
    frames = sampled(path, 3, allow_truncated=True)
    assert 1 <= len(frames) <= 3 and max(index for index, _ in frames) < 45


def test_cut_off_before_the_index_says_so(tmp_path):
    path = cut(write_video(tmp_path / "a.mp4", numbered(20)))
    with pytest.raises(VideoError, match=r"a\.mp4: not a video that can be read.*cut off"):
        sampled(path, 3)


def test_empty_missing_and_short_videos_are_named(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    with pytest.raises(VideoError, match=r"empty\.mp4: the file is empty \(0 bytes\)"):
        sampled(empty, 3)
    with pytest.raises(VideoError, match=r"none\.mp4: no such file"):
        sampled(tmp_path / "none.mp4", 3)
    single = write_video(tmp_path / "single.mp4", numbered(1))
    with pytest.raises(VideoError, match=r"single\.mp4: 1 frame\(s\), expected 2 or more"):
        sampled(single, 3)
    assert [index for index, _ in sampled(single, 3, at_least=1)] == [0]


def test_a_video_under_the_name_of_another_kind_is_read_by_its_content(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(6), "mpeg4", container="avi")
    assert len(sampled(path, 3)) == 3


@pytest.mark.parametrize("kind", ["picture", "text", "play list", "file list"])
def test_something_else_under_a_videos_name_is_an_error(tmp_path, kind):
    write_video(tmp_path / "other.ts", numbered(6))
    path = tmp_path / "a.mp4"
    if kind == "picture":
        Image.fromarray(numbered(1)[0]).save(path, format="jpeg")
    elif kind == "text":
        path.write_text("no video at all\n" * 50)
    elif kind == "play list":  # would make the reader open files of its choice
        path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n")
    else:
        path.write_text("ffconcat version 1.0\nfile other.ts\n")
    with pytest.raises(VideoError, match=r"a\.mp4: not a video that can be read"):
        sampled(path, 3)


def test_sound_without_a_picture_is_an_error(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    with pytest.raises(VideoError, match=r"sound\.mp4: no video stream in it \(streams: audio\)"):
        sampled(path, 3)


def test_names_with_spaces_colons_and_other_alphabets(tmp_path):
    for name in ("живой клип 01.mp4", "a:b 100% #1.mp4", "顔.mp4"):
        assert len(sampled(write_video(tmp_path / name, numbered(4)), 2)) == 2


def test_bad_arguments(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(4))
    with pytest.raises(ValueError, match="count is 0"):
        sampled(path, 0)
    with pytest.raises(ValueError, match="rotation is 45"):
        sampled(path, 1, rotation=45)
    with pytest.raises(ValueError, match="expected rising numbers"):
        list(read_frames(path, [3, 1]))
    with pytest.raises(VideoError, match="no frame 9; it has 4"):
        list(read_frames(path, [9]))


# Of a display matrix: what a player does to the stored picture.
SHOWN = {
    (-1, 0, 0, 1): lambda picture: picture[:, ::-1],
    (1, 0, 0, -1): lambda picture: picture[::-1],
    (0, 1, 1, 0): lambda picture: picture.transpose(1, 0, 2),
    (0, -1, -1, 0): lambda picture: picture[::-1, ::-1].transpose(1, 0, 2),
    (-1, 0, 0, -1): lambda picture: picture[::-1, ::-1],
    (0, 1, -1, 0): lambda picture: np.rot90(picture, -1),
    (0, -1, 1, 0): lambda picture: np.rot90(picture),
}


@pytest.mark.parametrize("matrix", SHOWN)
def test_frames_are_mirrored_and_turned_as_a_player_shows_them(tmp_path, matrix):
    plain = write_video(tmp_path / "plain.mp4", numbered(4))
    tagged = tmp_path / "tagged.mp4"
    tagged.write_bytes(plain.read_bytes())
    tag_display(tagged, matrix)
    for (_, stored), (_, upright) in zip(sampled(plain, 2), sampled(tagged, 2), strict=True):
        np.testing.assert_array_equal(upright, SHOWN[matrix](stored))
    for (_, stored), (_, as_told) in zip(
        sampled(plain, 2), sampled(tagged, 2, rotation=0), strict=True
    ):
        np.testing.assert_array_equal(as_told, stored)


@pytest.mark.parametrize("matrix", [(1, 0.5, 0, 1), (0.7, 0.7, -0.7, 0.7), (0, 0, 0, 0)])
def test_a_slanted_picture_is_refused(tmp_path, matrix):
    path = write_video(tmp_path / "a.mp4", numbered(4))
    tag_display(path, matrix)
    with pytest.raises(VideoError, match=r"a\.mp4: a player would slant it"):
        sampled(path, 2)


@pytest.mark.parametrize(("ratio", "shape"), [("16/15", (64, 102)), ("1/2", (128, 96))])
def test_pixels_that_are_not_square_are_stretched(tmp_path, ratio, shape):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(ratio)
        for picture in numbered(4):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode())
    assert {frame.shape[:2] for _, frame in sampled(path, 2)} == {shape}


def test_frames_are_freed_while_a_clip_is_read(tmp_path):
    gray = np.full((720, 1280, 3), 90, np.uint8)
    path = write_video(tmp_path / "a.mp4", [gray] * 120)
    code = (
        "import sys, resource\n"
        "from data_prep.media.video import sample_frames\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "frames = sample_frames(sys.argv[1], 120)\n"
        "for _ in range(10): next(frames)\n"
        "before = peak()\n"
        "assert sum(1 for _ in frames) == 110\n"
        "print(peak() - before)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 60, "MiB for 110 frames, which together take 290"


def test_limits_of_size_and_length_are_told(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", numbered(20))
    monkeypatch.setenv("DATA_PREP_LIMITS", "frame_pixels=6000")
    with pytest.raises(VideoError, match=r"a\.mp4: each frame has 6,144 pixels; .*frame_pixels"):
        sampled(path, 2)
    monkeypatch.setenv("DATA_PREP_LIMITS", "video_frames=19")
    with pytest.raises(VideoError, match=r"a\.mp4 has 20 frames; the limit video_frames is 19"):
        sampled(path, 2)


def test_a_coding_without_a_decoder_and_a_failing_jump_are_our_errors(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", numbered(30))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"avc1", b"zzzz"))
    with pytest.raises(VideoError, match=r"a\.mp4: "):
        sampled(path, 2)
    path.write_bytes(data)
    import data_prep.media.video as video

    def failing(*_):
        raise PermissionError(1, "Operation not permitted")
        yield

    monkeypatch.setattr(video, "_frames", failing)
    with pytest.raises(VideoError, match=r"a\.mp4: .*Operation not permitted"):
        sampled(path, 2)


def test_a_huge_frame_is_refused_before_anything_decodes(tmp_path):
    path = tmp_path / "huge.mov"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=5)
        stream.width, stream.height, stream.pix_fmt = 8000, 8000, "gray"
        black = np.zeros((8000, 8000), np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(black, "gray")))
        output.mux(stream.encode())
    with pytest.raises(VideoError, match=r"huge\.mov: .*the limit frame_pixels"):
        sampled(path, 1, at_least=1)


def test_sample_tables_that_claim_a_hundred_million_frames_are_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", numbered(5))
    data, claimed = bytearray(path.read_bytes()), (100_000_000).to_bytes(4, "big")
    sizes, times, chunks = (data.index(name) + 4 for name in (b"stsz", b"stts", b"stsc"))
    data[sizes + 4 : sizes + 12] = (1).to_bytes(4, "big") + claimed
    data[times + 8 : times + 12] = claimed
    data[chunks + 12 : chunks + 16] = claimed
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"a\.mp4 has 100,000,000 frames; the limit video_frames"):
        sampled(path, 2)
