"""Time of a training over all its attempts."""

from __future__ import annotations

import time
from typing import Any


class Clock:
    """Wall-clock and CPU seconds of this process since the object's creation."""

    def __init__(self) -> None:
        self._wall, self._cpu = -time.perf_counter(), -time.process_time()

    def read(self) -> dict[str, float]:
        """Return the seconds so far, as ``wall`` and ``cpu``."""
        return {"wall": self._wall + time.perf_counter(), "cpu": self._cpu + time.process_time()}

    def add(self, earlier: dict[str, Any]) -> None:
        """Add the seconds of an earlier attempt."""
        self._wall += earlier["wall"]
        self._cpu += earlier["cpu"]
