"""Commands that prepare other people's data: uniattackdata, folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.commands.jfsfdb import add_face_options, chosen_detector, crop_rules
from data_prep.commands.options import (
    add_backend_options,
    add_building_options,
    at_least,
    chosen_backend,
)
from data_prep.commands.summary import say, summary


def add_commands(commands: argparse._SubParsersAction) -> None:
    release = commands.add_parser(
        "uniattackdata", help="prepare a protocol of UniAttackData; images stay where they are"
    )
    release.set_defaults(run=_run_uniattackdata)
    release.add_argument(
        "--root", type=Path, required=True, help="folder that contains UniAttackData or phase1"
    )
    release.add_argument("--protocol", required=True, help="p1, p1.1, p1.2, p1.3, p2.1 or p2.2")
    release.add_argument(
        "--live-is", type=int, choices=(0, 1), help="integer that means live (default: 0)"
    )
    release.add_argument(
        "--allow-missing", action="store_true", help="accept a partial copy; list what is missing"
    )
    release.add_argument(
        "--skip-counts", action="store_true", help="do not compare with the published counts"
    )
    release.add_argument(
        "--drop-overlap", action="store_true", help="keep an image in two splits only in the later"
    )
    release.add_argument(
        "--quick", action="store_true", help="only check that images exist; do not read them"
    )
    release.add_argument(
        "--test-from-dev",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="test on this share of dev, for a release without test labels",
    )
    add_building_options(release)
    _add_folder(commands)


def _add_folder(commands: argparse._SubParsersAction) -> None:
    folder = commands.add_parser("folder", help="prepare your own live and fake images or videos")
    folder.set_defaults(run=_run_folder)
    folder.add_argument("--live", type=Path, required=True, help="folder of live images or videos")
    folder.add_argument(
        "--fake", type=Path, required=True, help="folder with one folder for each attack"
    )
    folder.add_argument("--type", help="the attack of all fakes, instead of their folder's name")
    folder.add_argument(
        "--family",
        type=_pair,
        action="append",
        default=[],
        metavar="ATTACK=FAMILY",
        help="family of an unknown attack: physical, editing, or adversarial",
    )
    folder.add_argument(
        "--subjects-from",
        default="folder",
        metavar="RULE",
        help="folder (default), name (up to the first _ or -), file, or a pattern with one group",
    )
    folder.add_argument(
        "--splits",
        type=float,
        nargs=3,
        default=(0.6, 0.2, 0.2),
        metavar=("TRAIN", "DEV", "TEST"),
        help="shares of the subjects (default: 0.6 0.2 0.2)",
    )
    folder.add_argument(
        "--frames", type=at_least(1), default=8, help="frames of each video (default: 8)"
    )
    folder.add_argument(
        "--crop-faces",
        action="store_true",
        help="write crops of the faces (see the options below)",
    )
    add_face_options(folder)
    folder.add_argument(
        "--copy", action="store_true", help="copy the images into DIR instead of referring to them"
    )
    add_building_options(folder)
    add_backend_options(folder)


def _pair(text: str) -> tuple[str, str]:
    name, equals, family = text.rpartition("=")
    if not (name and equals and family):
        raise argparse.ArgumentTypeError(f"{text!r} is not ATTACK=FAMILY, like wig=physical")
    return name, family


def _run_uniattackdata(options: argparse.Namespace) -> None:
    from data_prep.releases.uniattackdata import Options, import_uniattackdata
    from data_prep.releases.uniattackdata.report import describe

    strictness = Options(
        live_is=options.live_is,
        allow_missing=options.allow_missing,
        skip_counts=options.skip_counts,
        drop_overlap=options.drop_overlap,
        quick=options.quick,
        test_from_dev=options.test_from_dev,
        seed=options.seed,
        workers=options.workers,
    )
    dataset = import_uniattackdata(
        options.root, options.protocol, options.out, strictness, options.overwrite
    )
    say(describe(dataset))
    say(summary(dataset))


def _run_folder(options: argparse.Namespace) -> None:
    from data_prep.contract.repeats import told_equal
    from data_prep.media.faces import FaceReport
    from data_prep.releases.folder import FolderOptions, import_folders

    wanted = FolderOptions(
        type_name=options.type,
        families=dict(options.family),
        subjects_from=options.subjects_from,
        splits=tuple(options.splits),
        frames=options.frames,
        crop=crop_rules(options) if options.crop_faces else None,
        detector=chosen_detector(options),
        copy=options.copy,
        seed=options.seed,
        workers=options.workers,
        backend=chosen_backend(options),
    )
    dataset = import_folders(options.live, options.fake, options.out, wanted, options.overwrite)
    for split, types in dataset.info["counts"]["protocols"]["p1"].items():
        say(f"{split}: " + ", ".join(f"{kind} {number}" for kind, number in types.items()))
    for reason, number in dataset.info["report"]["skipped"].items():
        say(f"skipped {number}: {reason} (see {options.out / 'skipped.csv'})")
    if options.crop_faces:
        say(f"faces: {FaceReport(**dataset.info['report']['faces'])}")
    for line in told_equal(dataset.info["report"].get("equal_contents")):
        say(line)
    say(summary(dataset))
