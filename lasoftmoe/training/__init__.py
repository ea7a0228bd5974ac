"""Training: the loop, its optimizer, checkpoints, and several processes."""

import lazy_loader

# Lazily: a configuration needs this package's types, but not torch.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"loop": ["TrainingError", "train"]}
)
