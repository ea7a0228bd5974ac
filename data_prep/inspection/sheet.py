"""Labeled contact sheet of a prepared dataset, with one row per type."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from data_prep.atomic import write_atomically
from data_prep.manifest import DatasetError, PreparedDataset, read_dataset, read_image
from data_prep.taxonomy import ATTACK_TYPES, LIVE

_CELL = 144
_GAP = 4
_CAPTION = 18
_MARGIN = 130


def write_sheet(
    folder: str | Path,
    out: str | Path,
    subjects: int = 8,
    protocol: str | None = None,
    split: str | None = None,
) -> None:
    """Draw up to ``subjects`` images of every type of a dataset into one PNG.

    A row shows one type on different subjects, named below each image. Rows may show different
    subjects. ``protocol`` and ``split`` restrict the images; a split needs its protocol.

    Raises:
        DatasetError: If the dataset breaks the contract, or no image is left to show.
        ValueError: If ``subjects`` is less than 1, or a protocol or split is unknown.
    """
    if subjects < 1:
        raise ValueError(f"subjects is {subjects}; expected 1 or more")
    dataset = read_dataset(folder)
    manifest = _narrow(dataset, protocol, split)
    if manifest.empty:
        raise DatasetError(f"{dataset.folder}: no image in protocol {protocol!r}, split {split!r}")
    # A release may declare its own types, which come after the taxonomy's.
    known = dict.fromkeys((LIVE, *ATTACK_TYPES, *sorted(manifest["type"].unique())))
    present = [name for name in known if (manifest["type"] == name).any()]
    columns = min(subjects, manifest["subject"].nunique())
    sheet = _blank(len(present), columns)
    for number, name in enumerate(present):
        images = manifest[manifest["type"] == name]
        _draw_row(sheet, number, images, columns, dataset)
    write_atomically(Path(out), lambda path: sheet.save(path, "PNG"))


def _narrow(dataset: PreparedDataset, protocol: str | None, split: str | None) -> pd.DataFrame:
    if protocol is None:
        if split is not None:
            raise ValueError(f"a split ({split!r}) needs the protocol it belongs to")
        return dataset.manifest
    if protocol not in dataset.protocols:
        known = ", ".join(dataset.protocols)
        raise ValueError(f"unknown protocol {protocol!r}; {dataset.folder} has: {known}")
    table = dataset.protocols[protocol]
    if split is not None:
        if split not in set(table["split"]):
            known = ", ".join(table["split"].unique())
            raise ValueError(f"unknown split {split!r}; protocol {protocol!r} has: {known}")
        table = table[table["split"] == split]
    return dataset.manifest[dataset.manifest["id"].isin(table["id"])]


def _blank(rows: int, columns: int) -> Image.Image:
    width = _MARGIN + columns * (_CELL + _GAP)
    height = rows * (_CELL + _CAPTION + _GAP)
    return Image.new("RGB", (width, height), "white")


def _draw_row(
    sheet: Image.Image, number: int, images: pd.DataFrame, columns: int, dataset: PreparedDataset
) -> None:
    draw = ImageDraw.Draw(sheet)
    top = number * (_CELL + _CAPTION + _GAP)
    title = f"{images['type'].iloc[0]}\n{len(images)} images".replace("_", " ")
    draw.text((6, top + _CELL // 2 - 18), title, fill="black", font=ImageFont.load_default(17))
    # One image per subject, in a fixed random order, so that rows show different subjects.
    chosen = images.sample(frac=1, random_state=number).drop_duplicates("subject")
    for column, row in enumerate(chosen.head(columns).to_dict("records")):
        image = Image.fromarray(read_image(dataset.locate(row["path"]), row["id"]))
        left = _MARGIN + column * (_CELL + _GAP)
        sheet.paste(image.resize((_CELL, _CELL), Image.Resampling.BICUBIC), (left, top))
        place = (left + 2, top + _CELL + 1)
        draw.text(place, row["subject"], fill="black", font=ImageFont.load_default(13))
