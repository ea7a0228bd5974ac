import operator

import pytest
import torch

from data_prep.synthetic.noise import rgb
from data_prep.synthetic.row_numbers import (
    Numbers,
    choose,
    flag,
    larger,
    look_up,
    nobody,
    smaller,
)

ROWS = (0.1, -0.7, 0.30000001)


def numbers(*values: float) -> Numbers:
    return Numbers(torch.tensor(values or ROWS, dtype=torch.float64))


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "mod", "pow"])
def test_among_themselves_they_reckon_as_python_does(name: str) -> None:
    do = getattr(operator, name)
    assert do(numbers(), 3.0).values.tolist() == [do(value, 3.0) for value in ROWS]
    both = do(numbers(0.5, 1.5, 2.5), numbers(3.0, 2.0, 7.0)).values.tolist()
    assert both == [do(0.5, 3.0), do(1.5, 2.0), do(2.5, 7.0)]
    swapped = do(2.0, numbers()).values.tolist()
    assert swapped == pytest.approx([do(2.0, value) for value in ROWS], rel=1e-15)


@pytest.mark.parametrize("shape", [(3, 4, 8), (3, 2, 4, 8)])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow"])
def test_on_maps_each_row_gets_its_number_with_the_bits_of_a_python_number(name, shape) -> None:
    do = getattr(operator, name)
    maps = torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 0.5
    met = do(maps, numbers())
    assert met.dtype == torch.float32
    for row in range(3):
        assert torch.equal(met[row], do(maps[row], ROWS[row])), row


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv"])
def test_maps_may_stand_second(name: str) -> None:
    do = getattr(operator, name)
    maps = torch.rand(3, 4, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    met = do(numbers(), maps)
    for row in range(3):
        assert torch.allclose(met[row], do(ROWS[row], maps[row]), rtol=1e-6), row


def test_functions_of_pytorch_take_them_too() -> None:
    maps = torch.rand(3, 4, 5)
    mixed = torch.lerp(maps, torch.zeros_like(maps), numbers(0.0, 1.0, 0.5))
    assert torch.equal(mixed[0], maps[0])
    assert not mixed[1].any()


def test_wrong_numbers_of_rows_are_refused() -> None:
    for shape in ((2, 4, 4), (3, 4)):
        with pytest.raises(ValueError, match=r"numbers of 3 rows meet .*expected \(3, h, w\)"):
            numbers() + torch.zeros(shape)


def test_several_numbers_a_row_come_apart_as_those_of_one_row_do() -> None:
    table = torch.arange(12.0, dtype=torch.float64).view(2, 3, 2)
    apart = Numbers(table).tolist()
    for row in range(2):
        assert [[n.values[row].item() for n in pair] for pair in apart] == table[row].tolist()
    with pytest.raises(ValueError, match="one number here"):
        numbers().tolist()


def test_larger_and_smaller_of_numbers_and_rows() -> None:
    assert larger(1.0, 2.0) == 2.0
    assert smaller(1, 2.0) == 1
    assert larger(numbers(), 0.0).values.tolist() == [0.1, 0.0, ROWS[2]]
    assert smaller(0.2, numbers()).values.tolist() == [0.1, -0.7, 0.2]
    assert larger(numbers(1, 5), numbers(2, 4)).values.tolist() == [2, 5]


def test_flags() -> None:
    assert flag(0.3 > 0.1) == 1.0
    assert flag(numbers() > 0.1).values.tolist() == [0.0, 0.0, 1.0]


def test_only_one_row_can_know_that_nobody_needs_a_layer() -> None:
    assert nobody(0.0) and not nobody(0.3)
    assert not nobody(numbers(0.0, 0.0))


def test_rows_choose_what_is_made_for_their_kind() -> None:
    makers = [lambda v=v: torch.full((3, 2, 2), v) for v in (5.0, 6.0, 7.0)]
    assert choose(numbers(2, 0, 1), makers)[:, 0, 0].tolist() == [7, 5, 6]
    unwanted = [lambda: pytest.fail("made for nobody"), lambda: torch.zeros(2, 2)]
    assert choose(1.0, unwanted).shape == (2, 2)


def test_looking_up() -> None:
    assert look_up(1, (0.1, 0.2)) == 0.2
    assert look_up(numbers(1, 0), (0.1, 0.2)).values.tolist() == [0.2, 0.1]


def test_a_color_of_numbers_is_a_color_of_every_row() -> None:
    color = rgb(numbers(), 0.25, numbers(0.0, 0.5, 1.0))
    assert color.shape == (3, 3, 1, 1)
    for row, red, blue in zip(color, ROWS, (0.0, 0.5, 1.0), strict=True):
        assert torch.equal(row, rgb(red, 0.25, blue))
