"""The shortcut audit: how well simple image statistics separate live from fake.

Each probe (``data_prep.inspection.probes``) is fitted on the train split twice, with logistic
regression and with gradient boosting, to separate live images from all attacks. The audit measures
the area under the ROC curve (AUC) on another split, for all attacks together and for each type.
It reports the better of the two models, with an interval over resampled subjects.

Choose nothing by the test split: audit dev while you make a dataset, and test when it is final.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from data_prep.contract.checks import SPLITS
from data_prep.contract.packed import image_bytes
from data_prep.contract.repeats import equal_files, told_equal
from data_prep.inspection.probes import DIMENSIONS, FILE_SIZE, Features, file_size, picture_features
from data_prep.manifest import DatasetError, PreparedDataset, read_dataset, read_image
from data_prep.taxonomy import ATTACK_TYPES, LIVE

POOLED = "pooled"
_BATCH = 128
_RESAMPLES = 1000


@dataclass(frozen=True)
class Bar:
    """The largest AUC that a probe may reach; ``None`` means no limit."""

    pooled: float | None = None
    any_type: float | None = None


@dataclass(frozen=True)
class Bars:
    """Limits of all probes, above which a dataset has a shortcut.

    ``spectrum`` and ``energy`` have no limit, because attacks do change texture.
    """

    mean_color: Bar = field(default_factory=lambda: Bar(0.65, 0.75))
    thumbnail: Bar = field(default_factory=lambda: Bar(0.65, 0.75))
    border: Bar = field(default_factory=lambda: Bar(0.65, 0.75))
    file_size: Bar = field(default_factory=lambda: Bar(pooled=0.60))
    spectrum: Bar = field(default_factory=Bar)
    high_pass: Bar = field(default_factory=lambda: Bar(any_type=0.98))
    energy: Bar = field(default_factory=Bar)

    def limit(self, probe: str, type_name: str) -> float | None:
        """Return a probe's limit for one attack type or for all together (``POOLED``)."""
        bar: Bar = getattr(self, probe)
        return bar.pooled if type_name == POOLED else bar.any_type


@dataclass(frozen=True)
class Audit:
    """Results of an audit.

    ``table`` has a row for each probe and attack type (and ``POOLED``) with the columns probe,
    type, images (number of attacks), model (the better one), auc, low, high (95% interval over
    subjects), bar (the limit, NaN if there is none), and broken. ``equal_contents`` names images
    with the same bytes in train and in the measured split.
    """

    dataset: str
    checksum: str
    protocol: str
    split: str
    table: pd.DataFrame
    equal_contents: dict[str, Any] = field(default_factory=dict)

    @property
    def broken(self) -> pd.DataFrame:
        """The rows that exceed their limit."""
        return self.table[self.table["broken"]]

    def auc(self, probe: str, type_name: str = POOLED) -> float:
        """Return a probe's AUC for one attack type or for all together.

        Raises:
            KeyError: If the probe or type was not measured.
        """
        rows = self.table.set_index(["probe", "type"])
        return float(rows.loc[(probe, type_name), "auc"])

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON; a missing limit is None."""
        rows = self.table.astype(object).where(self.table.notna(), None).to_dict("records")
        about = {key: value for key, value in asdict(self).items() if key != "table"}
        return {**about, "passed": self.broken.empty, "rows": rows}

    def to_text(self) -> str:
        """Format a table of AUC (percent), types by probes; ``!`` marks an exceeded limit."""
        marked = self.table.assign(
            cell=[
                f"{100 * row.auc:.1f}{'!' if row.broken else ' '}"
                for row in self.table.itertuples()
            ]
        )
        wide = marked.pivot(index="type", columns="probe", values="cell")
        wide = wide.reindex(marked["type"].unique())[list(marked["probe"].unique())]
        counts = marked.drop_duplicates("type").set_index("type")["images"]
        wide.insert(0, "images", counts)
        head = (
            f"{self.dataset}, {self.protocol}, {self.split}: AUC (%) of probes trained on train, "
            "the better of two models\n"
        )
        body = wide.rename_axis(index=None, columns=None).to_string()
        parts = [head + body, self._intervals(), self._verdict()]
        return "\n\n".join([*parts, *filter(None, ["\n".join(told_equal(self.equal_contents))])])

    def _intervals(self) -> str:
        rows = self.table[self.table["type"] == POOLED]
        lines = [
            f"  {row.probe:<11} {DIMENSIONS[row.probe]:>3} numbers  {100 * row.auc:5.1f} "
            f"[{100 * row.low:.1f}, {100 * row.high:.1f}]  {row.model}"
            for row in rows.itertuples()
        ]
        return "All attacks, with 95% intervals over subjects:\n" + "\n".join(lines)

    def _verdict(self) -> str:
        if self.broken.empty:
            limited = self.table["bar"].notna().any()
            return "No probe exceeds its limit." if limited else "No limits were set."
        lines = [
            f"SHORTCUT: {row.probe} reaches {100 * row.auc:.1f} for {row.type}; "
            f"at most {100 * row.bar:.0f} is allowed"
            for row in self.broken.itertuples()
        ]
        return "\n".join(lines)


def audit_dataset(
    folder: str | Path,
    protocol: str = "p1",
    split: str = "dev",
    *,
    bars: Bars | None = None,
    probes: Iterable[str] = tuple(DIMENSIONS),
    seed: int = 0,
) -> Audit:
    """Train every probe on train and measure it on ``split``, pooled and by attack type.

    Args:
        folder: A prepared dataset.
        protocol: Protocol that assigns images to splits.
        split: ``"dev"``, or ``"test"`` when the dataset is final.
        bars: Limits of the AUC; ``None`` only measures.
        probes: Names from ``probes.DIMENSIONS``.
        seed: Seed of the boosting and of the resampled subjects.

    Raises:
        DatasetError: If the dataset breaks its contract or lacks live images or attacks.
        ValueError: If the protocol, split, or a probe is unknown.
    """
    probes = tuple(probes)
    unknown = [name for name in probes if name not in DIMENSIONS]
    if unknown:
        raise ValueError(f"unknown probe {unknown[0]!r}; known: {', '.join(DIMENSIONS)}")
    dataset = read_dataset(folder)
    images = _images(dataset, protocol, split)
    features = dataset_features(dataset, images)
    measured, train = images["split"] == split, images["split"] == "train"
    rows = []
    for probe in tqdm(probes, desc="fit probes", unit="probe"):
        scores = _scores(features[probe], images, train.to_numpy(), seed)
        told = scores[measured.to_numpy()].assign(
            **{name: images.loc[measured, name].to_numpy() for name in ("type", "subject")}
        )
        rows += [_row(probe, name, told, bars, seed) for name in _types(told)]
    info, table = dataset.info, pd.DataFrame(rows)
    equal = _equal_contents(dataset, images)
    return Audit(info["name"], info["checksums"]["dataset"], protocol, split, table, equal)


def dataset_features(dataset: PreparedDataset, images: pd.DataFrame) -> dict[str, Features]:
    """Compute every probe's features of ``images`` (columns id, path), by probe.

    Raises:
        DatasetError: If an image is missing or does not decode.
    """
    parts: list[dict[str, Features]] = []
    batch: list[NDArray[np.uint8]] = []
    sizes = []
    for row in tqdm(images[["id", "path"]].to_dict("records"), desc="features", unit="image"):
        path = dataset.locate(row["path"])
        picture = read_image(path, row["id"])
        sizes.append(path.stat().st_size)
        if batch and (len(batch) == _BATCH or batch[0].shape != picture.shape):
            parts.append(picture_features(np.stack(batch)))
            batch = []
        batch.append(picture)
    parts.append(picture_features(np.stack(batch)))
    features = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {**features, FILE_SIZE: file_size(np.array(sizes))}


def auc_interval(
    score: NDArray[np.float64],
    is_attack: NDArray[np.bool_],
    subject: NDArray[Any],
    *,
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return the AUC and its 95% interval over resampled subjects.

    Each resample draws as many subjects as there are, with replacement, and takes all images of
    each. A tie between a live image and an attack counts half.

    Returns:
        The AUC of all images, and the bounds.
    """
    numbers = np.unique(subject, return_inverse=True)[1]
    count = numbers.max() + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    weights = np.concatenate([np.ones((1, count), int), draws])[:, numbers]
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) != 0])
    attack = np.add.reduceat(weights[:, order] * is_attack[order], starts, axis=1)
    live = np.add.reduceat(weights[:, order] * ~is_attack[order], starts, axis=1)
    below = np.cumsum(live, axis=1) - live / 2
    with np.errstate(invalid="ignore"):  # NaN without live images or attacks, ignored below
        auc = (attack * below).sum(1) / (attack.sum(1) * live.sum(1))
    low, high = np.nanquantile(auc[1:], [0.025, 0.975])
    return float(auc[0]), float(low), float(high)


def _images(dataset: PreparedDataset, protocol: str, split: str) -> pd.DataFrame:
    """Return the rows of train and of the measured split, with a column ``split``."""
    if protocol not in dataset.protocols:
        known = ", ".join(dataset.protocols)
        raise ValueError(f"unknown protocol {protocol!r}; {dataset.folder} has: {known}")
    if split not in SPLITS[1:]:
        raise ValueError(f"split is {split!r}; expected dev or test (probes are trained on train)")
    images = dataset.manifest.merge(dataset.protocols[protocol], on="id")
    images = images[images["split"].isin(["train", split])].reset_index(drop=True)
    for name in ("train", split):
        labels = images.loc[images["split"] == name, "label"]
        if labels.nunique() < 2:
            raise DatasetError(
                f"{dataset.folder}: protocol {protocol!r} has {len(labels)} images in {name}; "
                "live images and attacks are both needed"
            )
    return images


def _equal_contents(dataset: PreparedDataset, images: pd.DataFrame) -> dict[str, Any]:
    contents = (image_bytes(dataset.locate(path)) for path in images["path"])
    digests = [hashlib.sha256(data).hexdigest() for data in contents]
    return equal_files(images.assign(sha256=digests)).summary()


def _scores(
    features: Features, images: pd.DataFrame, train: NDArray[np.bool_], seed: int
) -> pd.DataFrame:
    """Return every image's scores, one column per model, higher for attacks."""
    is_attack = (images["label"] != LIVE).to_numpy()
    scores = {}
    for name, model in _models(seed).items():
        model.fit(features[train], is_attack[train])
        scores[name] = model.predict_proba(features)[:, 1]
    return pd.DataFrame(scores)


def _models(seed: int) -> dict[str, ClassifierMixin]:
    logistic = LogisticRegression(C=0.1, max_iter=500, class_weight="balanced")
    boosting = HistGradientBoostingClassifier(
        max_iter=120, max_leaf_nodes=12, learning_rate=0.08, random_state=seed
    )
    return {"logistic": make_pipeline(StandardScaler(), logistic), "boosting": boosting}


def _types(images: pd.DataFrame) -> list[str]:
    present = set(images["type"])
    return [POOLED, *(name for name in ATTACK_TYPES if name in present)]


def _row(
    probe: str, type_name: str, told: pd.DataFrame, bars: Bars | None, seed: int
) -> dict[str, Any]:
    chosen = told if type_name == POOLED else told[told["type"].isin([LIVE, type_name])]
    is_attack, subject = (chosen["type"] != LIVE).to_numpy(), chosen["subject"].to_numpy()
    models = [name for name in told if name not in ("type", "subject")]
    results = {
        name: auc_interval(chosen[name].to_numpy(), is_attack, subject, seed=seed)
        for name in models
    }
    model = max(models, key=lambda name: results[name][0])
    auc, low, high = results[model]
    bar = bars.limit(probe, type_name) if bars else None
    return {
        "probe": probe,
        "type": type_name,
        "images": int(is_attack.sum()),
        "model": model,
        "auc": auc,
        "low": low,
        "high": high,
        "bar": np.nan if bar is None else bar,
        "broken": bar is not None and auc > bar,
    }
