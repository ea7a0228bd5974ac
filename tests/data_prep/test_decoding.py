"""One decoder for all: ordinary images exactly as Pillow has them, deep and see-through ones."""

import io

import numpy as np
import pytest
from PIL import Image

from data_prep.decoding import BACKGROUND, DamagedImage, ImageError, decode_image
from data_prep.manifest import read_dataset, read_image, write_dataset
from data_prep.media.images import inspect_image
from lasoftmoe.data import open_dataset
from lasoftmoe.paths import EMBEDDED_DATA
from tests.data_prep.fuzzing import encoded
from tests.data_prep.small import INFO, manifest, protocol, write_images

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
DEEP = np.linspace(0, 65535, 768).astype(np.uint16).reshape(24, 32)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_ordinary_images_decode_exactly_as_pillow_does(kind, mode):
    data = encoded(Image.fromarray(PIXELS).convert(mode), kind)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode_image(data)), expected)


@pytest.mark.skipif(not (EMBEDDED_DATA / "dataset.json").is_file(), reason="needs `make data`")
def test_the_embedded_dataset_decodes_to_the_stored_pixels():
    dataset = read_dataset(EMBEDDED_DATA)
    for row in dataset.manifest.iloc[::150].itertuples():
        with Image.open(EMBEDDED_DATA / row.path) as image:
            assert image.mode == "RGB"
            expected = np.asarray(image)
        np.testing.assert_array_equal(read_image(dataset.locate(row.path), row.id), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_the_whole_range(kind):
    decoded = np.asarray(decode_image(encoded(Image.fromarray(DEEP), kind)))
    assert decoded.min() == 0 and decoded.max() == 255
    assert np.abs(decoded[..., 0] - DEEP / 257).max() <= 0.5
    assert (decoded[..., 0] == 255).mean() < 0.01  # clipping made nearly all of it white


def test_a_gray_ppm_of_twelve_bits_is_scaled_by_its_own_white():
    values = (np.arange(256) * 16).astype(">u2").tobytes()
    decoded = np.asarray(decode_image(b"P5 16 16 4095\n" + values))
    assert decoded.max() == 254 and decoded[8, 0, 0] == round(128 * 16 / 4095 * 255)


UNKNOWN = {
    "floating point": (DEEP.astype(np.float32) / 65535, "TIFF", "floating-point"),
    "32 bits": (DEEP.astype(np.int32), "TIFF", "value for white is unknown"),
    "ten bits in sixteen": (DEEP // 64, "PNG", r"largest value is 1,023 of 65,535"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_range_is_refused_with_the_reason_by_every_reader(case, tmp_path):
    values, kind, told = UNKNOWN[case]
    path = tmp_path / f"x.{kind.lower()}"
    path.write_bytes(encoded(Image.fromarray(values), kind))
    with pytest.raises(ImageError, match=told):
        decode_image(path.read_bytes())
    assert inspect_image(path).error.startswith("cannot be used: ")
    with pytest.raises(ValueError, match=told):
        read_image(path, "x")


def test_hidden_pixels_do_not_show():
    see_through = np.dstack([PIXELS, np.zeros((24, 32), np.uint8)])
    see_through[:, 16:, 3] = 255
    decoded = np.asarray(decode_image(encoded(Image.fromarray(see_through), "PNG")))
    assert (decoded[:, :16] == BACKGROUND).all()
    np.testing.assert_array_equal(decoded[:, 16:], PIXELS[:, 16:])


def test_a_color_that_means_transparent_does_not_show():
    keyed = Image.new("RGB", (8, 8), (250, 0, 0))
    decoded = np.asarray(decode_image(encoded(keyed, "PNG", transparency=(250, 0, 0))))
    assert (decoded == BACKGROUND).all()
    half = Image.new("LA", (8, 8), (200, 128))
    assert abs(int(np.asarray(decode_image(encoded(half, "PNG")))[0, 0, 0]) - 164) <= 1


def test_an_opaque_alpha_channel_changes_nothing():
    opaque = np.dstack([PIXELS, np.full((24, 32), 255, np.uint8)])
    decoded = np.asarray(decode_image(encoded(Image.fromarray(opaque), "PNG")))
    np.testing.assert_array_equal(decoded, PIXELS)


def test_damage_and_size_are_different_errors(monkeypatch):
    data = encoded(Image.fromarray(PIXELS), "PNG")
    with pytest.raises(DamagedImage):
        decode_image(data[: len(data) // 2])
    monkeypatch.setenv("DATA_PREP_LIMITS", "image_pixels=700")
    with pytest.raises(ImageError, match=r"32 x 24, has 768 pixels; the limit image_pixels is 700"):
        decode_image(data)
    monkeypatch.setenv("DATA_PREP_LIMITS", "image_pixels=768")
    assert decode_image(data).size == (32, 24)


def test_training_reads_through_the_same_decoder(tmp_path, monkeypatch):
    monkeypatch.setenv("LASOFTMOE_RUNS", str(tmp_path / "runs"))
    table = manifest().assign(subject=list("abcd"))
    write_images(tmp_path)
    Image.new("RGBA", (8, 8), (250, 0, 0, 0)).save(tmp_path / "images/anna-live.png")
    splits = protocol().assign(split=["train", "train", "dev", "test"])
    write_dataset(tmp_path, table, {"p1": splits}, INFO)
    train = open_dataset(tmp_path)["train"]
    assert (train[0]["image"].permute(1, 2, 0).numpy() == BACKGROUND).all()
