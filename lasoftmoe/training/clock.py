"""How long a training took, over all the attempts that it needed."""

from __future__ import annotations

import time
from typing import Any


class Clock:
    """Seconds on the wall and of this process's CPU time, from the object's making on."""

    def __init__(self) -> None:
        self._wall, self._cpu = -time.perf_counter(), -time.process_time()

    def read(self) -> dict[str, float]:
        """The seconds so far, as ``wall`` and ``cpu``."""
        return {"wall": self._wall + time.perf_counter(), "cpu": self._cpu + time.process_time()}

    def add(self, earlier: dict[str, Any]) -> None:
        """Count what an earlier attempt read as well."""
        self._wall += earlier["wall"]
        self._cpu += earlier["cpu"]
