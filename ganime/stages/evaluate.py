"""Score snapshots of a generator: any metrics of its samples against the dataset's images."""

import json
import logging
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ganime.config import digest_of
from ganime.errors import ConfigError
from ganime.metrics import Metric, Sets
from ganime.metrics.extractors import Extractor, Features, metric_name
from ganime.metrics.frechet import Frechet
from ganime.metrics.measurement import Measurement, measure
from ganime.metrics.reference import real_features
from ganime.rows import EvaluationRow, MetricRow
from ganime.stages.evaluate_config import (
    EvaluateConfig,
    choose_extractor,
    used_backbone,
    with_backbone,
)
from ganime.store.manifest import Provenance, Table, from_arrow, read_part
from ganime.store.workspace import Workspace
from ganime.training.keys import config_key

__all__ = [
    "EvaluateConfig",
    "Judge",
    "best_snapshot",
    "choose_extractor",
    "run",
    "used_backbone",
    "with_backbone",
]

REVISION = 1  # raise it whenever a value changes: cached ones then expire
FLOOR = "_floor"  # ends the name of what reals score against other reals
log = logging.getLogger(__name__)

Images = npt.NDArray[np.uint8]
Sampler = Callable[[int, int, int], Images]


def best_snapshot(workspace: Workspace, model_id: str) -> int | None:
    """Images shown at the snapshot that `Judge.score` liked best in training; None without any."""
    rows = Table(workspace, MetricRow, root=f"models/{model_id}").rows()
    scores = {row.nimg: row.value for row in rows if row.name == "score"}
    return min(scores, key=lambda nimg: (scores[nimg], nimg), default=None)


def run(
    workspace: Workspace,
    config: EvaluateConfig,
    *,
    model_id: str,
    reals: Images,
    held_out: Images | None = None,
    reference: str,
    extractor: Extractor,
    sample: Sampler,
    snapshots: Sequence[int],
    run_id: str,
) -> list[EvaluationRow]:
    """Measure what snapshots lack; each metric of each is committed as soon as it is known.

    Args:
        workspace: Where.
        config: Which metrics, how many samples, which seed.
        model_id: The model.
        reals: The training images, uint8 sRGB [N, R, R, 3].
        held_out: Images of the same dataset that were not trained on; None where there are none.
        reference: Their name and version.
        extractor: See `choose_extractor`.
        sample: Given nimg of a snapshot, a count and a seed: uint8 sRGB [count, R, R, 3].
        snapshots: nimg of each snapshot.
        run_id: Of this run.

    Returns:
        The rows of each snapshot, by nimg and in the order of `config.metrics`, whether measured
        now or before. What reals score against other reals is one more row each in the table, with
        `_floor` after the metric's name and nimg 0.

    Raises:
        ConfigError: too few images for a metric, or an extractor that lacks what it needs.
    """
    judge = Judge(
        workspace, config, reals=reals, held_out=held_out, reference=reference, extractor=extractor
    )
    table = Table(workspace, EvaluationRow, root=f"models/{model_id}")
    provenance = Provenance(
        stage="evaluate",
        revision=REVISION,
        config=config,
        run_id=run_id,
        parents={"model": model_id, "reference": reference},
    )
    for metric in judge.lacking(table, "floor") if config.floor else ():
        rows = [_row(model_id, 0, found, FLOOR) for found in judge.floor(metric)]
        table.write(judge.part("floor", metric), rows, provenance)
    _warn_of_flattery(workspace, model_id, extractor)
    times = {nimg: f"{nimg:09d}" for nimg in sorted(set(snapshots))}
    for nimg, when in times.items():
        if not (wanted := judge.lacking(table, when)):
            continue
        features = extractor.features(sample(nimg, config.num_fake, config.seed))
        for metric in wanted:
            rows = [_row(model_id, nimg, found) for found in judge.measure(metric, features)]
            table.write(judge.part(when, metric), rows, provenance)
            for row in rows:
                log.info("evaluate: %s %.4g at %d images shown", row.metric, row.value, nimg)
    return _written(table, [judge.part(at, one) for at in times.values() for one in config.metrics])


def _warn_of_flattery(workspace: Workspace, model_id: str, extractor: Extractor) -> None:
    key = config_key(model_id)
    described = json.loads(workspace.read_bytes(key)) if workspace.exists(key) else {}
    if described.get("inputs") == extractor.weights_digest:
        log.warning(
            "evaluate: %s was trained through the features of %s, in which it is measured now; "
            "compare it with other recipes by another --extractor",
            *(model_id, extractor.name),
        )


class Judge:
    """Measures samples against real images, whose features are taken when first needed, and once.

    Args:
        workspace: Where features of reals are kept.
        config: Which metrics, how many samples, which seed.
        reals: The training images, uint8 sRGB [N, R, R, 3].
        held_out: Images of the same dataset that were not trained on; None where there are none.
        reference: Their name and version.
        extractor: See `choose_extractor`.

    Raises:
        ConfigError: too few real images.
    """

    def __init__(
        self,
        workspace: Workspace,
        config: EvaluateConfig,
        *,
        reals: Images,
        held_out: Images | None,
        reference: str,
        extractor: Extractor,
    ) -> None:
        if len(reals) < 4:
            raise ConfigError(
                f"evaluate: {reference} has {len(reals)} images, at least 4 are needed"
            )
        _warn_of_small_sets(config, extractor, len(reals))
        self._workspace, self._config, self._extractor = workspace, config, extractor
        self._reals, self._held_out, self._reference = reals, held_out, reference

    def part(self, when: str, metric: Metric) -> str:
        """Name of a part of the table: all that decides a value is in it.

        Args:
            when: The snapshot, or `floor`.
            metric: With its options.
        """
        config, extractor = self._config, self._extractor
        # The plain distance was the only metric at first: its parts keep the names they had.
        options = () if metric == Frechet() else (metric.canonical(),)
        settings = digest_of(
            *(str(REVISION), extractor.metric, extractor.weights_digest, extractor.resize),
            *(self._reference, str(len(self._reals)), str(config.num_fake), str(config.seed)),
            *options,
        )
        return f"{when}-{metric_name(metric.component, extractor)}-{settings}"

    def lacking(self, table: Table[EvaluationRow], when: str) -> list[Metric]:
        """Metrics that are not in the table yet."""
        metrics: tuple[Metric, ...] = self._config.metrics
        return [metric for metric in metrics if not table.has(self.part(when, metric))]

    def measure(self, metric: Metric, features: Features) -> list[Measurement]:
        """What a metric says of samples, given their features [M, D].

        Raises:
            ConfigError: the sets are too small for it, or lack what it needs.
        """
        return self._measure(metric, self._real, features)

    def floor(self, metric: Metric) -> list[Measurement]:
        """What it says of some of the reals against the others; nothing of too few for a split.

        A random part of `num_fake` images, half of the reals where there are too few, stands for
        samples. Most metrics are worse at smaller counts, so this is a little too bad.
        """
        smaller = min(self._config.num_fake, len(self._real) // 2)
        order = np.random.default_rng(self._config.seed).permutation(len(self._real))
        parts = self._real[order[smaller:]], self._real[order[:smaller]]
        try:
            return self._measure(metric, *parts)
        except ConfigError as error:
            log.info("evaluate: no floor of %s (%s)", metric.component, error)
            return []

    def score(self, sample: Callable[[int, int], Images]) -> float:
        """The first value of the first metric as a score, less being better.

        Args:
            sample: Given a count and a seed: uint8 sRGB [count, R, R, 3].
        """
        fakes = sample(self._config.num_fake, self._config.seed)
        found = self.measure(self._config.metrics[0], self._extractor.features(fakes))[0]
        return found.value if found.better == "lower" else -found.value

    def _measure(self, metric: Metric, real: Features, fake: Features) -> list[Measurement]:
        head = getattr(self._extractor, "head", None)
        sets = Sets(real, fake, self._unseen, head, self._config.seed)
        return measure([metric], sets, self._extractor, self._reference)

    @cached_property
    def _real(self) -> Features:
        return real_features(self._workspace, self._reals, self._reference, self._extractor)

    @cached_property
    def _unseen(self) -> Features | None:
        if self._held_out is None or len(self._held_out) < 2:
            return None
        name = f"{self._reference} holdout"
        return real_features(self._workspace, self._held_out, name, self._extractor)


def _row(model_id: str, nimg: int, found: Measurement, ending: str = "") -> EvaluationRow:
    return EvaluationRow(
        model_id=model_id,
        nimg=nimg,
        metric=found.metric + ending,
        value=found.value,
        low=found.low,
        high=found.high,
        better=found.better,
        extractor=found.extractor,
        weights=found.weights,
        resize=found.resize,
        num_real=found.num_real,
        num_fake=found.num_fake,
        reference=found.reference,
        seed=found.seed,
        settings=found.settings,
        versions=json.dumps(found.versions, sort_keys=True),
        details=json.dumps(found.details, sort_keys=True),
    )


def _written(table: Table[EvaluationRow], names: list[str]) -> list[EvaluationRow]:
    parts = [read_part(table.workspace, table.part_key(name), EvaluationRow) for name in names]
    return [row for part in parts for row in from_arrow(EvaluationRow, part)]


def _warn_of_small_sets(config: EvaluateConfig, extractor: Extractor, num_real: int) -> None:
    if Frechet() not in config.metrics:
        return
    name = metric_name("fd", extractor)
    for what, count in (("real", num_real), ("generated", config.num_fake)):
        if count < extractor.dim:
            log.warning(
                "evaluate: %d %s images for %d features: the covariance is singular, and %s is "
                "good for ranking snapshots at equal counts, not as an absolute number",
                *(count, what, extractor.dim, name),
            )
