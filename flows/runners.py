"""Where the shards of a stage run: threads of this process, or Dask workers, here or elsewhere.

Shards write the same manifests wherever they run, so this is a matter of where there are cores and
no setting of a stage. `--runner` says it for a command; GANIME_RUNNER for deployed runs, in the
job variables of a pool.
"""

import os
import socket
from typing import Any
from urllib.parse import urlsplit

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from ganime.errors import ConfigError

VARIABLE = "GANIME_RUNNER"
THREADS = "threads"
# Two shards at once: one waits for the network or the disk while the other computes.
_NUM_THREADS = 2
_CONNECT_S = 5.0  # a scheduler in the same network answers within milliseconds
_KNOWN = f"{THREADS}, dask, dask:WORKERS or dask://HOST:PORT"

Runner = TaskRunner[Any]


def use(name: str) -> None:
    """Let flows that are imported from now on, here and in processes started here, use a runner.

    Args:
        name: As for `runner_of`; empty for the environment's.

    Raises:
        ConfigError: no such runner, its package is missing, or its scheduler does not answer.
    """
    if name:
        runner_of(name)
        os.environ[VARIABLE] = name


def runner_of(name: str) -> Runner:
    """The runner of this name.

    Args:
        name: `threads`; `dask` or `dask:4`, a cluster of that many processes (else one per core)
            for the length of a flow; `dask://host:8786`, a cluster that is there already.

    Raises:
        ConfigError: no such runner, its package is missing, or its scheduler does not answer.
    """
    if name == THREADS:
        return ThreadPoolTaskRunner(max_workers=_NUM_THREADS)
    kind, _, rest = name.partition(":")
    if kind != "dask":
        raise ConfigError(f"no runner is called {name!r}; known: {_KNOWN}")
    if rest.startswith("//"):
        return _dask(address=_scheduler(name))
    return _dask(cluster_kwargs=_local_cluster(name, rest))


def _local_cluster(name: str, workers: str) -> dict[str, Any]:
    if workers and not (workers.isascii() and workers.isdigit() and int(workers)):
        raise ConfigError(f"{name!r} names no number of workers: wanted {_KNOWN}")
    return {
        "n_workers": int(workers or os.cpu_count() or 1),
        # The stages' own threads keep a core busy.
        "threads_per_worker": 1,
        # A page that would listen at every address.
        "dashboard_address": None,
    }


def _scheduler(name: str) -> str:
    """Dask's address of the scheduler, which answers.

    Raises:
        ConfigError: it does not, or the name is none of an address.
    """
    try:
        parts = urlsplit(name)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise ConfigError(f"{name!r} names no scheduler: wanted {_KNOWN}")
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        raise ConfigError(
            f"no Dask scheduler answers at {host}:{port} ({error.strerror or error}): start one "
            "with `dask scheduler` and workers with `dask worker`, or leave out --runner"
        ) from error
    return f"tcp://{f'[{host}]' if ':' in host else host}:{port}"


def _dask(**options: Any) -> Runner:
    try:
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError as error:
        raise ConfigError(
            "shards on Dask want a package: pip install 'ganime[dask]', on the workers as well"
        ) from error
    return DaskTaskRunner(**options)


SHARDS = runner_of(os.environ.get(VARIABLE) or THREADS)
