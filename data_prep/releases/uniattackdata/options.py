"""How strict an import is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How strict an import is; as it comes, nothing may be missing or differ.

    Args:
        live_is: the integer that means live, where the convention assumed is wrong; 0 or 1.
        allow_missing: accept a partial copy; what is absent is left out and reported.
        skip_counts: do not compare with the published table.
        drop_overlap: keep an image that stands in two splits in the later one only.
        quick: do not read the images; only whether they are there is checked.
        test_from_dev: share of the labeled dev images to test on, where test has no labels.
        seed: fixes which of dev's images those are.
        workers: threads that read images; default: one a core.

    Raises:
        ValueError: a value is out of its range.
    """

    live_is: int | None = None
    allow_missing: bool = False
    skip_counts: bool = False
    drop_overlap: bool = False
    quick: bool = False
    test_from_dev: float = 0.0
    seed: int = 0
    workers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no import can mean."""
        if self.live_is not in (None, 0, 1):
            raise ValueError(f"live_is is {self.live_is}; expected 0 or 1")
        if not 0 <= self.test_from_dev < 1:
            raise ValueError(
                f"test_from_dev is {self.test_from_dev}; expected a share from 0 to below 1"
            )
