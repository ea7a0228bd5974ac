"""The small CLIP that comes with the package."""

import lazy_loader

# Lazily: the tokenizer needs no network.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "model": [
            "EMBEDDED_WEIGHTS",
            "SmallClipConfig",
            "build_small_clip",
            "read_description",
            "save_small_clip",
        ],
        "tokenizer": ["SmallTokenizer"],
    },
)
