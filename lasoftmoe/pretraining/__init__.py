"""Pretraining of the small CLIP on captioned captures of rendered faces.

``python -m lasoftmoe.pretraining --data DIR --out DIR`` repeats it.
"""

from lasoftmoe.pretraining.loop import PretrainingConfig
from lasoftmoe.pretraining.run import pretrain

__all__ = ["PretrainingConfig", "pretrain"]
