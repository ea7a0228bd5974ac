"""What is behind a person, out of focus."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

Array = np.ndarray


def paint_backdrop(session: SimpleNamespace, size: int) -> Array:
    """The background of a session, linear RGB (3, size, size) float32."""
    return np.ones((3, size, size), np.float32) * session.background_colors[0][:, None, None]
