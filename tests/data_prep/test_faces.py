"""The embedded face detector: one real portrait, none, two, and bad input."""

import numpy as np
import pytest
from skimage.data import astronaut

from data_prep.faces import FaceBox, FaceError, _square, crop_face, detect_faces

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
