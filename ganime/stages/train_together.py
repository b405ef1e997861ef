"""Train one model with several processes of this machine, started by torchrun.

The processes are workers that run `ganime.stages.train` on the same dataset; the first of them
reports on its standard output, which the caller reads. On a GPU machine each worker takes one GPU
(nccl), on a CPU a share of the cores (gloo).
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import torch

from ganime import errors
from ganime.errors import ConfigError, GanimeError, TrainingDiverged
from ganime.stages import train
from ganime.stages.train import TrainConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from ganime.training.batches import Examples
from ganime.training.pace import Progress

_DONE, _ERROR = "model", "error"
_LINES_KEPT = 20  # of what workers wrote, for the error message


def run(
    workspace: Workspace,
    config: TrainConfig,
    dataset: tuple[str, str],
    run_id: str,
    progress: Callable[[Progress], None] | None = None,
) -> str:
    """See `ganime.stages.train.run`, with `config.processes` workers.

    Args:
        workspace: Where; every worker opens it anew.
        config: The settings.
        dataset: Name and version.
        run_id: Kept in the footer of the metrics.
        progress: Called with what the first worker reports.

    Returns:
        The model's id.

    Raises:
        ConfigError: more processes than GPUs.
        GanimeError: what a worker raised; `TrainingDiverged` with the last words of one that ended
            in another way.
    """
    if torch.cuda.is_available() and config.processes > torch.cuda.device_count():
        raise ConfigError(
            f"train.processes is {config.processes}, but this machine has "
            f"{torch.cuda.device_count()} GPUs: give each process one"
        )
    job = {
        "workspace": workspace.url,
        "config": json.loads(config.canonical()),
        "dataset": list(dataset),
        "run_id": run_id,
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job))
        return _supervise(_command(config.processes, path), progress)


def _command(processes: int, job: Path) -> list[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, f"--nproc-per-node={processes}", "-m", __name__, str(job)]


def _supervise(command: list[str], progress: Callable[[Progress], None] | None) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # `num_threads` decides, in each worker
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as workers:
        assert workers.stdout is not None
        try:
            told, said = _listen(workers.stdout, progress)
        except BaseException:
            workers.terminate()
            raise
    if _ERROR in told:
        raise getattr(errors, told["kind"])(told[_ERROR])
    if workers.returncode or _DONE not in told:
        raise TrainingDiverged(
            f"a training process ended with status {workers.returncode}; the last lines were:\n"
            + "\n".join(said)
        )
    return told[_DONE]


def _listen(
    lines: IO[str], progress: Callable[[Progress], None] | None
) -> tuple[dict[str, str], list[str]]:
    """What workers said in the end; and the last lines that were not reports."""
    last, said = dict[str, str](), deque[str](maxlen=_LINES_KEPT)
    for line in lines:
        try:
            told = json.loads(line)
        except json.JSONDecodeError:
            told = None
        if not isinstance(told, dict):
            said.append(line.rstrip())
        elif "nimg" in told:
            if progress is not None:
                progress(Progress(**told))
        else:
            last = last or told  # the first error is the cause of the others
    return last, list(said)


def examples_of(dataset: Dataset) -> Examples:
    """What a generator learns from: the training split, and its tags where there are any."""
    tags = tuple(dataset.tags)
    return Examples(dataset.split("train"), dataset.split_labels("train") if tags else None, tags)


def _work(path: Path) -> None:
    """One worker, from the job that `run` wrote."""
    job = json.loads(path.read_text())
    workspace, config = Workspace(job["workspace"]), TrainConfig.parse(job["config"])
    name, version = job["dataset"]
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        model = train.run(
            workspace,
            config,
            examples_of(Dataset(workspace, name, version)),
            f"{name}/{version}",
            job["run_id"],
            lambda told: _report(asdict(told)),
        )
    except GanimeError as error:
        _report({_ERROR: str(error), "kind": type(error).__name__})
        sys.exit(1)
    if os.environ["RANK"] == "0":
        _report({_DONE: model})


def _report(told: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
