"""Drawing on another device, without having one: fake tensors have a device and no numbers."""

from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from data_prep.synthetic.camera import _expose, capture
from data_prep.synthetic.noise import noise_bank
from data_prep.synthetic.people.identity import sample_identities
from data_prep.synthetic.people.session import BACKGROUNDS, sample_sessions
from data_prep.synthetic.people.worn_mask import fit_to_wearer, sample_masks
from data_prep.synthetic.row_numbers import Numbers
from data_prep.synthetic.scene.renderer import _draw, render

N = len(BACKGROUNDS)


@pytest.fixture(scope="module")
def everybody():
    """People with everything one can have, one before each background, and a mask for each."""
    ones = torch.ones(N)
    people = sample_identities(N, seed=1).replace(
        glasses=ones, freckles=ones, long_hair=ones, fringe=ones, bald=0 * ones, age=ones
    )
    sessions = sample_sessions(N, seed=2).replace(background=torch.arange(N))
    masks = sample_masks(N, torch.Generator().manual_seed(0))
    return people, sessions, (fit_to_wearer(people, people), masks)


@pytest.fixture
def elsewhere():
    """Where tensors on "cuda" exist without a GPU; mixing devices is an error as it is on one."""
    noise_bank()
    yield FakeTensorMode(allow_non_fake_inputs=True)
    noise_bank.cache_clear()


def as_arrays(row: SimpleNamespace) -> dict:
    """Fake tensors cannot be read as numbers; arrays can."""
    return {k: v.numpy() if isinstance(v, torch.Tensor) else v for k, v in vars(row).items()}


def row_elsewhere(row: dict) -> SimpleNamespace:
    """What ``Fields.row(index, "cuda")`` gives: colors there, the rest as numbers here."""
    colors = {
        name: torch.empty(value.shape, device="cuda")
        for name, value in row.items()
        if getattr(value, "shape", ()) in ((3, 1, 1), (3, 3))
    }
    return SimpleNamespace(**row | colors)


def batch_elsewhere(batch: SimpleNamespace) -> SimpleNamespace:
    """What ``Fields.batch("cuda")`` gives: everything there. Reading one of its numbers fails."""
    values = {}
    for name, value in vars(batch).items():
        numbers = isinstance(value, Numbers)
        column = value.values if numbers else value
        column = torch.empty(column.shape, dtype=column.dtype, device="cuda")
        values[name] = Numbers(column) if numbers else column
    return SimpleNamespace(**values)


def develop(radiance: torch.Tensor, session: SimpleNamespace) -> torch.Tensor:
    grain = torch.empty(len(radiance), 3, 32, 32)
    return _expose(radiance, session, [0.6] * len(radiance), grain)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("background", range(N))
def test_every_tensor_of_a_picture_is_made_on_the_device(everybody, elsewhere, background, masked):
    people, sessions, (faces, masks) = everybody
    rows = [as_arrays(table.row(background)) for table in (people, sessions, faces, masks)]
    with elsewhere:
        person, session, face, mask = (row_elsewhere(row) for row in rows)
        with torch.device("cuda"):
            maps = _draw(48, person, session, *((face, mask) if masked else ()))
        picture = develop(maps[0][None], session)
    assert picture.shape == (1, 3, 32, 32)
    assert {tensor.device.type for tensor in (*maps, picture)} == {"cuda"}


@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_is_drawn_on_the_device_without_reading_a_number_from_it(
    everybody, elsewhere, masked
):
    """Reading one (``.item()``, ``if tensor``) would wait for the GPU; of fake tensors it fails."""
    people, sessions, (faces, masks) = everybody
    tables = (people, sessions, faces, masks) if masked else (people, sessions)
    with elsewhere:
        batches = [batch_elsewhere(table.batch()) for table in tables]
        with torch.device("cuda"):
            maps = _draw(48, *batches)
        pictures = develop(maps[0], batches[1])
    assert pictures.shape == (N, 3, 32, 32)
    assert [tensor.shape for tensor in maps] == [(N, c, 48, 48) for c in (3, 2, 1, 1)]
    assert {tensor.device.type for tensor in (*maps, pictures)} == {"cuda"}
    assert {tensor.dtype for tensor in (*maps, pictures)} == {torch.float32}


def test_reading_a_number_is_an_error_here(elsewhere):
    """Or the test above could not fail."""
    with elsewhere, pytest.raises(DataDependentOutputException):
        torch.zeros(3, device="cuda").max().item()


def test_mixing_devices_is_an_error_here(elsewhere):
    """Or the test above could not fail."""
    with elsewhere, pytest.raises(RuntimeError, match="device"):
        torch.zeros(3, device="cuda") + torch.zeros(3)


def test_colors_of_a_row_go_to_the_device(everybody):
    row = everybody[1].row(0, "meta")
    assert row.light.device.type == row.background_colors.device.type == "meta"
    assert row.shift.device.type == "cpu"
    assert isinstance(row.yaw, float)


def test_fields_of_a_batch_go_to_the_device(everybody):
    columns = vars(everybody[1].batch("meta")).values()
    tensors = [value.values if isinstance(value, Numbers) else value for value in columns]
    assert {tensor.device.type for tensor in tensors} == {"meta"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_pictures_are_the_same_on_a_gpu(everybody):
    people, sessions, worn = everybody
    pictures = [
        capture(render(people, sessions, worn=worn, device=device).radiance, sessions).cpu()
        for device in ("cpu", "cuda")
    ]
    assert (pictures[0] - pictures[1]).abs().mean() < 0.5 / 255
