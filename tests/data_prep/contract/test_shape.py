"""One validator for structured files: file, place, expected type."""

from typing import Any, Literal, TypedDict

import pytest

from data_prep.contract.shape import check_shape, shape_of
from data_prep.errors import DatasetError


class Row(TypedDict):
    name: str
    size: int | None


GOOD = [
    ({"name": "a", "size": None, "more": 1}, Row),
    ([{"a": 1}, {}], list[dict[str, int]]),
    (3, float),
    ("x", Literal["x", "y"]),
    (object(), Any),
    ({"a": [1, "b"]}, dict[str, list[int | str]]),
    ("all", dict[str, float] | Literal["all"]),
]
BAD = [
    ([], Row, "f: expected a table of keys and values, found []"),
    ({"name": "a"}, Row, "f lacks size"),
    ({"name": 3, "size": 1}, Row, "f, name: expected text, found 3"),
    ({"name": "a", "size": True}, Row, "f, size: expected a whole number or null, found True"),
    ([{"a": "b"}], list[dict[str, int]], "f, entry 1, 'a': expected a whole number, found 'b'"),
    (float("nan"), float, "f: expected a number, found nan"),
    ("z", Literal["x", "y"], "f: expected one of 'x', 'y', found 'z'"),
    ({"a": "b"}, dict[str, float] | Literal["all"], "f, 'a': expected a number, found 'b'"),
    ({1: 2}, dict[str, int], "f, key 1: expected text, found 1"),
    ("x" * 10**6, int, "f: expected a whole number, found 'xxx"),
]


@pytest.mark.parametrize(("value", "expected"), GOOD)
def test_what_fits_is_accepted(value, expected):
    check_shape(value, expected, "f")


@pytest.mark.parametrize(("value", "expected", "told"), BAD)
def test_the_first_difference_is_told(value, expected, told):
    with pytest.raises(DatasetError) as failed:
        check_shape(value, expected, "f")
    assert str(failed.value).startswith(told) and len(str(failed.value)) < 200


def test_the_shape_of_an_example_takes_values_like_it():
    check_shape({1: "live", "x": "print"}, shape_of({1: "live"}), "f")
    check_shape(["a", "b"], shape_of(["a"]), "f")
    check_shape([3, "x"], shape_of([]), "f")
    for wrong in ({"a": ["live"]}, {"a": 1}, "live"):
        with pytest.raises(DatasetError, match="expected"):
            check_shape(wrong, shape_of({1: "live"}), "f")
