"""Execute every notebook, then build the site: ``python -m tools.build_book`` (``make book``).

Notebooks run in parallel under the preset that LASOFTMOE_PRESET names. Their outputs are kept in
``_build/executed/<preset>`` and used again until something they depend on changes
(`tools.fingerprint`). The site in ``_build/html`` is built from these outputs, and a warning is an
error. After a failure no site is left that could be mistaken for the current one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import nbformat
import yaml

from tools import machine, quiz, slides
from tools.fingerprint import notebook_fingerprint, shared_fingerprint, site_fingerprint
from tools.run_notebooks import Run, Store, execute_all
from tools.site import downloads, solutions

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
INDEX = BUILD / "html" / "index.html"
SITE_STAMP = BUILD / "site.json"
RUN_TIMES = BUILD / "run_times.json"


def chapters(book: Path) -> list[Path]:
    """Return the notebooks in the order of the table of contents."""
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    entries = [entry for part in toc["parts"] for entry in part["chapters"]]
    names = [toc["root"], *(entry["file"] for entry in entries)]
    return [book / f"{name}.ipynb" for name in names if (book / f"{name}.ipynb").exists()]


def check_preset(preset: str) -> None:
    """Stop before any notebook runs if the preset is unknown or this machine cannot run it."""
    from lasoftmoe.experiment import data_folder
    from lasoftmoe.experiment.config import ConfigError, load_config
    from lasoftmoe.experiment.preflight import PresetError, check_requirements

    try:
        config = load_config("vanilla", preset)
        check_requirements(config, data_folder(config))
    except (ConfigError, PresetError) as error:
        raise SystemExit(str(error)) from None


def check_machine(jobs: int) -> None:
    """Stop before any notebook runs if its processes could not work here."""
    lacking = machine.problems(jobs)
    if lacking:
        raise SystemExit(
            "notebooks cannot run here:\n" + "\n".join(f"  {line}" for line in lacking)
        )


def datasets() -> list[Path]:
    """Return the datasets that notebooks may read: the embedded one and the reader's own."""
    own = os.environ.get("LASOFTMOE_DATA")
    return [ROOT / "data" / "synthetic-laptop", *([Path(own)] if own else [])]


def kernel_environment(preset: str) -> None:
    """Set what kernels inherit."""
    os.environ["LASOFTMOE_PRESET"] = preset
    os.environ["TQDM_DISABLE"] = "1"  # a bar that has stopped moving says nothing on a page
    if preset == "laptop":
        # One thread a notebook: the notebooks share the cores, and sums come out the same
        # whatever the number of cores.
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = "1"


def fill_cache(paths: list[Path], runs: list[Run], store: Store) -> None:
    """Replace the execution cache of Jupyter Book with the stored runs.

    Cells and metadata come from the current notebook and only outputs from the stored run, because
    Jupyter Book takes metadata (alt texts, tags) from the cache.
    """
    from jupyter_cache import get_cache
    from jupyter_cache.cache.main import CacheBundleIn

    shutil.rmtree(BUILD / ".jupyter_cache", ignore_errors=True)
    cache = get_cache(BUILD / ".jupyter_cache")
    for path, run in zip(paths, runs, strict=True):
        notebook, executed = nbformat.read(path, as_version=4), store.read(path.stem)
        outputs = [cell for cell in executed.cells if cell.cell_type == "code"]
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for cell, done in zip(cells, outputs, strict=True):
            cell.outputs, cell.execution_count = done.outputs, done.execution_count
        for key in ("widgets", "language_info"):
            if key in executed.metadata:
                notebook.metadata[key] = executed.metadata[key]
        bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": run.seconds})
        cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def remove_site() -> None:
    """Delete the site and what it was built from, but keep finished runs."""
    for folder in ("html", ".doctrees", ".jupyter_cache", "jupyter_execute"):
        shutil.rmtree(BUILD / folder, ignore_errors=True)
    SITE_STAMP.unlink(missing_ok=True)


def build_site() -> None:
    """Call Jupyter Book, with warnings as errors."""
    jupyter_book = Path(sys.executable).parent / "jupyter-book"
    command = [str(jupyter_book), "build", "book", "-q", "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode or not INDEX.exists():
        remove_site()
        raise SystemExit("the site was not built: see the warnings above")


def print_times(runs: list[Run]) -> None:
    """Print one line per notebook, and write the same as JSON next to the site."""
    for run in runs:
        state = "failed" if run.error else "loaded" if run.reused else "executed"
        print(f"  {run.notebook:<28}{run.seconds:>8.1f} s  {state}")
    records = [{k: v for k, v in asdict(run).items() if k != "error"} for run in runs]
    BUILD.mkdir(exist_ok=True)
    RUN_TIMES.write_text(json.dumps(records, indent=1) + "\n")


def build(jobs: int, shown_solutions: str) -> None:
    """Bring runs and site up to date.

    Raises:
        SystemExit: A cell failed, or the site has a warning.
    """
    preset = os.environ.get("LASOFTMOE_PRESET") or "laptop"
    kernel_environment(preset)
    # Notebooks of the big preset share one GPU: one after the other.
    jobs = jobs if preset == "laptop" else 1
    os.environ[solutions.VARIABLE] = shown_solutions
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    shared = shared_fingerprint(ROOT, datasets())
    paths = chapters(ROOT / "book")
    marks = {path: notebook_fingerprint(shared, path) for path in paths}
    site = f"{site_fingerprint(ROOT, marks.values())} {shown_solutions}"
    if INDEX.exists() and SITE_STAMP.exists() and json.loads(SITE_STAMP.read_text()) == site:
        print(f"nothing changed: {INDEX.relative_to(ROOT)}")
        return
    remove_site()
    store = Store(BUILD / "executed" / preset)
    if not all(store.find(path.stem, mark) for path, mark in marks.items()):
        check_preset(preset)
        check_machine(jobs)
    print(f"preset {preset}: {len(paths)} notebooks, at most {jobs} at a time", flush=True)
    runs = asyncio.run(execute_all(marks, jobs, config["execute"]["timeout"], store))
    print_times(runs)
    failures = [run.error.strip().splitlines() for run in runs if run.error]
    if failures:
        told = [f"  {lines[0]} {lines[-1]}" for lines in failures]
        raise SystemExit("\n".join(["no site is built, these failed (tracebacks above):", *told]))
    fill_cache(paths, runs, store)
    build_site()
    repository = config["repository"]["url"]
    downloads.write_all(paths, INDEX.parent, repository, with_solved=shown_solutions != "none")
    slides.write_all(paths, BUILD / "executed" / preset, INDEX.parent / "slides")
    if shown_solutions != "none":
        quiz.write(INDEX.parent / downloads.BLANK)
    SITE_STAMP.write_text(json.dumps(site))


def main() -> None:
    """Read the command line, build, and print where the site is."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python -m tools.build_book --jobs 2 --solutions none",
        allow_abbrev=False,
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="notebooks at a time")
    parser.add_argument(
        "--solutions",
        choices=solutions.CHOICES,
        default="folded",
        help="of the exercises, on the pages: default folded",
    )
    given = parser.parse_args()
    start = time.perf_counter()
    build(given.jobs, given.solutions)
    print(f"{INDEX} ({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
