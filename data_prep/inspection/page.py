"""An inspection as one HTML page that needs nothing else: no script, no outside request.

Names in a dataset are a stranger's text, so everything that is not this module's own passes
through ``html.escape``; a content security policy forbids scripts and requests besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_prep.atomic import write_atomically
from data_prep.inspection.files import ALL, Finding, Inspection, inspect_dataset
from data_prep.inspection.pictures import Thumbnail, draw_map, separation, sheets, texture_map
from data_prep.manifest import read_dataset

MOST_ROWS = 20

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5a6068; --paper: #ffffff;
  --line: #d4d8dd; --band: #f2f4f6; --bad: #a8200d; --good: #0b6b3a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --soft: #a8afb8; --paper: #16181c;
  --line: #3a3f46; --band: #212429; --bad: #ff9d8a; --good: #6fd8a2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
a { color: inherit; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; background: var(--paper); padding: .5rem; }
.soft, figcaption { color: var(--soft); font-size: .875rem; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); font-weight: 600; }
.tables { display: flex; flex-wrap: wrap; gap: 1.2rem 3rem; }
.wide { overflow-x: auto; max-width: 100%; }
.wide:focus-visible, a:focus-visible, summary:focus-visible { outline: 3px solid #2f7de1; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: .875rem; padding: .2rem 0; }
th, td { padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: normal; white-space: nowrap; }
td { text-align: right; } th { text-align: left; } thead th + th + th { text-align: right; }
@media (max-width: 30rem) { table { font-size: .8rem; } th, td { padding-right: .45rem; } }
tr.sum { background: var(--band); font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
.sheet { display: grid; gap: .5rem; padding: 0; margin: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); }
.sheet img { width: 100%; max-width: 7rem; display: block; border-radius: 3px; }
.sheet span { color: var(--soft); font-size: .75rem; line-height: 1.2; display: block; }
.map img { max-width: 100%; height: auto; } figure { margin: 0; }
details { margin: .4rem 0; } summary { cursor: pointer; }
"""

HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
"""


def write_inspection(
    folder: str | Path,
    out: str | Path,
    each: int = 8,
    most: int = 1000,
    seed: int = 0,
    workers: int | None = None,
) -> Inspection:
    """Look at a prepared dataset and write what is found as one page.

    Args:
        folder: a prepared dataset.
        out: the page to write (.html).
        each: thumbnails of each type.
        most: images on the map.
        seed: which images are shown.
        workers: threads that read files; None: one a core.

    Raises:
        DatasetError: there is no dataset, or a table breaks the contract.
    """
    inspection = inspect_dataset(read_dataset(folder), workers)
    thumbnails = sheets(inspection.dataset, inspection.readable, each, seed)
    mapped = texture_map(inspection.dataset, inspection.readable, most, seed)
    page = render(inspection, thumbnails, *mapped, seed)
    # A lone surrogate (a name that is no text) would otherwise keep the page from being written.
    data = page.encode("utf-8", "backslashreplace")
    write_atomically(Path(out), lambda path: path.write_bytes(data))
    return inspection


def render(
    inspection: Inspection,
    thumbnails: dict[str, list[Thumbnail]],
    mapped: pd.DataFrame,
    places: NDArray[np.float64],
    seed: int,
) -> str:
    """The page as text."""
    title = f"Inspection of {inspection.dataset.info['name']}"
    parts = [
        HEAD.format(title=escape(title), style=STYLE),
        f"<header><h1>{escape(title)}</h1>{_verdict(inspection)}{_facts(inspection)}</header>",
        '<main id="main">',
        _section("Findings", _findings(inspection.findings)),
        _section("Counts", _tables(inspection.counts)),
        _section("Sizes", _sizes(inspection.readable)),
        _section("Contact sheet", _sheets(inspection, thumbnails)),
        _section("Map of textures", _map(mapped, places, seed)),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _section(title: str, content: str) -> str:
    key = title.lower().replace(" ", "-")
    return f'<section aria-labelledby="{key}"><h2 id="{key}">{title}</h2>\n{content}</section>'


def _verdict(inspection: Inspection) -> str:
    serious = sum(finding.serious for finding in inspection.findings)
    if serious:
        word = "thing has" if serious == 1 else "things have"
        return f'<p class="bad">✗ {serious} {word} to be put right; see the findings.</p>'
    return (
        f'<p class="good">✓ All {len(inspection.images):,} images are there, decode, and are the '
        "ones that the dataset was written with; no image stands in two splits.</p>"
    )


def _facts(inspection: Inspection) -> str:
    info, manifest = inspection.dataset.info, inspection.dataset.manifest
    live = int((manifest["label"] == "live").sum())
    facts = {
        "images": f"{len(manifest):,} ({live:,} live, {len(manifest) - live:,} fake)",
        "people": f"{manifest['subject'].nunique():,}",
        "version": info["version"],
        "license": info["license"],
        "made by": info["generator"],
        "checksum": info["checksums"]["dataset"][:16],
    }
    rows = (f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in facts.items())
    return f"<dl>{''.join(rows)}</dl>"


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<p>No missing, unreadable, changed, duplicate, tiny or misnamed file.</p>"
    return "\n".join(_finding(finding) for finding in findings)


def _finding(finding: Finding) -> str:
    sign = '<span class="bad">✗ To be put right:</span>' if finding.serious else "To know:"
    count = len(finding.rows)
    more = f"<li>and {count - MOST_ROWS:,} more</li>" if count > MOST_ROWS else ""
    return (
        f"<h3>{sign} {escape(finding.title)} ({count:,})</h3><p>{escape(finding.advice)}</p>"
        f"<details{' open' if count <= 5 else ''}><summary>Show them</summary>"
        f"<ul>{_items(finding.rows[:MOST_ROWS])}{more}</ul></details>"
    )


def _items(rows: Iterable[str]) -> str:
    return "".join(f"<li><bdi>{escape(row)}</bdi></li>" for row in rows)


def _tables(counts: dict[str, pd.DataFrame]) -> str:
    tables = [_counts(name, table) for name, table in counts.items()]
    return f'<div class="tables">{"".join(tables)}</div>'


def _counts(name: str, table: pd.DataFrame) -> str:
    title = "All images" if name == ALL else f"Protocol {name}"
    caption = f"{title}: images by family and type" + ("" if name == ALL else " in each split")
    head = "".join(f'<th scope="col">{escape(str(column))}</th>' for column in table.columns)
    rows = []
    for (family, kind), numbers in zip(table.index, table.to_numpy(), strict=True):
        cells = "".join(f"<td>{number:,}</td>" for number in numbers)
        words = "".join(f'<th scope="row">{escape(_plain(word))}</th>' for word in (kind, family))
        if kind == ALL:
            words = '<th scope="row" colspan="2">all</th>'
        rows.append(f"<tr{' class=sum' if kind == ALL else ''}>{words}{cells}</tr>")
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f'<caption>{escape(caption)}</caption><thead><tr><th scope="col">type</th>'
        f'<th scope="col">family</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _sizes(readable: pd.DataFrame) -> str:
    if readable.empty:
        return "<p>No image decodes.</p>"
    sizes = readable.groupby(["width", "height"]).size().sort_values(ascending=False)
    told = [f"{w} × {h}: {count:,}" for (w, h), count in sizes.head(8).items()]
    rest = f"<li>and {len(sizes) - 8:,} more sizes</li>" if len(sizes) > 8 else ""
    median = readable.groupby(readable["label"])["bytes"].median()
    files = ", ".join(f"{label} {int(size):,} bytes" for label, size in median.items())
    return (
        f"<p>Width × height in pixels, and how many images have it:</p><ul>{_items(told)}{rest}"
        f"</ul><p>Median size of a file: {escape(files)}. All files together: "
        f"{readable['bytes'].sum() / 2**20:,.1f} MiB.</p>"
    )


def _sheets(inspection: Inspection, thumbnails: dict[str, list[Thumbnail]]) -> str:
    totals = inspection.dataset.manifest["type"].value_counts()
    families = dict(inspection.dataset.manifest[["type", "family"]].drop_duplicates().to_numpy())
    parts = ["<p>Of different people, as far as there are any; drawn by the seed.</p>"]
    for kind, shown in thumbnails.items():
        family = "" if families[kind] == kind else f"{families[kind]}, "
        parts.append(f"<h3>{escape(_plain(kind))} ({escape(family)}{totals[kind]:,} images)</h3>")
        parts.append(f'<ul class="sheet">{"".join(_thumbnail(kind, one) for one in shown)}</ul>')
    return "\n".join(parts)


def _thumbnail(kind: str, shown: Thumbnail) -> str:
    alt = escape(f"{_plain(kind)}, person {shown.subject}, image {shown.id}")
    return (
        f'<li><img src="{shown.address}" alt="{alt}">'
        f'<span aria-hidden="true"><bdi>{escape(shown.subject)}</bdi></span></li>'
    )


def _map(mapped: pd.DataFrame, places: NDArray[np.float64], seed: int) -> str:
    if mapped.empty:
        return "<p>Too few images decode to draw a map.</p>"
    share, own = separation(mapped, places), mapped["label"].value_counts(normalize=True).max()
    alt = escape(
        f"Scatter plot of {len(mapped):,} images placed by t-SNE, marked by family; the ten "
        f"nearest neighbors of {share:.0%} of them are mostly of the same label"
    )
    return (
        f'<figure class="map"><picture><source media="(prefers-color-scheme: dark)" '
        f'srcset="{draw_map(mapped, places, dark=True)}">'
        f'<img src="{draw_map(mapped, places, dark=False)}" alt="{alt}"></picture>'
        f"<figcaption>{len(mapped):,} images, each type by its share (seed {seed}), placed by "
        "t-SNE so that neighbors are alike. Alike in 81 plain numbers of fine texture (residuals "
        "of a 3 × 3 mean, <code>data_prep.inspection.probes</code>), not in a trained network's "
        "features: a map like the paper's figure 4, made by other means. Distances between far "
        "groups and the directions mean nothing. "
        f"For {share:.0%} of the images most of the ten nearest neighbors carry the same label; "
        f"always saying the commoner label would be right for {own:.0%}.</figcaption></figure>"
    )


def _plain(word: str) -> str:
    return word.replace("_", " ")
