"""One model on its way: what is written when, and what is done when something goes wrong."""

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ganime.errors import TrainingDiverged
from ganime.images import encode_png
from ganime.rows import MetricRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace
from ganime.training import checkpoint, sheets, snapshot
from ganime.training.batches import Examples
from ganime.training.ema import calibrated
from ganime.training.generator import Blueprint, Generator
from ganime.training.health import Examiner, Health
from ganime.training.keys import finished_key, grid_key
from ganime.training.loop import Trainer
from ganime.training.pace import Pace, Progress
from ganime.training.tensorboard import Board
from ganime.training.world import World

log = logging.getLogger(__name__)

SLOWER = 0.5  # factor on the learning rates after a run diverged
CALIBRATION = (8, 64)  # batches of samples, and their size, that batch norms are measured with
NUM_EXAMINED = 256  # samples
LEAST_SPREAD = 0.25  # of samples against reals; below it they look alike
TIME_TO_VARY = 0.25  # of the run, before a collapse is looked for

Score = Callable[[Generator], float]
"""Judges a generator, less being better."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to do what, and how to meet trouble.

    Attributes:
        nimg: Real images to show in all.
        metric_nimg: Images between rows of metrics.
        snapshot_nimg: Images between snapshots.
        checkpoint_nimg: Images between checkpoints.
        keep_checkpoints: How many to keep.
        max_rollbacks: How often to go back when a loss is not finite.
        stop_on_collapse: Whether to end when samples look alike.
        patience: Snapshots without a better score before the end; 0 for no such end.
        tensorboard: Whether to write events for it.
    """

    nimg: int
    metric_nimg: int
    snapshot_nimg: int
    checkpoint_nimg: int
    keep_checkpoints: int
    max_rollbacks: int
    stop_on_collapse: bool
    patience: int
    tensorboard: bool


class Run:
    """Trains one model to its end.

    Args:
        workspace: Where.
        identity: The model's id.
        schedule: When to do what.
        make: Makes its trainer, untrained.
        blueprint: What its generator is.
        examples: What it learns from.
        provenance: For the footer of the metrics.
        world: The processes that train it.
        score: Judges each snapshot; the best one is noted.
    """

    def __init__(
        self,
        workspace: Workspace,
        identity: str,
        schedule: Schedule,
        *,
        make: Callable[[], Trainer],
        blueprint: Blueprint,
        examples: Examples,
        provenance: Provenance,
        world: World,
        score: Score | None = None,
    ) -> None:
        self._workspace, self._identity, self._schedule = workspace, identity, schedule
        self._make, self._blueprint, self._world = make, blueprint, world
        self._provenance, self._score = provenance, score
        self._examples = examples
        self._examiner = Examiner(examples.images) if world.leads else None
        self._metrics = Table(workspace, MetricRow, root=f"models/{identity}")
        self._rows: list[MetricRow] = []  # not written yet
        self._board: Board | None = None
        self._trainer = make()
        self._rollbacks = 0

    @property
    def nimg(self) -> int:
        """Real images shown so far."""
        return self._trainer.nimg

    def train(self, progress: Callable[[Progress], None] | None) -> str:
        """Train until all images were shown, or until going on is of no use.

        Returns:
            Why it ended, one phrase.

        Raises:
            TrainingDiverged: again and again, at ever lower learning rates.
        """
        resumed = self._resume()
        if resumed is not None:
            log.info("train: model %s goes on at %d images shown", self._identity, resumed)
        if self._schedule.tensorboard and self._world.leads:
            self._board = Board(self._workspace, self._identity, self._trainer.nimg + 1)
        ended = "all images were shown" if self._trainer.done else None
        pace, losses = Pace(self._trainer.nimg), dict[str, float]()
        while ended is None:
            before = self._trainer.nimg
            try:
                self._trainer.step()
                told = pace.progress(self._trainer.nimg, self._schedule.nimg, losses)
                if self._due(before, self._schedule.metric_nimg):
                    losses = self._take_rows(told)
                if progress is not None and self._world.leads:
                    progress(told)
                ended = self._write_what_is_due(before)
            except TrainingDiverged as error:
                self._roll_back(error)
                pace = Pace(self._trainer.nimg)
        return ended

    def _write_what_is_due(self, before: int) -> str | None:
        """Snapshot and checkpoint; why to end, if there is a reason."""
        ended = self._take_snapshot() if self._snapshot_due(before) else None
        if ended is None and self._trainer.done:
            ended = "all images were shown"
        if self._due(before, self._schedule.checkpoint_nimg) or ended is not None:
            self._save_checkpoint()
        return ended

    def _resume(self) -> int | None:
        load = self._trainer.load_state
        resumed = checkpoint.resume(self._workspace, self._identity, load)
        # The rates that a checkpoint was made at tell how often they had been lowered.
        lowered = round(math.log(self._trainer.slowdown) / math.log(SLOWER))
        self._rollbacks = max(self._rollbacks, lowered)
        return resumed

    def _due(self, before: int, interval: int) -> bool:
        now = self._trainer.nimg
        return now // interval > before // interval or self._trainer.done

    def _snapshot_due(self, before: int) -> bool:
        """Every `snapshot_nimg`, and once after a fifth of it: the first images teach the most."""
        early = self._schedule.snapshot_nimg // 5
        return self._due(before, self._schedule.snapshot_nimg) or (
            before < early <= self._trainer.nimg
        )

    def _take_rows(self, told: Progress) -> dict[str, float]:
        rows = self._trainer.monitor.rows(told.nimg)
        speed = MetricRow(nimg=told.nimg, name="images_per_second", value=told.images_per_second)
        self._note([*rows, speed])
        return {row.name: row.value for row in rows if row.name.startswith("loss_")}

    def _take_snapshot(self) -> str | None:
        """Write the averaged generator and look at it; why to stop, if there is a reason."""
        self._trainer.settle()
        reason = self._write_snapshot() if self._examiner is not None else None
        return self._world.first(reason)

    def _write_snapshot(self) -> str | None:
        assert self._examiner is not None
        nimg, blueprint = self._trainer.nimg, self._blueprint
        generator = Generator(self._calibrated(), blueprint, nimg)
        save = self._workspace.write_bytes
        snapshot.save_snapshot(self._workspace, self._identity, nimg, generator.network, blueprint)
        save(grid_key(self._identity, nimg), encode_png(sheets.grid(generator)))
        if blueprint.tag_names:
            sheet = sheets.tag_grid(generator, blueprint.tag_names)
            save(sheets.tag_grid_key(self._identity, nimg), encode_png(sheet))
        health = self._examiner.examine(generator.sample(NUM_EXAMINED, sheets.GRID_SEED))
        found = {"spread": health.spread, "recall_16px": health.recall, "copied": health.copied}
        if self._score is not None:
            found["score"] = self._score(generator)
        self._rows += [
            MetricRow(nimg=nimg, name=name, value=value) for name, value in found.items()
        ]
        return self._reason_to_stop(health)

    def _note(self, rows: Sequence[MetricRow]) -> None:
        """Rows for the next part of the metrics, and for who is watching."""
        self._rows += rows
        if self._board is not None:
            self._board.scalars(rows)

    def _calibrated(self) -> torch.nn.Module:
        num, batch = CALIBRATION
        inputs = [self._blueprint.latents(num * batch, 0)]
        if (tags := self._blueprint.tags(num * batch, 0)) is not None:
            inputs.append(tags)
        calls = list(zip(*(tensor.chunk(num) for tensor in inputs), strict=True))
        return calibrated(self._trainer.average.module, calls)

    def _reason_to_stop(self, health: Health) -> str | None:
        nimg = self._trainer.nimg
        if health.copied > 0:
            log.warning(
                "train: at %d images shown %.1f%% of the samples are copies of training images",
                *(nimg, 100 * health.copied),
            )
        if self._collapsed():
            text = (
                f"the generator collapsed: at {nimg} images shown its images differ from each "
                f"other by {health.spread:.0%} of what the real ones do"
            )
            log.warning("train: %s", text)
            if self._schedule.stop_on_collapse:
                return text
        return self._plateau() if self._schedule.patience else None

    def _collapsed(self) -> bool:
        """Whether samples look alike now and did at the examination before, but not earlier."""
        # A generator that has seen little makes blots that all look alike: give it some time.
        started = self._schedule.nimg * TIME_TO_VARY
        alike = [
            spread < LEAST_SPREAD
            for nimg, spread in self._history("spread").items()
            if nimg >= started
        ]
        return len(alike) >= 2 and alike[-2:] == [True, True] and alike[-3:-2] != [True]

    def _plateau(self) -> str | None:
        scores = self._history("score")
        if not scores:
            return None
        best = min(scores, key=lambda nimg: scores[nimg])
        if len([nimg for nimg in scores if nimg > best]) < self._schedule.patience:
            return None
        return f"no snapshot since {best} images shown scored better than {scores[best]:.4g}"

    def _history(self, name: str) -> dict[int, float]:
        """A metric by images shown, ascending; what a killed run wrote counts too."""
        rows = [row for row in [*self._metrics.rows(), *self._rows] if row.name == name]
        return {row.nimg: row.value for row in sorted(rows, key=lambda row: row.nimg)}

    def close(self) -> None:
        """Write what sums up the whole run: samples over time, and what they are nearest to."""
        if self._examiner is None:
            return
        if self._board is not None:
            self._board.close()
        sheets.write_progress(self._workspace, self._identity)
        generator = snapshot.load_generator(self._workspace, self._identity)
        samples = generator.sample(sheets.NUM_NEAREST, sheets.GRID_SEED)
        nearest = self._examples.images[self._examiner.nearest(samples, sheets.PER_NEAREST).ravel()]
        sheet = sheets.nearest_sheet(samples, nearest)
        self._workspace.write_bytes(sheets.nearest_key(self._identity), encode_png(sheet))

    def _save_checkpoint(self) -> None:
        trainer = self._trainer
        trainer.monitor.check(trainer.nimg)
        trainer.settle()
        if self._world.leads:
            # Rows first: whatever happens next, a checkpoint's rows are there.
            if self._rows:
                self._metrics.write(f"{trainer.nimg:09d}", self._rows, self._provenance)
            checkpoint.save_checkpoint(
                self._workspace,
                self._identity,
                trainer.nimg,
                trainer.state(),
                keep=self._schedule.keep_checkpoints,
            )
        self._rows = []
        self._world.wait()

    def _roll_back(self, error: TrainingDiverged) -> None:
        """Go back to the last checkpoint and on at lower learning rates."""
        if self._rollbacks >= self._schedule.max_rollbacks:
            raise error
        self._rollbacks += 1
        diverged_at, self._trainer = self._trainer.nimg, self._make()
        self._resume()
        self._trainer.slowdown = SLOWER**self._rollbacks
        nimg = self._trainer.nimg
        self._rows = [MetricRow(nimg=nimg, name="rollbacks", value=float(self._rollbacks))]
        log.warning(
            "train: diverged at %d images shown (%s); going on from %d at %g times the rates",
            *(diverged_at, error, nimg, self._trainer.slowdown),
        )


def write_finish(workspace: Workspace, identity: str, nimg: int, run_id: str, why: str) -> None:
    """Note that a model is finished, and why."""
    finished = {"nimg": nimg, "run_id": run_id, "ended": why}
    workspace.write_text(finished_key(identity), json.dumps(finished))
