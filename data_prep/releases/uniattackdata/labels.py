"""What the integers of a list mean, and whether the folders agree.

Three conventions contradict one another: the lists of the release write 0 for live and 1, 2, 3
for physical, adversarial and editing; those of p1.1 to p1.3 and of the challenge 0 for live and 1
for everything else; and the release's readme says that 1 is live. So a label comes from the folder
where there is one, and the integer is only held against it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from data_prep.contract.checks import DatasetError
from data_prep.releases.uniattackdata.attack_types import label_of
from data_prep.releases.uniattackdata.lists import Line
from data_prep.releases.uniattackdata.names import ImageName
from data_prep.taxonomy import FAKE, LIVE

_DOUBT = 0.05  # shares that differ by less tell nothing
_FAMILIES = {0: LIVE, 1: "physical", 2: "adversarial", 3: "editing"}


@dataclass(frozen=True)
class Convention:
    """How to read a list's integers; ``meaning`` maps them to a family, or to live and fake."""

    meaning: dict[int, str]
    assumed: bool

    def __str__(self) -> str:
        """For a report."""
        said = ", ".join(f"{integer} = {word}" for integer, word in self.meaning.items())
        return f"{said} ({'assumed' if self.assumed else 'as --live-is says'})"


def convention_of(lines: list[Line], live_is: int | None) -> Convention:
    """The convention of a protocol's lists: by family where an integer above 1 occurs."""
    if live_is is not None:
        return Convention({live_is: LIVE, 1 - live_is: FAKE}, assumed=False)
    by_family = any(line.integer is not None and line.integer > 1 for line in lines)
    return Convention(_FAMILIES if by_family else {0: LIVE, 1: FAKE}, assumed=True)


def label_by_integer(line: Line, convention: Convention) -> str:
    """Label of a line that has nothing but its integer.

    Raises:
        DatasetError: no integer, or one without a meaning; names file and line.
    """
    if line.integer is None:
        raise line.error("no integer behind the path; expected '<path> <label>'")
    return label_of(_meaning(line, convention))


def check_labels(lines: list[Line], names: list[ImageName], convention: Convention) -> None:
    """Hold the integers of one list against the folders of its images.

    Raises:
        DatasetError: names the file and the first line that disagrees, and what to do.
    """
    wrong = [
        line
        for line, name in zip(lines, names, strict=True)
        if line.integer is not None and not _agree(_meaning(line, convention), name.family)
    ]
    if not wrong:
        return
    first, name = wrong[0], names[lines.index(wrong[0])]
    kind = name.family if name.family == LIVE else f"{name.family} attacks ({name.type})"
    raise first.error(
        f"the folder holds {kind}, but the integer {first.integer} means "
        f"{_meaning(first, convention)!r} ({convention}); {len(wrong)} of {len(lines)} lines of "
        f"this list disagree. {_advice(lines, names, convention)}"
    )


def check_polarity(lines: dict[str, list[Line]], expected_live: dict[str, int]) -> None:
    """Where integers are all there is: refuse a convention that the published counts refute.

    ``expected_live`` is the number of live images by split. Only a list whose counts fit the
    *other* convention exactly is refused; a partial list proves nothing.

    Raises:
        DatasetError: names the split and the option that mends it.
    """
    for split, listed in lines.items():
        counts = Counter(line.integer for line in listed)
        live = expected_live.get(split)
        total_fits = set(counts) == {0, 1} and counts[0] != counts[1]
        if total_fits and counts[1] == live != counts[0]:
            raise DatasetError(
                f"{listed[0].file}: {counts[0]} lines say 0 and {counts[1]} say 1; the published "
                f"number of live images in {split} is {live}, so that 1 means live here: pass "
                "--live-is 1"
            )


def doubtful_polarity(lists: dict[str, list[Line]], shares: dict[str, float]) -> list[str]:
    """Where integers are all there is: warnings of lists in which 1 rather seems to mean live.

    A partial list proves nothing, but its share of live images tells: the warning names the lists
    whose share is nearer to the published one if the integers are read the other way round.

    Args:
        lists: lines by split, read as 0 = live.
        shares: the published share of live images by split.
    """
    warnings = []
    for split, lines in lists.items():
        integers = Counter(line.integer for line in lines)
        if split not in shares or not set(integers) <= {0, 1}:
            continue
        live = integers[0] / len(lines)
        if abs(live - shares[split]) > abs(1 - live - shares[split]) + _DOUBT:
            warnings.append(
                f"{lines[0].file}: {live:.0%} of the lines say 0, which is read as live, but "
                f"{shares[split]:.0%} of the published {split} images are live. If 1 means live "
                "here, pass --live-is 1; if 0 does, --live-is 0"
            )
    return warnings


def _meaning(line: Line, convention: Convention) -> str:
    word = convention.meaning.get(line.integer)
    if word is None and not convention.assumed and line.integer in _FAMILIES:
        word = FAKE  # only live was said; whatever else a list writes is an attack
    if word is None:
        raise line.error(f"the integer {line.integer} has no meaning; expected {convention}")
    return word


def _agree(word: str, family: str) -> bool:
    return word == (label_of(family) if word in (LIVE, FAKE) else family)


def _advice(lines: list[Line], names: list[ImageName], convention: Convention) -> str:
    other = Convention({1: LIVE, 0: FAKE}, assumed=False)
    swapped = all(
        line.integer is None or _agree(_meaning(line, other), name.family)
        for line, name in zip(lines, names, strict=True)
    )
    if swapped and convention.assumed:
        return "All of them fit if 1 means live: pass --live-is 1"
    return "Ask where the list comes from: a folder is believed, a list is never guessed at"
