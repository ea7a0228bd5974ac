"""The command ``python -m lasoftmoe.pretraining --data DIR --out DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from lasoftmoe.pretraining.loop import PretrainingConfig
from lasoftmoe.pretraining.run import pretrain


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit code (2 for an error that the user can fix)."""
    parser = ArgumentParser(
        prog="python -m lasoftmoe.pretraining",
        description="Pretrain the small CLIP on captioned captures (python -m data_prep captions).",
        epilog="example: python -m lasoftmoe.pretraining --data data/captions --out weights",
        allow_abbrev=False,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of captioned captures")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, card, and log")
    parser.add_argument(
        "--held_out", type=Path, help="captioned captures of other people (another seed)"
    )
    parser.add_argument("--faces", type=Path, help="prepared dataset for live against fake")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_class_arguments(PretrainingConfig, as_group=False)
    options = parser.parse_args(arguments)
    choices = {name: getattr(options, name) for name in PretrainingConfig.__dataclass_fields__}
    try:
        config = PretrainingConfig(**choices)
        pretrain(options.data, options.out, config, options.held_out, options.faces)
    except (ValueError, OSError) as error:
        if options.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    print((options.out / "small_clip.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
