"""One thread draws for all requests: what waits for the same model is drawn together."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ganime.errors import GanimeError
from ganime.studio.engine import Engine, Pixels, Point, draw
from ganime.studio.meters import Meters

FIRST_GUESS_S = 0.05  # an image's time, before one was drawn
LONGEST_WAIT_S = 60  # what a client is told at most


Job = tuple[Engine, Callable[[], Point]]


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
    engine: Engine
    make: Callable[[], Point]
    future: Future[Any]
    drawn: bool  # whether the image is wanted, not the point alone
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """The thread, and the queue before it.

    Args:
        most_waiting: Images that may wait; beyond, a request is refused at once.
        wait_s: How long to wait for company [s]. While a batch is drawn the next one gathers, so
            under load nothing waits for longer than that.
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
        self._is_open = True
        self._image_s = FIRST_GUESS_S
        self._thread = threading.Thread(target=self._work, name="ganime-studio", daemon=True)
        self._thread.start()

    def images(self, jobs: Sequence[Job]) -> list["Future[Pixels]"]:
        """Images to come, uint8 sRGB [R, R, 3] each; none is begun whose future was cancelled.

        Args:
            jobs: Who draws each, and what says, on the drawing thread, where it is.

        Raises:
            BusyError: they do not fit the queue; then none of them is drawn.
        """
        return self._put([_Item(engine, make, Future(), True) for engine, make in jobs])

    def points(self, jobs: Sequence[Job]) -> list["Future[Point]"]:
        """Points to come, made on the drawing thread; as `images`."""
        return self._put([_Item(engine, make, Future(), False) for engine, make in jobs])

    def close(self) -> None:
        """Let the thread end; what waits is cancelled."""
        with self._changed:
            self._is_open = False
            for item in self._items:
                item.future.cancel()
            self._items.clear()
            self._changed.notify_all()
        self._thread.join()

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
            _finish(batch, self._meters)
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
                most = self._most_together or first.engine.batch
                self._changed.wait_for(
                    lambda most=most: len(self._items) >= most or not self._is_open,  # type: ignore[misc]
                    max(0.0, first.since + self._wait_s - time.monotonic()),
                )
                if batch := self._take(first.engine, most):
                    return batch
        return []

    def _take(self, engine: Engine, most: int) -> list[_Item]:
        """The first items of an engine, in order; those that nobody waits for are dropped."""
        taken: list[_Item] = []
        left: deque[_Item] = deque()
        while self._items:
            item = self._items.popleft()
            if item.engine is not engine or len(taken) == most:
                left.append(item)
            elif item.future.set_running_or_notify_cancel():
                taken.append(item)
        self._items = left
        return taken


def _finish(batch: Sequence[_Item], meters: Meters) -> None:
    """Make the points of a batch, draw the images, and hand them out; errors as well."""
    to_draw: list[tuple[_Item, Point]] = []
    for item in batch:
        try:
            point = item.make()
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
        images = draw(to_draw[0][0].engine, [point for _, point in to_draw])
    except Exception as error:  # noqa: BLE001 - as above
        for item, _ in to_draw:
            item.future.set_exception(error)
        return
    meters.batches.add(len(images))
    meters.images.add(len(images))
    for (item, _), image in zip(to_draw, images, strict=True):
        item.future.set_result(image)
