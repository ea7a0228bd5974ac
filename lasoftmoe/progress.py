"""Progress bars for terminals and notebooks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def progress_bar(
    iterable: Iterable | None = None, *, disable: bool = False, **options: Any
) -> tqdm:
    """Return a ``tqdm.auto.tqdm`` that the environment variable ``TQDM_DISABLE`` hides.

    tqdm's own bars follow that variable in a terminal but not in a notebook. The book's build
    needs it there, because a finished bar is useless on a page.

    Args:
        iterable: What to iterate over; ``None`` for a bar that ``update()`` moves.
        disable: Hide this bar in any case.
        options: Options of tqdm, such as ``desc``, ``total``, and ``unit``.
    """
    switched_off = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    return tqdm(iterable, disable=disable or switched_off, **options)
