"""The embedded face detector: one real portrait, none, two, and bad input."""

import numpy as np
import pytest
from skimage.data import astronaut

from data_prep.media.faces import (
    CropRules,
    Detection,
    EmbeddedDetector,
    FaceBox,
    FaceError,
    FaceReport,
    _square,
    crop_face,
    cut_face,
    detect_faces,
)

# The face of the portrait, read off by eye: eyes near row 100, nose near column 225.
EYES_AND_MOUTH = {"eyes": (100, 215), "mouth": (145, 225)}


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return astronaut()


def test_portrait_has_one_face_around_eyes_and_mouth(portrait):
    (box,) = detect_faces(portrait)
    for row, column in EYES_AND_MOUTH.values():
        assert box.top < row < box.top + box.height
        assert box.left < column < box.left + box.width


def test_two_portraits_have_two_faces_largest_first(portrait):
    small = portrait[::2, ::2]
    canvas = np.zeros((512, 768, 3), np.uint8)
    canvas[:, :512], canvas[:256, 512:] = portrait, small
    faces = detect_faces(canvas, min_fraction=0.05)
    assert len(faces) >= 2
    areas = [box.height * box.width for box in faces]
    assert areas == sorted(areas, reverse=True)
    assert any(box.left >= 512 for box in faces)


def test_several_faces_largest_or_error(portrait):
    pair = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    assert len(detect_faces(pair)) == 2
    assert crop_face(pair).shape == (96, 96, 3)
    with pytest.raises(FaceError, match="2 faces found, expected one"):
        crop_face(pair, several="error")


def test_no_face_is_an_empty_list_and_a_clear_error():
    gray = np.full((200, 300, 3), 127, np.uint8)
    assert detect_faces(gray) == []
    with pytest.raises(FaceError, match="no face found in an image of 300 x 200"):
        crop_face(gray)


def test_image_smaller_than_the_window_has_no_face():
    assert detect_faces(np.zeros((10, 10, 3), np.uint8)) == []


def test_crop_has_the_size_asked_for_and_keeps_the_face(portrait):
    crop = crop_face(portrait, margin=0.5, size=64)
    assert crop.shape == (64, 64, 3) and crop.dtype == np.uint8
    (box,) = detect_faces(crop_face(portrait, margin=0.5, size=256))
    assert abs(box.top + box.height / 2 - 128) < 32
    assert abs(box.left + box.width / 2 - 128) < 32


def test_more_margin_shows_more(portrait):
    (tight,) = detect_faces(crop_face(portrait, margin=0.4, size=256))
    (wide,) = detect_faces(crop_face(portrait, margin=1.2, size=256))
    assert wide.height < tight.height


def test_square_repeats_the_border_outside_the_image():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    square = _square(image, FaceBox(0, 0, 2, 2), margin=0.5)
    assert square.shape == (4, 4, 3)
    np.testing.assert_array_equal(square[0, 0], image[0, 0])
    np.testing.assert_array_equal(square[1:, 1:], image[:3, :3])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((64, 64), np.uint8), "expected RGB"),
        (np.zeros((64, 64, 4), np.uint8), "expected RGB"),
        (np.zeros((64, 64, 3), np.float32), "expected a numpy array of uint8"),
        ("portrait.png", "expected a numpy array of uint8"),
    ],
)
def test_bad_image(image, message):
    with pytest.raises(ValueError, match=message):
        detect_faces(image)


def test_bad_arguments(portrait):
    with pytest.raises(ValueError, match="min_fraction is 0"):
        detect_faces(portrait, min_fraction=0)
    with pytest.raises(ValueError, match="margin is -1"):
        crop_face(portrait, margin=-1)
    with pytest.raises(ValueError, match="several is 'first'"):
        crop_face(portrait, several="first")


class Fixed:
    """A detector that finds the given faces in upright images of one shape only."""

    name = "fixed"

    def __init__(self, shape, *faces):
        self.shape, self.faces = shape, list(faces)

    def detect(self, image):
        return self.faces if image.shape[:2] == self.shape else []


def test_embedded_detector_finds_the_same_face_at_any_size(portrait):
    (small,) = EmbeddedDetector().detect(portrait)
    large = np.repeat(np.repeat(portrait, 2, axis=0), 2, axis=1)
    (found,) = EmbeddedDetector().detect(large)
    assert abs(found.box.top - 2 * small.box.top) < 40
    assert abs(found.box.height - 2 * small.box.height) < 60
    assert found.score == 1 and found.eyes is None


def test_report_counts_every_outcome(portrait):
    report, rules = FaceReport(), CropRules(size=64)
    detector = EmbeddedDetector()
    pair = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    assert cut_face(portrait, detector, rules, report).shape == (64, 64, 3)
    assert cut_face(pair, detector, rules, report).shape == (64, 64, 3)
    assert cut_face(pair, detector, CropRules(several="skip"), report) is None
    assert cut_face(np.full((200, 300, 3), 127, np.uint8), detector, rules, report) is None
    assert cut_face(portrait, detector, CropRules(smallest=300), report) is None
    expected = FaceReport(frames=5, cut=2, none=1, tiny=1, crowded=1, several=1)
    assert report == expected
    assert str(report).startswith("2 of 5 frames gave a face (1 had several")
    assert report + expected == FaceReport(10, 4, 2, 2, 2, 2, 0)


@pytest.mark.parametrize("quarters", [1, 3])
def test_phone_held_sideways_is_turned_upright_and_counted(portrait, quarters):
    report, detector = FaceReport(), EmbeddedDetector()
    straight = cut_face(portrait, detector, CropRules(size=64), FaceReport())
    turned = cut_face(np.rot90(portrait, quarters), detector, CropRules(size=64), report)
    np.testing.assert_array_equal(turned, straight)
    assert report == FaceReport(frames=1, cut=1, turned=1)
    rules = CropRules(turn=False)
    assert cut_face(np.rot90(portrait, quarters), detector, rules, report) is None


def test_alignment_levels_the_eyes_around_the_middle_of_the_box():
    image = np.zeros((200, 200, 3), np.uint8)
    image[88:93, 78:83] = (255, 0, 0)  # the eye further left, higher up
    image[108:113, 118:123] = (0, 255, 0)
    face = Detection(FaceBox(50, 50, 100, 100), 1.0, ((80, 90), (120, 110)))
    detector = Fixed((200, 200), face)
    rules = CropRules(margin=0, size=100, align=True)
    crop = cut_face(image, detector, rules, FaceReport())
    left = np.argwhere(crop[..., 0] > 128).mean(axis=0)
    right = np.argwhere(crop[..., 1] > 128).mean(axis=0)
    assert abs(left[0] - right[0]) < 1, "eyes level"
    assert right[1] - left[1] == pytest.approx(np.hypot(40, 20), abs=1.5)
    np.testing.assert_allclose((left + right) / 2, (50, 50), atol=1.5)
    plain = cut_face(image, detector, CropRules(margin=0, size=100), FaceReport())
    np.testing.assert_array_equal(plain, image[50:150, 50:150])


def test_bad_rules():
    with pytest.raises(ValueError, match="margin is -1"):
        CropRules(margin=-1)
    with pytest.raises(ValueError, match="several is 'first'"):
        CropRules(several="first")


@pytest.mark.parametrize("corner", [(0, 0), (0, 120), (120, 0), (120, 120)])
def test_both_ways_of_cutting_repeat_the_border(corner):
    """A face at a corner, its margin outside: with level eyes both cuts agree to a gray level."""
    rows, columns = np.mgrid[0:200, 0:200]
    image = np.stack([rows, columns, 60 + 0 * rows], axis=2).astype(np.uint8)
    top, left = corner
    eyes = ((left + 25.0, top + 30.0), (left + 55.0, top + 30.0))
    detector = Fixed((200, 200), Detection(FaceBox(top, left, 80, 80), 1.0, eyes))
    plain = cut_face(image, detector, CropRules(margin=0.5, size=160), FaceReport())
    level = cut_face(image, detector, CropRules(margin=0.5, size=160, align=True), FaceReport())
    assert np.abs(plain.astype(int) - level.astype(int)).max() <= 2
    assert (level[..., 2] == 60).all(), "no black wedge"


def test_a_tilted_face_at_the_border_has_no_black_wedge():
    image = np.full((200, 200, 3), 90, np.uint8)
    eyes = ((20.0, 20.0), (50.0, 45.0))
    detector = Fixed((200, 200), Detection(FaceBox(0, 0, 80, 80), 1.0, eyes))
    crop = cut_face(image, detector, CropRules(margin=1, size=96, align=True), FaceReport())
    assert (crop == 90).all()


def test_a_small_face_is_found_once_asked_for(portrait):
    scene = np.full((900, 1200, 3), 127, np.uint8)
    scene[300:556, 400:656] = portrait[::2, ::2]  # its face is a twelfth of the height
    usual = EmbeddedDetector()
    assert usual.detect(scene) == []
    assert "15% or more of the shorter side" in usual.reach and "--smallest-share" in usual.reach
    found = EmbeddedDetector(smallest=0.05).detect(scene)[0].box
    assert 300 < found.top < 400 and 450 < found.left < 550
    with pytest.raises(ValueError, match="smallest is 0"):
        EmbeddedDetector(smallest=0)


def test_a_huge_square_is_cut_from_a_smaller_copy(portrait):
    eyes = ((400.0, 500.0), (900.0, 500.0))
    face = Detection(FaceBox(100, 100, 1200, 1200), 1.0, eyes)
    image = np.repeat(np.repeat(portrait, 3, axis=0), 3, axis=1)
    detector = Fixed(image.shape[:2], face)
    for align in (False, True):
        rules = CropRules(margin=4, size=64, align=align)
        assert cut_face(image, detector, rules, FaceReport()).shape == (64, 64, 3)
    with pytest.raises(ValueError, match="expected a margin of 0 to 10"):
        CropRules(margin=1e6)
    with pytest.raises(ValueError, match="a size of 1 to 8,192"):
        CropRules(size=100_000)
    with pytest.raises(ValueError, match="margin is nan"):
        CropRules(margin=float("nan"))


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ValueError, match="expected at least one pixel"):
        EmbeddedDetector().detect(np.zeros((0, 5, 3), np.uint8))
