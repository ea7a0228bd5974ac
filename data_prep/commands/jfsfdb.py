"""Commands for video datasets: jfsfdb SUBSET, jfsfdb combine, fetch-yunet."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.commands.options import (
    add_backend_options,
    add_out_options,
    add_shared_options,
    add_workers_option,
    at_least,
    chosen_backend,
    output_file,
)
from data_prep.commands.summary import say, summary

if TYPE_CHECKING:
    from data_prep.media.faces import CropRules, Detector

NAMES = (
    "siw",
    "threedmad",
    "hkbu_marsv2",
    "msu_mfsd",
    "threedmask",
    "rose_youtu",
    "faceforensics",
    "dfdc",
    "celebdf",
)


def add_commands(commands: argparse._SubParsersAction) -> None:
    jfsfdb = commands.add_parser("jfsfdb", help="prepare the videos of JFSFDB's nine sets")
    sets = jfsfdb.add_subparsers(dest="subset", required=True, metavar="SUBSET|combine")
    for name in NAMES:
        _add_subset(sets.add_parser(name, help=f"prepare {name}"))
    combined = sets.add_parser("combine", help="join prepared subsets under the protocols")
    combined.set_defaults(run=_run_combine)
    combined.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="prepared subsets")
    add_out_options(combined)
    combined.add_argument(
        "--protocol",
        action="append",
        default=[],
        choices=("separate_pad", "separate_dad", "joint"),
        help="may be repeated (default: all that are possible)",
    )
    combined.add_argument(
        "--allow-missing", action="store_true", help="make protocols without some of their sets"
    )
    for command in sets.choices.values():
        add_shared_options(command)

    fetch = commands.add_parser(
        "fetch-yunet", help="download and verify the weights of the YuNet face detector"
    )
    fetch.set_defaults(run=_run_fetch)
    fetch.add_argument("--out", type=output_file, required=True, help="file to write (.onnx)")


def add_face_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for cropping faces."""
    parser.add_argument(
        "--detector",
        choices=("embedded", "yunet"),
        default="embedded",
        help="face detector; yunet needs --weights (default: embedded)",
    )
    parser.add_argument("--weights", type=Path, help="YuNet's ONNX file (see fetch-yunet)")
    parser.add_argument("--weights-sha256", help="checksum of another version of the weights")
    parser.add_argument(
        "--margin", type=float, default=0.5, help="context on each side, in box sides (0.5)"
    )
    parser.add_argument("--size", type=at_least(1, 8_192), default=224, help="side of a crop (224)")
    parser.add_argument(
        "--smallest-share",
        type=float,
        metavar="SHARE",
        help="smallest face that the embedded detector looks for, as a share of the shorter side "
        "of the image (0.15)",
    )
    parser.add_argument(
        "--smallest", type=at_least(1), default=32, help="smallest face to use, in pixels (32)"
    )
    parser.add_argument(
        "--several",
        choices=("largest", "skip"),
        default="largest",
        help="if there are several faces, take the largest or skip the frame (largest)",
    )
    parser.add_argument(
        "--no-turn", action="store_true", help="do not look for faces held sideways"
    )
    parser.add_argument(
        "--align", action="store_true", help="level the eyes, if the detector finds them"
    )


def crop_rules(options: argparse.Namespace) -> CropRules:
    """Return the crop rules from the options of ``add_face_options``."""
    from data_prep.media.faces import CropRules

    return CropRules(
        options.margin,
        options.size,
        options.smallest,
        options.several,
        not options.no_turn,
        options.align,
    )


def _add_subset(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run_subset)
    parser.add_argument("--root", type=Path, required=True, metavar="R", help="the release")
    add_out_options(parser)
    parser.add_argument("--frames", type=at_least(1), default=8, help="frames of each clip (8)")
    add_face_options(parser)
    parser.add_argument("--rules", type=Path, help="YAML file with rules in place of the built-in")
    parser.add_argument(
        "--split",
        choices=("official", "by-subject"),
        default="official",
        help="official where the release has one (default), or drawn by subject",
    )
    parser.add_argument(
        "--allow-missing", action="store_true", help="take a partial copy of the release"
    )
    parser.add_argument(
        "--skip-broken",
        action="store_true",
        help="leave out clips that cannot be read (once replaced, the same command takes them up)",
    )
    parser.add_argument(
        "--skip-unknown", action="store_true", help="leave out clips with unknown names"
    )
    add_workers_option(parser)
    add_backend_options(parser)


def _run_subset(options: argparse.Namespace) -> None:
    from data_prep.contract.repeats import told_equal
    from data_prep.media.faces import FaceReport
    from data_prep.releases.jfsfdb.prepare import Wishes, prepare_subset

    wishes = Wishes(
        frames=options.frames,
        crop=crop_rules(options),
        detector=chosen_detector(options),
        rules=options.rules,
        by_subject=options.split == "by-subject",
        skip_unknown=options.skip_unknown,
        skip_broken=options.skip_broken,
        allow_missing=options.allow_missing,
    )
    dataset = prepare_subset(
        options.subset,
        options.root,
        options.out,
        wishes,
        options.workers,
        chosen_backend(options),
        options.overwrite,
    )
    info = dataset.info
    say(summary(dataset))
    say("clips: " + ", ".join(f"{count} {status}" for status, count in info["clips"].items()))
    say(f"faces: {FaceReport(**info['faces'])}")
    for line in told_equal(info.get("equal_contents")):
        say(line)
    for difference in info["differences"]:
        say(f"differs from the published set: {difference}")
    if info["unverified_rules"]:
        rules = ", ".join(info["unverified_rules"])
        say(f"known from memory only, check against your copy: {rules} (see --rules)")


def _run_combine(options: argparse.Namespace) -> None:
    from data_prep.releases.jfsfdb.combine import combine

    dataset = combine(
        options.folders, options.out, options.protocol, options.allow_missing, options.overwrite
    )
    say(summary(dataset))
    for name, table in dataset.protocols.items():
        splits = table["split"].value_counts()
        lacks = dataset.info["absent"].get(name)
        without = f", without {', '.join(lacks)}" if lacks else ""
        say(f"{name}: " + ", ".join(f"{splits[s]} {s}" for s in splits.index) + without)


def chosen_detector(options: argparse.Namespace) -> Detector:
    """Return the detector that ``--detector`` and ``--weights`` choose."""
    from data_prep.media.faces import EmbeddedDetector

    if options.detector == "embedded":
        if options.weights:
            raise ValueError("--weights are for --detector yunet; the embedded one has its own")
        share = options.smallest_share
        return EmbeddedDetector() if share is None else EmbeddedDetector(smallest=share)
    if options.smallest_share is not None:
        raise ValueError("--smallest-share is for the embedded detector; YuNet has no such limit")
    if not options.weights:
        raise ValueError("--detector yunet needs --weights FILE (see fetch-yunet)")
    from data_prep.media.yunet import SHA256, YuNetDetector

    return YuNetDetector(options.weights, options.weights_sha256 or SHA256)


def _run_fetch(options: argparse.Namespace) -> None:
    from data_prep.media.yunet import SHA256, URL, fetch

    say(f"downloading {URL}\nexpected SHA-256 {SHA256}")
    fetch(options.out, URL, SHA256)
    say(f"{options.out}: verified")
