"""Progress bars for terminal and notebook that can be switched off in both."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def progress_bar(
    iterable: Iterable | None = None, *, disable: bool = False, **options: Any
) -> tqdm:
    """``tqdm.auto.tqdm`` that the environment variable ``TQDM_DISABLE`` hides everywhere.

    tqdm's own bars heed that variable in a terminal but not in a notebook, where the build of the
    book needs it: a bar that has stopped moving says nothing on a page.

    Args:
        iterable: what to walk through; ``None`` for a bar that is moved by ``update()``.
        disable: hide this bar in any case.
        options: whatever tqdm takes, such as ``desc``, ``total`` and ``unit``.
    """
    switched_off = os.environ.get("TQDM_DISABLE", "") not in ("", "0")
    return tqdm(iterable, disable=disable or switched_off, **options)
