"""Values of a structured file checked against the types that they are expected to have.

One validator for every JSON and YAML file that data preparation reads. The expectation is written
as type annotations, so it is also the documentation of the file.
"""

from __future__ import annotations

import math
import types
import typing
from typing import Any, Literal, Union

from data_prep.errors import DatasetError, shown

_WORDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "a table of keys and values",
    list: "a list",
    types.NoneType: "null",
}


def check_shape(value: Any, expected: Any, place: str) -> None:
    """Check a value and everything in it.

    Args:
        value: What a JSON or YAML file holds.
        expected: ``Any``, ``None``, ``bool``, ``int``, ``float``, ``str``, a ``Literal``, a union,
            ``list[...]``, ``dict[..., ...]``, or a ``TypedDict`` (more keys are allowed).
        place: The file, as the error names it; the keys on the way to the value are added.

    Raises:
        DatasetError: The first difference: its place, what was expected, and what was found.
    """
    if typing.is_typeddict(expected):
        _check_record(value, expected, place)
        return
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if origin is dict and isinstance(value, dict):
        for key, item in value.items():
            check_shape(key, inner[0], f"{place}, key {shown(key)}")
            check_shape(item, inner[1], f"{place}, {shown(key)}")
    elif origin is list and isinstance(value, list):
        for number, item in enumerate(value, 1):
            check_shape(item, inner[0], f"{place}, entry {number}")
    elif origin in (Union, types.UnionType) and any(typing.get_origin(part) for part in inner):
        _check_union(value, inner, place)
    elif not _is_plain(value, expected):
        raise DatasetError(f"{place}: expected {_described(expected)}, found {shown(value)}")


def shape_of(example: Any) -> Any:
    """Return the shape that values like ``example`` have: numbers, text, lists, or tables."""
    if isinstance(example, dict):
        kinds = [shape_of(value) for value in example.values()] or [Any]
        return dict[int | str, Union[tuple(kinds)]]  # noqa: UP007 (built while running)
    if isinstance(example, list):
        kinds = [shape_of(value) for value in example] or [int | str]
        return list[Union[tuple(kinds)]]  # noqa: UP007
    return type(example)


def _check_record(value: Any, expected: Any, place: str) -> None:
    if not isinstance(value, dict):
        raise DatasetError(f"{place}: expected {_WORDS[dict]}, found {shown(value)}")
    missing = sorted(key for key in expected.__required_keys__ if key not in value)
    if missing:
        raise DatasetError(f"{place} lacks {', '.join(missing)}")
    for key, hint in typing.get_type_hints(expected).items():
        if key in value:
            check_shape(value[key], hint, f"{place}, {key}")


def _check_union(value: Any, parts: tuple[Any, ...], place: str) -> None:
    """The error is that of the part that has the value's own kind, if any has."""
    errors = []
    for part in parts:
        try:
            check_shape(value, part, place)
            return
        except DatasetError as error:
            errors.append((typing.get_origin(part) is type(value), error))
    raise max(errors, key=lambda pair: pair[0])[1]


def _is_plain(value: Any, expected: Any) -> bool:
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if expected is Any:
        return True
    if origin is Literal:
        return any(value == word and type(value) is type(word) for word in inner)
    if origin in (Union, types.UnionType):
        return any(_is_plain(value, part) for part in inner)
    if expected in (None, types.NoneType):
        return value is None
    if expected is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is expected


def _described(expected: Any) -> str:
    origin, inner = typing.get_origin(expected), typing.get_args(expected)
    if origin is Literal:
        return "one of " + ", ".join(repr(word) for word in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_described(part) for part in inner)
    return _WORDS.get(origin or expected, str(expected))
