"""The errors of data preparation, and text that is safe to put into a message."""

from __future__ import annotations

MOST_SHOWN = 80
MOST_PRINTED = 4_000


class DatasetError(ValueError):
    """A prepared dataset is missing, unfinished or breaks the contract."""


class ReadError(DatasetError):
    """A file that cannot be read or must not be; the message names it, with its place inside."""


class MissingFile(ReadError):
    """A file that is not there."""


def shown(value: object, most: int = MOST_SHOWN) -> str:
    """Quote a value that came from a file: as Python writes it, printable and short."""
    if isinstance(value, str | bytes) and len(value) > most:
        # Cut before quoting, because quoting 50 MB takes time and memory too.
        half = most // 2
        return f"{value[:half]!r}…{value[-half:]!r} ({len(value):,} characters)"
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a number of {value.bit_length():,} bits"
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def printable(text: str, most: int = MOST_PRINTED) -> str:
    """Make a whole message safe for a terminal: control codes written out, its length bounded.

    Line breaks and tabs stay. Names in a message may be a stranger's, and a terminal obeys
    control codes.
    """
    if len(text) > most:
        text = f"{text[: most - 500]}… ({len(text):,} characters) …{text[-400:]}"
    return "".join(
        character
        if character in "\n\t" or character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in text
    )
