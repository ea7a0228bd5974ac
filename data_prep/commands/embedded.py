"""Commands for the synthetic faces: synthetic, captions, surrogate."""

from __future__ import annotations

import argparse

from data_prep.commands.options import (
    add_building_options,
    add_common_options,
    at_least,
    output_file,
)
from data_prep.commands.summary import summary


def add_commands(commands: argparse._SubParsersAction) -> None:
    synthetic = commands.add_parser(
        "synthetic", help="write the embedded dataset of synthetic faces"
    )
    synthetic.set_defaults(run=_run_synthetic)
    synthetic.add_argument(
        "--preset", default="laptop", help="laptop (default) or tiny (a dozen subjects)"
    )
    synthetic.add_argument(
        "--with-maps", action="store_true", help="also write masks of edits and depth of faces"
    )
    add_building_options(synthetic)

    captions = commands.add_parser(
        "captions", help="write captioned photos, prints, and screens for pretraining"
    )
    captions.set_defaults(run=_run_captions)
    captions.add_argument(
        "--subjects",
        type=at_least(1, 1_000_000),
        default=1500,
        help="people, four images each (default: 1500)",
    )
    add_building_options(captions)

    surrogate = commands.add_parser(
        "surrogate", help="train the face recognizer that the adversarial attacks target"
    )
    surrogate.set_defaults(run=_run_surrogate)
    surrogate.add_argument("--out", type=output_file, required=True, help="weights (.safetensors)")
    surrogate.add_argument(
        "--network",
        choices=("surrogate", "second"),
        default="surrogate",
        help="second is a smaller, different network, to measure how attacks transfer",
    )
    add_common_options(surrogate)


def _run_synthetic(options: argparse.Namespace) -> None:
    from data_prep.synthetic.dataset import write_synthetic_dataset

    dataset = write_synthetic_dataset(
        options.out,
        options.preset,
        options.seed,
        options.workers,
        with_maps=options.with_maps,
        overwrite=options.overwrite,
    )
    print(summary(dataset))


def _run_captions(options: argparse.Namespace) -> None:
    from data_prep.synthetic.captions.caption_dataset import write_caption_dataset

    dataset = write_caption_dataset(
        options.out, options.subjects, options.seed, options.workers, options.overwrite
    )
    print(summary(dataset))


def _run_surrogate(options: argparse.Namespace) -> None:
    from data_prep.studies.second_recognizer import SECOND
    from data_prep.studies.second_recognizer import TRAINING as SHORT_TRAINING
    from data_prep.synthetic.attacks.surrogate_training import SURROGATE, train_surrogate

    if options.network == "second":
        network, training = SECOND, SHORT_TRAINING
    else:
        network, training = SURROGATE, None
    card = train_surrogate(options.out, training, options.seed, options.workers, network)
    results = card["verification"]
    print(f"{options.out}: AUC {results['auc']:.3f} on {results['identities']} unseen identities")
