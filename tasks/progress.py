"""Training progress: a bar in a terminal, lines in a log, a ring on the run's page."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ganime.report.words import duration, number

if TYPE_CHECKING:  # who crawls does not wait for torch
    from ganime.training.pace import Progress

log = logging.getLogger("ganime.stages.train")
ARTIFACT_EVERY_S = 10.0  # each update is a request to the server
LINE_EVERY_S = 20.0


class TrainingProgress:
    """Called after every step; passes on only now and then what it is told."""

    def __init__(self, bar: Bar | None) -> None:
        self._bar = bar
        self._task = bar.add_task("train", total=None, speed=0.0, loss="") if bar else None
        self._artifact = cast(UUID, create_progress_artifact(0.0, key="train"))
        self._artifact_at = self._line_at = time.monotonic()

    def __call__(self, progress: "Progress") -> None:
        """Show where training stands."""
        losses = ", ".join(f"{name} {value:.2f}" for name, value in progress.losses.items())
        finished = progress.nimg >= progress.total
        now = time.monotonic()
        self._draw(progress, losses)
        if finished or now - self._artifact_at >= ARTIFACT_EVERY_S:
            self._artifact_at = now
            update_progress_artifact(
                self._artifact, 100.0 * progress.nimg / progress.total, described(progress)
            )
        if self._bar is None and (finished or now - self._line_at >= LINE_EVERY_S):
            self._line_at = now
            log.info(
                "train: %d of %d images shown, %.0f images/s, %.0f s to go, %s",
                progress.nimg,
                progress.total,
                progress.images_per_second,
                progress.eta_s,
                losses,
            )

    def _draw(self, progress: "Progress", losses: str) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                total=progress.total,
                completed=progress.nimg,
                speed=progress.images_per_second,
                loss=losses,
            )


def described(progress: "Progress") -> str:
    """Where training stands, in a line: thousands of images shown, speed, time to go, losses."""
    left = duration(timedelta(seconds=round(progress.eta_s)))
    told = [
        f"{progress.nimg / 1000:.1f} of {progress.total / 1000:.1f} kimg",
        f"{number(progress.images_per_second)} images/s",
        "done" if progress.nimg >= progress.total else f"{left} to go",
        *(f"{name.replace('_', ' ')} {number(value)}" for name, value in progress.losses.items()),
    ]
    return ", ".join(told)


@contextmanager
def training_progress() -> Iterator[TrainingProgress]:
    """Progress for the length of one training."""
    if not sys.stderr.isatty():
        yield TrainingProgress(None)
        return
    columns = (
        TextColumn("train"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} images, {task.fields[speed]:.0f}/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield TrainingProgress(bar)
