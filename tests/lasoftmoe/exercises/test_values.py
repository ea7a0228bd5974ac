"""Values keep everything on their way through JSON, and are compared by what they hold."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from lasoftmoe.exercises.values import Strange, decode, encode, kind, plain, same


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1,
        "live",
        [1, "a", [True]],
        (0.5, (2,)),
        Strange("Report"),
        torch.tensor([[0.1, -1e-30]], dtype=torch.float32),
        torch.tensor([float("nan"), float("inf")], dtype=torch.float64),
        torch.tensor([True, False]),
        torch.arange(4),
        torch.zeros(2, 0, 3),
        torch.tensor(2.5),
        np.array(["live", "print"]),
        np.array([[0.1, 3.0]]),
        np.array([True, False]),
    ],
    ids=str,
)
def test_json_keeps_a_value(value):
    back = decode(json.loads(json.dumps(encode(value))))
    assert type(back) is type(value)
    if isinstance(value, torch.Tensor):
        assert back.dtype == value.dtype
        assert torch.equal(torch.nan_to_num(back), torch.nan_to_num(value))
        assert back.shape == value.shape
    elif isinstance(value, np.ndarray):
        assert back.dtype.kind == value.dtype.kind
        assert (back == value).all()
    else:
        assert back == value


def test_json_keeps_a_table():
    table = pd.DataFrame({"subject": ["a", "b"], "is_attack": [True, False], "score": [0.1, 2.0]})
    pd.testing.assert_frame_equal(decode(json.loads(json.dumps(encode(table)))), table)


def test_unknown_types_are_refused_or_only_named():
    with pytest.raises(TypeError, match="no <class 'object'>"):
        encode(object())
    assert plain(object()) == Strange("object")
    assert kind(plain({"a": 1})) == "dict"


@pytest.mark.parametrize("bad", [{"tensor": "object", "shape": [1], "data": ""}, {"code": "x"}])
def test_what_describes_no_value_is_refused(bad):
    with pytest.raises(ValueError, match="not the description of a value"):
        decode(bad)


@pytest.mark.parametrize(
    "answer", [3, 3.0, np.int64(3), np.float32(3), torch.tensor(3), torch.tensor([3.0])]
)
def test_a_number_is_a_number_whatever_its_type(answer):
    assert same(plain(answer), plain(3), 1e-6)
    assert same(plain(answer), plain(torch.tensor(3.0)), 1e-6)
    assert not same(plain(answer), plain(4), 1e-6)


def test_a_pair_may_be_a_list_an_array_or_a_tensor():
    expected = plain((0.25, 0.5))
    for answer in ([0.25, 0.5], np.array([0.25, 0.5]), torch.tensor([0.25, 0.5])):
        assert same(plain(answer), expected, 1e-6)
    assert not same(plain([0.25]), expected, 1e-6)
    assert not same(plain("ab"), expected, 1e-6)


def test_nan_equals_nan_only_when_asked():
    nan = plain(torch.tensor([float("nan")]))
    assert not same(nan, nan, 1e-6)
    assert same(nan, nan, 1e-6, nan_is_nan=True)
