"""Independent units of work on many processes, with one thread each.

Rendering is bound by memory and by small kernels: two threads on busy cores run many times slower
than one thread a process. Which process does a unit must never change its result, so a unit draws
its random numbers from ``data_prep.seeds.derive_seed`` and from nothing else.
"""

from __future__ import annotations

import functools
import importlib
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import joblib
import torch
from tqdm import tqdm

BACKENDS = ("loky", "dask", "ray")
CLUSTER_VARIABLE = "DATA_PREP_CLUSTER"
LARGEST_BATCH = 8  # short units travel together
UNITS_IN_FLIGHT = 4 * LARGEST_BATCH
CONNECT_SECONDS = 10
RAY_ATTEMPTS = 4
PATIENCE_VARIABLE = "DATA_PREP_PATIENCE"
PATIENCE_SECONDS = 3600
"""How long to wait for a unit that was handed out; ``DATA_PREP_PATIENCE`` gives another time."""


def run_units(
    function: Callable[[Any], Any],
    units: Iterable[Any],
    workers: int | None = None,
    description: str = "",
    backend: str = "loky",
) -> list[Any]:
    """Call ``function`` on every unit and return the results in the order of the units.

    Shows a progress bar with the rate. No more than ``UNITS_IN_FLIGHT`` units a worker are handed
    out and not finished at any time, however many there are. Not even on a cluster does a unit's
    result depend on where it runs; there, ``function`` has to be importable and the folders that
    it uses have to be shared.

    Args:
        function: importable, with one argument.
        units: what to call it on.
        workers: processes; ``None`` takes every CPU core that this process may use, and all that
            a cluster has.
        description: what the progress bar says.
        backend: ``loky`` (processes of this machine), ``dask`` or ``ray``. The last two start a
            cluster on this machine, or use the one at the address after an ``@``
            (``dask@tcp://head:8786``, ``ray@head:6379``), else in ``DATA_PREP_CLUSTER``.

    Raises:
        ValueError: ``workers`` is less than 1, there is no such backend, it is not installed, or
            no cluster answers at the address.
        OSError: this machine has no shared memory for processes, a worker was killed, or one gave
            no answer for too long.
    """
    units = list(units)
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}; expected 1 or more")
    patience = _patience()
    if not units:
        return []
    bar = functools.partial(tqdm, total=len(units), desc=description, unit="unit")
    with _placed(backend, workers) as (name, processes):
        processes = min(processes, len(units))
        batch = max(1, min(LARGEST_BATCH, len(units) // (8 * processes)))
        jobs = (joblib.delayed(_numbered)(function, *pair) for pair in enumerate(units))
        pool = joblib.Parallel(
            n_jobs=processes,
            batch_size=batch,
            pre_dispatch=2 * processes * batch,
            return_as="list" if name == "ray" else "generator_unordered",
            # Ray's backend does not report what is finished, so it cannot be timed.
            timeout=patience if name != "ray" and processes > 1 else None,
        )
        if name == "loky" and processes > 1:
            _check_machine()
        with _told(patience):
            # Ray returns nothing before the end, so its bar counts what was handed out.
            numbered = pool(bar(jobs)) if name == "ray" else list(bar(pool(jobs)))
    return [result for _, result in sorted(numbered, key=itemgetter(0))]


def _patience() -> float:
    text = os.environ.get(PATIENCE_VARIABLE, "") or str(PATIENCE_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{PATIENCE_VARIABLE} is {text[:40]!r}; expected a number of seconds")
    return seconds


def _check_machine() -> None:
    """Check that processes can share a semaphore, which fails without room in ``/dev/shm``."""
    try:
        multiprocessing.get_context("spawn").Lock()
    except OSError as error:
        raise OSError(
            f"this machine cannot start worker processes ({error}): they need shared memory, on "
            "Linux the folder /dev/shm, writable and not full. Free some, or run with --workers 1"
        ) from error


@contextmanager
def _told(patience: float) -> Iterator[None]:
    """Say in our own words what became of a worker."""
    try:
        yield
    except BrokenProcessPool as error:
        raise OSError(
            "a worker process was killed, as a rule by the system because memory ran out; what is "
            "finished is kept. Run the same command again, with fewer --workers if memory is short"
        ) from error
    except multiprocessing.TimeoutError as error:
        raise OSError(
            f"a worker process has given no answer for {patience:g} seconds: is its storage gone, "
            "or was it stopped? What is finished is kept, so run the same command again; where "
            f"single units take longer, set {PATIENCE_VARIABLE} to more seconds"
        ) from error


@contextmanager
def _placed(backend: str, workers: int | None) -> Iterator[tuple[str, int]]:
    """Let joblib run on the backend; gives its name and the number of its processes."""
    name, _, address = backend.partition("@")
    if name not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; expected one of: {', '.join(BACKENDS)}")
    if name == "loky":
        if address:
            raise ValueError(f"{backend!r}: loky has no address; it runs on this machine alone")
        yield name, workers or joblib.cpu_count()
        return
    _import(name)
    address = address or os.environ.get(CLUSTER_VARIABLE, "")
    connected = _dask(address, workers) if name == "dask" else _ray(address, workers)
    with connected as processes, joblib.parallel_config(name):
        yield name, processes


def _import(backend: str) -> None:
    if backend == "ray":
        # Ray reports how it is used to its makers, unless told not to before it is imported.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a warning about GPUs
    try:
        importlib.import_module("distributed" if backend == "dask" else "ray")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the backend {backend!r} needs {error.name}, which is not installed: "
            "pip install 'lasoftmoe[scale]'"
        ) from error


@contextmanager
def _dask(address: str, workers: int | None) -> Iterator[int]:
    import distributed

    if not address:
        processes = workers or joblib.cpu_count()
        with (
            distributed.LocalCluster(
                n_workers=processes, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster),
        ):
            yield processes
        return
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler answers at {address!r}: {error}") from error
    with client:
        yield workers or max(1, sum(client.ncores().values()))


@contextmanager
def _ray(address: str, workers: int | None) -> Iterator[int]:
    import ray
    from ray.util.joblib import register_ray

    quiet = {"log_to_driver": False, "logging_level": "error"}
    if address:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError) as error:
            raise ValueError(f"no Ray cluster answers at {address!r}: {error}") from error
    else:
        _start_ray(num_cpus=workers or joblib.cpu_count(), include_dashboard=False, **quiet)
    try:
        register_ray()
        yield workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        ray.shutdown()


def _start_ray(**options: Any) -> None:
    """Ray gives its own processes half a minute to start, which a busy machine may need twice."""
    import ray

    for attempt in range(1, RAY_ATTEMPTS + 1):
        try:
            ray.init(address="local", **options)
            return
        except Exception as error:  # Ray raises no narrower class here
            ray.shutdown()
            if "timed out during startup" not in str(error) or attempt == RAY_ATTEMPTS:
                raise OSError(f"Ray does not start on this machine: {error}") from error


def _numbered(function: Callable[[Any], Any], number: int, unit: Any) -> tuple[int, Any]:
    return number, _with_one_thread(function, unit)


def _with_one_thread(function: Callable[[Any], Any], unit: Any) -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return function(unit)
    finally:
        # With one worker this is the caller's own process.
        torch.set_num_threads(threads)
