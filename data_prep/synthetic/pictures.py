"""Images as PNG files, because JPEG would destroy adversarial noise."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from torch import Tensor

from data_prep.atomic import write_atomically
from data_prep.synthetic.camera import to_bytes


def save_png(image: Tensor, path: Path) -> None:
    """Write one image (3, h, w) as RGB, or one map (1, h, w) as gray, from [0, 1] to 8 bits."""
    values = to_bytes(image).permute(1, 2, 0).squeeze(-1).numpy()
    write_atomically(path, lambda temporary: Image.fromarray(values).save(temporary, "PNG"))
