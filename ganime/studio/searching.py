"""Looks for directions towards what a workspace's judges say yes to; see `attributes`."""

import asyncio
from collections.abc import Sequence

import numpy as np

from ganime.errors import WeightsError
from ganime.studio.attributes import (
    LEAST_CORRELATION,
    NUM_CHECKED,
    NUM_SAMPLES,
    Attribute,
    Fitted,
    Numbers,
    fit,
)
from ganime.studio.characters import Character
from ganime.studio.directions import PRINCIPAL_SCALE
from ganime.studio.engine import Point
from ganime.studio.judging import Bench, Judge
from ganime.studio.models import Opened
from ganime.studio.service import AT_ONCE, Service


async def search(service: Service, model: Opened) -> None:
    """Find and keep the directions of a snapshot that were not looked for yet.

    Its characters are drawn among those that others ask for, so that nobody waits for all of them.

    Args:
        service: Who draws.
        model: The snapshot.

    Raises:
        BusyError: too much waits already.
        WeightsError: there are judges, but none of them can be opened.
    """
    attributes = model.attributes
    if attributes is None:
        return
    async with service.searching:
        if not (await asyncio.to_thread(attributes.sought)).unsought:
            return
        bench = await asyncio.to_thread(attributes.bench)
        if not bench.judges:
            raise WeightsError("no classifier can be opened: run `ganime run` again")
        samples = await _points(service, model, range(NUM_SAMPLES))
        scores = await _scores(service, model, samples, bench)
        codes = np.stack([one.code for one in samples])
        fitted = [await asyncio.to_thread(fit, codes, own) for own in scores]
        fresh = await _points(service, model, range(NUM_SAMPLES, NUM_SAMPLES + NUM_CHECKED))
        for judge, found in zip(bench.judges, fitted, strict=True):
            ends = (0.0, 0.0)
            if found.correlation >= LEAST_CORRELATION:
                ends = await _ends(service, model, found, fresh, bench.alone(judge))
            attributes.keep(_attribute(judge, found, ends))


def _attribute(judge: Judge, found: Fitted, ends: tuple[float, float]) -> Attribute:
    step = found.step.tolist() if found.correlation >= LEAST_CORRELATION else ()
    low, high = ends
    return Attribute(
        question=judge.question,
        classifier_id=judge.classifier_id,
        step=tuple(step),
        correlation=found.correlation,
        low=low,
        high=high,
    )


async def _ends(
    service: Service, model: Opened, found: Fitted, fresh: Sequence[Point], judge: Bench
) -> tuple[float, float]:
    """Mean score of characters moved to the slider's ends."""
    means = []
    for amount in (-PRINCIPAL_SCALE, PRINCIPAL_SCALE):
        moved = [Point(one.code + np.float32(amount) * found.step, one.tags) for one in fresh]
        means.append(float((await _scores(service, model, moved, judge)).mean()))
    return means[0], means[1]


async def _points(service: Service, model: Opened, seeds: range) -> list[Point]:
    """Where characters are as training drew them."""
    wanted = [Character(model=model.reference, seed=seed) for seed in seeds]
    parts = [wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE)]
    return [point for part in parts for point in await service.points(model, part)]


async def _scores(
    service: Service, model: Opened, points: Sequence[Point], bench: Bench
) -> Numbers:
    """Of characters by all judges, in 0-1 [J, N]; few images are held at a time."""
    found = []
    for start in range(0, len(points), AT_ONCE):
        images = await service.drawn_at(model, points[start : start + AT_ONCE])
        found.append(await asyncio.to_thread(bench.scores, np.stack(images)))
    return np.concatenate(found, axis=1)
