"""One thread draws for all requests: what waits for the same model is drawn together.

Beside it others make files of what was drawn, so that the network need not wait for them.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ganime.errors import GanimeError
from ganime.studio.engine import Engine, Pixels, Point, draw
from ganime.studio.meters import Meters

FIRST_GUESS_S = 0.05  # an image's time, before one was drawn
LONGEST_WAIT_S = 60  # what a client is told at most
FINISHERS = 2  # threads: one long list of large images shall not hold up all others


class Job(NamedTuple):
    """One image, or one point, to come.

    Attributes:
        engine: Who draws it.
        make: Says, on the drawing thread, where it is.
        finish: Makes of the image, beside that thread, what is wanted; None for the image itself.
    """

    engine: Engine
    make: Callable[[], Point]
    finish: Callable[[Pixels], Any] | None = None


class BusyError(GanimeError):
    """More waits than the queue holds.

    Attributes:
        retry_after_s: When half of it will be done.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Item:
    job: Job
    drawn: bool  # whether the image is wanted, not the point alone
    future: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """The thread, and the queue before it.

    Args:
        most_waiting: Images that may wait; beyond, a request is refused at once.
        wait_s: How long to wait for company [s]. While a batch is drawn the next one gathers, so
            under load nothing waits for longer than that; after an image that was drawn alone the
            next one does not wait at all, as whoever asks seems to be the only one.
        meters: What is counted.
        most_together: Images of one batch at most; None for the engine's own number. With 1 every
            image is a batch of its own, which benchmarks compare with.
    """

    def __init__(
        self,
        most_waiting: int,
        wait_s: float,
        meters: Meters,
        most_together: int | None = None,
    ) -> None:
        self._most_waiting, self._wait_s, self._meters = most_waiting, wait_s, meters
        self._most_together = most_together
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._is_open, self._was_alone = True, False
        self._image_s = FIRST_GUESS_S
        self._finishers = ThreadPoolExecutor(FINISHERS, "ganime-studio-finish")
        self._thread = threading.Thread(target=self._work, name="ganime-studio", daemon=True)
        self._thread.start()

    def images(self, jobs: Sequence[Job]) -> list["Future[Any]"]:
        """Images to come, uint8 sRGB [R, R, 3] each, or what their jobs make of them.

        None is begun whose future was cancelled.

        Raises:
            BusyError: they do not fit the queue; then none of them is drawn.
        """
        return self._put([_Item(job, True) for job in jobs])

    def points(self, jobs: Sequence[Job]) -> list["Future[Point]"]:
        """Points to come, made on the drawing thread; as `images`."""
        return self._put([_Item(job, False) for job in jobs])

    def close(self) -> None:
        """Let the thread end; what waits is cancelled."""
        with self._changed:
            self._is_open = False
            for item in self._items:
                item.future.cancel()
            self._items.clear()
            self._changed.notify_all()
        self._thread.join()
        self._finishers.shutdown()

    def _put(self, items: Sequence[_Item]) -> list[Future[Any]]:
        with self._changed:
            waiting = len(self._items)
            if waiting + len(items) > self._most_waiting or not self._is_open:
                seconds = math.ceil(waiting * self._image_s / 2)
                raise BusyError(
                    f"{waiting} images wait already, the queue holds {self._most_waiting}: "
                    "try again later",
                    min(LONGEST_WAIT_S, max(1, seconds)),
                )
            self._items.extend(items)
            self._changed.notify_all()
        return [item.future for item in items]

    def _work(self) -> None:
        while batch := self._gather():
            self._meters.waiting.set(len(self._items))
            started = time.monotonic()
            self._draw(batch)
            share = (time.monotonic() - started) / len(batch)
            self._image_s += 0.1 * (share - self._image_s)

    def _gather(self) -> list[_Item]:
        """The next batch: all of the model that has waited longest; empty when it is over."""
        with self._changed:
            while self._is_open:
                self._changed.wait_for(lambda: self._items or not self._is_open)
                if not self._items:
                    continue
                first = self._items[0]
                most = self._most_together or first.job.engine.batches[-1]
                if not self._was_alone:
                    self._changed.wait_for(
                        lambda most=most: len(self._items) >= most or not self._is_open,  # type: ignore[misc]
                        max(0.0, first.since + self._wait_s - time.monotonic()),
                    )
                if batch := self._take(first.job.engine, most):
                    self._was_alone = len(batch) == 1
                    return batch
        return []

    def _take(self, engine: Engine, most: int) -> list[_Item]:
        """The first items of an engine, in order; those that nobody waits for are dropped."""
        taken: list[_Item] = []
        left: deque[_Item] = deque()
        while self._items:
            item = self._items.popleft()
            if item.job.engine is not engine or len(taken) == most:
                left.append(item)
            elif item.future.set_running_or_notify_cancel():
                taken.append(item)
        self._items = left
        return taken

    def _draw(self, batch: Sequence[_Item]) -> None:
        """Make the points of a batch, draw the images, and hand them on; errors as well."""
        to_draw: list[tuple[_Item, Point]] = []
        for item in batch:
            try:
                point = item.job.make()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told to who asked
                item.future.set_exception(error)
                continue
            if item.drawn:
                to_draw.append((item, point))
            else:
                item.future.set_result(point)
        if not to_draw:
            return
        try:
            images = draw(batch[0].job.engine, [point for _, point in to_draw])
        except Exception as error:  # noqa: BLE001 - as above
            for item, _ in to_draw:
                item.future.set_exception(error)
            return
        self._meters.batches.add(len(images))
        self._meters.images.add(len(images))
        drawn = [(item, image) for (item, _), image in zip(to_draw, images, strict=True)]
        _finish([pair for pair in drawn if pair[0].job.finish is None])
        if unfinished := [pair for pair in drawn if pair[0].job.finish is not None]:
            self._finishers.submit(_finish, unfinished)


def _finish(drawn: Sequence[tuple[_Item, Pixels]]) -> None:
    """Hand out images, or what is to be made of them."""
    for item, image in drawn:
        finish = item.job.finish
        try:
            result = image if finish is None else finish(image)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to who asked
            item.future.set_exception(error)
        else:
            item.future.set_result(result)
