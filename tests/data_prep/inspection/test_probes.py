import numpy as np
import pytest

from data_prep.inspection import probes


def pictures(n=4, height=48, width=40, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(48, 40), (96, 96), (13, 12)])
def test_every_probe_gives_as_many_finite_numbers_as_it_says(shape):
    features = probes.picture_features(pictures(3, *shape))
    features[probes.FILE_SIZE] = probes.file_size(np.array([10, 100, 1000]))
    assert set(features) == set(probes.DIMENSIONS)
    for name, values in features.items():
        assert values.shape == (3, probes.DIMENSIONS[name]), name
        assert values.dtype == np.float32, name
        assert np.isfinite(values).all(), name


def test_flat_pictures_give_finite_numbers_too():
    flat = np.zeros((2, 24, 24, 3), np.uint8)
    for name, values in probes.picture_features(flat).items():
        assert np.isfinite(values).all(), name


def test_a_picture_has_the_same_features_alone_and_in_a_batch():
    many = pictures(5)
    together = probes.picture_features(many)
    alone = probes.picture_features(many[3:4])
    for name, values in together.items():
        np.testing.assert_allclose(alone[name][0], values[3], rtol=1e-4, atol=1e-5, err_msg=name)


def test_mean_color_is_the_mean_of_each_channel():
    picture = np.zeros((1, 20, 20, 3), np.uint8)
    picture[:, :10, :, 0] = 255
    picture[..., 2] = 51
    np.testing.assert_allclose(probes.mean_color(picture), [[0.5, 0, 0.2]], atol=1e-6)


def test_thumbnail_keeps_places():
    picture = np.zeros((1, 16, 16, 3), np.uint8)
    picture[0, 2:4, 4:6, 1] = 255
    cells = probes.thumbnail(picture).reshape(3, 8, 8)
    assert cells[1, 1, 2] == 1
    assert cells.sum() == 1


def test_border_sees_all_four_sides_and_nothing_else():
    before = pictures(1, 48, 48)
    inside = before.copy()
    inside[:, 4:-4, 4:-4] = 0
    np.testing.assert_array_equal(probes.border(inside), probes.border(before))
    for corner in (np.s_[:, 0], np.s_[:, -1], np.s_[:, :, 0], np.s_[:, :, -1]):
        after = before.copy()
        after[corner] = 255 - after[corner]
        assert not np.array_equal(probes.border(after), probes.border(before))


def test_file_size_is_a_logarithm():
    np.testing.assert_allclose(probes.file_size(np.array([1, 1000])), [[0], [np.log(1000)]], 1e-6)


@pytest.mark.parametrize("cycles", [4, 12, 20])
def test_a_wave_fills_the_ring_of_its_frequency(cycles):
    width = 96
    wave = 127 + 100 * np.sin(2 * np.pi * cycles / width * np.arange(width))
    picture = np.broadcast_to(wave[None, None, :, None], (1, width, width, 3)).astype(np.uint8)
    ring = int(cycles / width * 2 * probes.RINGS)
    assert abs(int(probes.spectrum(picture)[0].argmax()) - ring) <= 1


def test_noise_raises_high_pass_and_energy_where_it_is():
    calm = np.full((1, 48, 48, 3), 128, np.uint8)
    noisy = calm.copy()
    noise = np.random.default_rng(0).integers(-8, 9, (24, 24, 3))
    noisy[0, :24, :24] = (noisy[0, :24, :24] + noise).astype(np.uint8)
    for number in (0, 3, 6):  # the three logarithms of a mean absolute residual
        assert probes.high_pass(noisy)[0, number] > probes.high_pass(calm)[0, number] + 1
    change = (probes.energy(noisy) - probes.energy(calm))[0, :36].reshape(6, 6)
    assert change[:3, :3].min() > 1
    assert np.abs(change[4:, 4:]).max() == 0


def test_high_pass_tells_sign_noise_from_rare_spikes_of_equal_size():
    rng = np.random.default_rng(0)
    sign = 128 + 4 * rng.choice([-1, 1], (1, 48, 48, 3))
    spikes = 128 + 80 * rng.choice([-1, 0, 1], (1, 48, 48, 3), p=[0.025, 0.95, 0.025])
    of_sign, of_spikes = (probes.high_pass(x.astype(np.uint8))[0] for x in (sign, spikes))
    assert abs(of_sign[0] - of_spikes[0]) < 0.7
    assert of_spikes[1] > 1.3 * of_sign[1]
    assert of_spikes[2] > 1.3 * of_sign[2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((2, 24, 24, 3)), r"float64 of shape \(2, 24, 24, 3\); expected uint8"),
        (np.zeros((24, 24, 3), np.uint8), r"shape \(24, 24, 3\); expected uint8"),
        (np.zeros((2, 3, 24, 24), np.uint8), "expected uint8 of shape"),
        (np.zeros((2, 8, 24, 3), np.uint8), "24 x 8 pixels; probes need at least 12 x 12"),
    ],
)
def test_wrong_pictures_are_errors(wrong, message):
    with pytest.raises(ValueError, match=message):
        probes.picture_features(wrong)
