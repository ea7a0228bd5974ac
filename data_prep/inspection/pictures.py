"""Images of an inspection page: thumbnails of every type, and a map of textures."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from data_prep.inspection.files import ordered_types
from data_prep.inspection.probes import BORDER_CELLS, energy, high_pass
from data_prep.manifest import PreparedDataset, read_image
from data_prep.taxonomy import FAMILIES, LIVE

THUMBNAIL = 112
LARGEST_CUT = 512
FEWEST_POINTS = 12
# Okabe and Ito's palette, which color-blind people can distinguish; markers differ, too.
COLORS = {LIVE: "#009E73", "physical": "#E69F00", "editing": "#56B4E9", "adversarial": "#CC79A7"}
MARKERS = {LIVE: "o", "physical": "s", "editing": "^", "adversarial": "D"}


@dataclass(frozen=True)
class Thumbnail:
    """A small image as a ``data:`` address, with its id and subject."""

    address: str
    id: str
    subject: str


def sheets(
    dataset: PreparedDataset, readable: pd.DataFrame, each: int, seed: int
) -> dict[str, list[Thumbnail]]:
    """Draw up to ``each`` thumbnails of every type, of different people if possible."""
    rows = []
    for name in ordered_types(readable["type"]):
        shuffled = readable[readable["type"] == name].sample(frac=1, random_state=seed)
        # Each person's first image, then the second ones, and so on.
        turn = shuffled.groupby("subject").cumcount()
        chosen = shuffled.loc[turn.sort_values(kind="stable").index].head(each)
        rows += [(name, row) for row in chosen.to_dict("records")]
    found: dict[str, list[Thumbnail]] = {}
    for name, row in tqdm(rows, desc="thumbnails", unit="image"):
        picture = Image.fromarray(read_image(dataset.locate(row["path"]), row["id"]))
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
        thumbnail = Thumbnail(as_address(picture, "JPEG"), row["id"], row["subject"])
        found.setdefault(name, []).append(thumbnail)
    return found


def as_address(picture: Image.Image, kind: str) -> str:
    """Return an image as a ``data:`` address."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return _encoded(buffer, kind)


def texture_map(
    dataset: PreparedDataset, readable: pd.DataFrame, most: int, seed: int
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Compute a t-SNE map of the fine texture of up to ``most`` images, each type by its share.

    Returns:
        The images and their positions, (images, 2); both are empty if there are too few images.
    """
    usable = readable[readable[["width", "height"]].min(axis=1) >= BORDER_CELLS]
    share = min(1.0, most / max(len(usable), 1))
    chosen = usable.groupby("type", group_keys=False).sample(frac=share, random_state=seed)
    if len(chosen) < FEWEST_POINTS:
        return chosen.iloc[:0], np.zeros((0, 2))
    features = []
    for row in tqdm(chosen[["id", "path"]].to_dict("records"), desc="texture", unit="image"):
        picture = _middle(read_image(dataset.locate(row["path"]), row["id"]))[None]
        features.append(np.concatenate([high_pass(picture), energy(picture)], 1))
    table = np.concatenate(features)
    # t-SNE ends the whole process if too many images are equal.
    if len(np.unique(table, axis=0)) < FEWEST_POINTS:
        return chosen.iloc[:0], np.zeros((0, 2))
    return chosen, _embedded(table, seed)


def draw_map(images: pd.DataFrame, places: NDArray[np.float64], dark: bool) -> str:
    """Draw the map as an image's ``data:`` address, in colors for a dark or a light page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ink, paper = ("#e8e8e8", "#16181c") if dark else ("#1c1e21", "#ffffff")
    figure = Figure(figsize=(7, 5.4), dpi=110, facecolor=paper, layout="constrained")
    axes = figure.add_subplot(facecolor=paper)
    families = [name for name in (LIVE, *FAMILIES) if (images["family"] == name).any()]
    families += sorted(set(images["family"]) - set(families))
    for name in families:
        at = places[(images["family"] == name).to_numpy()]
        color, marker = COLORS.get(name, ink), MARKERS.get(name, "x")
        label = f"{name} ({len(at)})"
        axes.scatter(*at.T, s=22, c=color, marker=marker, label=label, alpha=0.8, linewidths=0.6)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color(ink)
    legend = axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, frameon=False)
    for text in legend.get_texts():
        text.set(color=ink, fontsize=15)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return _encoded(buffer, "PNG")


def separation(images: pd.DataFrame, places: NDArray[np.float64]) -> float:
    """Return the share of images whose ten nearest neighbors mostly have the same label."""
    from sklearn.neighbors import NearestNeighbors

    fake = (images["label"] != LIVE).to_numpy()
    count = min(11, len(places))
    _, nearest = NearestNeighbors(n_neighbors=count).fit(places).kneighbors(places)
    return float(((fake[nearest[:, 1:]].mean(1) > 0.5) == fake).mean())


def _embedded(features: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler

    perplexity = min(30.0, (len(features) - 1) / 3)
    method = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return method.fit_transform(StandardScaler().fit_transform(features))


def _middle(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Crop to at most LARGEST_CUT x LARGEST_CUT pixels, because resizing would blur the texture."""
    height, width = picture.shape[:2]
    top, left = max(0, (height - LARGEST_CUT) // 2), max(0, (width - LARGEST_CUT) // 2)
    return picture[top : top + LARGEST_CUT, left : left + LARGEST_CUT].copy()


def _encoded(buffer: io.BytesIO, kind: str) -> str:
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
