"""Experiments: configurations, presets, and cached runs."""

import lazy_loader

# Lazily: the command line reads configurations long before it needs torch.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "config": ["load_config"],
        "runs": [
            "Run",
            "broken_runs",
            "data_folder",
            "find_run",
            "open_datasets",
            "read_run",
            "run",
            "run_config",
            "run_identity",
            "runs_table",
        ],
        "stored": ["RunError", "RunReport"],
    },
)
