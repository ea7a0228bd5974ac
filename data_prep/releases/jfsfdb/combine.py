"""The benchmark's protocols over prepared subsets: separate and joint training, intra and cross.

Trained on SiW, 3DMAD and HKBU-MarsV2 (spoofing: ``separate_pad``), on FaceForensics++ (forgery:
``separate_dad``), or on both (``joint``). ``_intra`` tests on the test parts of the same sets,
``_cross`` on the sets of the same half that nothing was trained on: of those with an official
test part (MSU-MFSD, DFDC, Celeb-DFv2) on that part, of the others on everything. The dev part,
which thresholds come from, is always that of the sets trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypedDict

import pandas as pd

from data_prep.building.lock import locks_released
from data_prep.building.recipes import refuse_nested
from data_prep.building.resume import clean_up, prepare_folder
from data_prep.contract.checks import DatasetError
from data_prep.contract.inside import common_folder
from data_prep.contract.shape import check_shape
from data_prep.manifest import PreparedDataset, read_dataset, relative_root, write_dataset
from data_prep.releases.jfsfdb.table import SUBSETS

GENERATOR = "data_prep.releases.jfsfdb.combine 1"
PROTOCOLS = {
    "separate_pad": ("spoofing",),
    "separate_dad": ("forgery",),
    "joint": ("spoofing", "forgery"),
}
TESTS = ("intra", "cross")


class _Recipe(TypedDict):
    crop: dict[str, Any]
    detector: dict[str, Any]


ADVICE = "move the prepared sets below one folder: each holds all that it needs"


@locks_released()
def combine(
    folders: Sequence[str | Path],
    out: str | Path,
    protocols: Sequence[str] = (),
    allow_missing: bool = False,
    overwrite: bool = False,
) -> PreparedDataset:
    """Join prepared subsets into one dataset that uses their images where they lie.

    Args:
        folders: datasets that ``prepare_subset`` wrote.
        out: the folder to write; tables only.
        protocols: of ``PROTOCOLS``; none stands for all whose training sets are there.
        allow_missing: make a protocol also without some of its sets.

    Raises:
        ValueError: no protocol has that name.
        DatasetError: a set is missing, is there twice, or was not prepared from a release, or they
            have no folder in common except the whole file system; or ``out`` is inside one of them
            or has one in it.
    """
    for name in protocols:
        if name not in PROTOCOLS:
            raise ValueError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    refuse_nested(out, folders)
    parts, out = _read_parts(folders), Path(out)
    made, absent = _protocols(parts, protocols, allow_missing)
    places = {name: part.folder.resolve() for name, part in parts.items()}
    root = common_folder(list(places.values()), ADVICE)
    recipe = {
        "generator": GENERATOR,
        "protocols": sorted(made),
        "parts": {name: part.checksum for name, part in parts.items()},
    }
    if not prepare_folder(out, recipe, overwrite):
        to_root = relative_root(root, out)
        below = {
            name: PurePosixPath(to_root, place.relative_to(root).as_posix())
            for name, place in places.items()
        }
        tables = [
            part.manifest.assign(path=f"{below[name]}/" + part.manifest["path"])
            for name, part in parts.items()
        ]
        manifest = pd.concat(tables, ignore_index=True)
        write_dataset(out, manifest, made, _info(parts, to_root, absent, recipe))
    clean_up(out)
    return read_dataset(out)


def _read_parts(folders: Sequence[str | Path]) -> dict[str, PreparedDataset]:
    parts: dict[str, PreparedDataset] = {}
    for folder in folders:
        part = read_dataset(folder)
        name = part.info.get("subset", {}).get("name")
        if not isinstance(name, str) or name not in SUBSETS or len(part.protocols) != 1:
            raise DatasetError(
                f"{folder} is not a prepared subset; write one with `python -m data_prep jfsfdb "
                "SUBSET --root R --out DIR`"
            )
        if name in parts:
            raise DatasetError(f"{folder} and {parts[name].folder} are both {name}; give one")
        parts[name] = part
    _check_alike(parts)
    return dict(sorted(parts.items()))


def _check_alike(parts: dict[str, PreparedDataset]) -> None:
    """Crops of another size, margin or detector would tell which set an image is from."""
    recipes = {}
    for name in sorted(parts):
        recipes[name] = parts[name].info.get("recipe")
        check_shape(recipes[name], _Recipe, f"{parts[name].folder / 'dataset.json'}, recipe")
    ways = {
        name: recipe["crop"] | {"detector": recipe["detector"]} for name, recipe in recipes.items()
    }
    first = next(iter(ways))
    for name, way in ways.items():
        for choice, value in way.items():
            if value != ways[first][choice]:
                raise DatasetError(
                    f"{first} was cut with {choice} {ways[first][choice]}, {name} with {value}: a "
                    "model could tell the sets apart by that; prepare all subsets alike"
                )


def _protocols(
    parts: dict[str, PreparedDataset], wanted: Sequence[str], allow_missing: bool
) -> tuple[dict[str, pd.DataFrame], dict[str, list[str]]]:
    """Tables by name, and the sets that each lacks."""
    made, absent = {}, {}
    for protocol in wanted or PROTOCOLS:
        halves = PROTOCOLS[protocol]
        sets = [subset for subset in SUBSETS.values() if subset.half in halves]
        trained = [subset.name for subset in sets if subset.trains]
        for test in TESTS:
            tested = [subset.name for subset in sets if subset.trains == (test == "intra")]
            lacks = [name for name in dict.fromkeys(trained + tested) if name not in parts]
            tables = [_rows(parts[name], ("train", "dev")) for name in trained if name in parts]
            testing = [_rows(parts[name], ("test",)) for name in tested if name in parts]
            possible = sum(map(len, tables)) and sum(map(len, testing))
            if possible and (allow_missing or not lacks):
                made[f"{protocol}_{test}"] = pd.concat(tables + testing, ignore_index=True)
                absent[f"{protocol}_{test}"] = lacks
            elif protocol in wanted and lacks and (test == "intra" or not allow_missing):
                raise DatasetError(
                    f"{protocol}_{test} also needs {', '.join(lacks)}; prepare them too, or do "
                    "without them with --allow-missing"
                )
    if not made:
        raise DatasetError(
            f"no protocol can be made from {', '.join(parts)} alone; prepare the other sets too, "
            "or do without them with --allow-missing"
        )
    return made, absent


def _rows(part: PreparedDataset, splits: tuple[str, ...]) -> pd.DataFrame:
    (table,) = part.protocols.values()
    return table[table["split"].isin(splits)]


def _info(
    parts: dict[str, PreparedDataset], root: str, absent: dict[str, list[str]], recipe: dict
) -> dict[str, Any]:
    infos = [part.info for part in parts.values()]
    types: dict[str, Any] = {}
    for info in infos:
        types |= info.get("attack_types", {})
    return {
        "name": f"jfsfdb-{'-'.join(parts)}",
        "version": "1",
        "license": "; ".join(info["license"] for info in infos),
        "seed": 0,
        "generator": GENERATOR,
        "image_size": infos[0]["image_size"],
        "root": root,
        "attack_types": types,
        "subjects_cross_splits": any(info.get("subjects_cross_splits") for info in infos),
        "absent": {name: lacks for name, lacks in absent.items() if lacks},
        "recipe": recipe,
    }
