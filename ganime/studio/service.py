"""What requests ask for, done: models opened, images drawn together with those of others."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError
from ganime.studio.batching import Batcher, BusyError, Job
from ganime.studio.characters import Character, Format
from ganime.studio.engine import Point
from ganime.studio.finishing import encode, finish
from ganime.studio.mailbox import Mailbox
from ganime.studio.meters import Meters
from ganime.studio.models import Catalogue, Opened
from ganime.studio.walks import walk

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")
ARCHIVE_RETRY_S = 5  # when to ask again for an archive: most take a few seconds
AT_ONCE = 64  # images of one request in the queue: a long walk leaves room for others between


class Service:
    """See the module.

    Args:
        models: What there is to draw with.
        most_waiting: Images that may wait for their turn.
        wait_s: How long a batch waits for company [s].
        timeout_s: How long a request may take [s].
        most_archives: See `archive`.
        most_together: See `Batcher`.
    """

    def __init__(
        self,
        models: Catalogue,
        *,
        most_waiting: int = 1024,
        wait_s: float = 0.002,
        timeout_s: float = 60.0,
        most_archives: int = 2,
        most_together: int | None = None,
    ) -> None:
        self.meters = Meters()
        self.models = models
        self._timeout_s = timeout_s
        self._batcher = Batcher(most_waiting, wait_s, self.meters, most_together)
        self._mailbox: Mailbox | None = None
        self.searching = asyncio.Lock()  # one search for directions at a time
        self._most_archives, self._archives = most_archives, 0

    def close(self) -> None:
        """End the drawing thread."""
        self._batcher.close()

    async def opened(self, reference: str) -> Opened:
        """See `Catalogue.opened`; another thread is asked only for what is not at hand."""
        if found := self.models.at_hand(reference):
            return found
        return await asyncio.to_thread(self.models.opened, reference)

    async def pinned(self, wanted: Character) -> tuple[Opened, Character]:
        """A character's model, and the character with its snapshot named."""
        model = await self.opened(wanted.model)
        return model, wanted.model_copy(update={"model": model.reference})

    async def drawn(self, wanted: Sequence[Character]) -> list[Pixels]:
        """Images as the networks draw them, uint8 sRGB [R, R, 3] each.

        Raises:
            BusyError: too much waits already.
            ConfigError: a model cannot do what is wished.
            TimeoutError: it took too long.
        """
        return await self._made(wanted, lambda model, one: None)

    async def finished(self, wanted: Sequence[Character]) -> list[Pixels]:
        """Images in their size and on their ground."""
        return await self._made(wanted, lambda model, one: partial(finish, wanted=one))

    async def file(self, wanted: Character, format: Format) -> bytes:
        """One image as a file."""
        return (await self.files([wanted], format))[0]

    async def files(self, wanted: Sequence[Character], format: Format) -> list[bytes]:
        """Images as files."""

        def written(model: Opened, one: Character) -> Callable[[Pixels], bytes]:
            return lambda drawn: encode(finish(drawn, one), format, one, model.nimg)

        return await self._made(wanted, written)

    async def _made(
        self,
        wanted: Sequence[Character],
        finisher: Callable[[Opened, Character], Callable[[Pixels], Any] | None],
    ) -> list[Any]:
        """What finishers make of images, each of its model and its character."""
        models = {name: await self.opened(name) for name in {one.model for one in wanted}}
        async with asyncio.timeout(self._timeout_s):
            found: list[Any] = []
            for start in range(0, len(wanted), AT_ONCE):
                jobs = [
                    Job(model.engine, partial(model.point, one), finisher(model, one))
                    for one in wanted[start : start + AT_ONCE]
                    for model in (models[one.model],)
                ]
                found += await self._all(self._batcher.images(jobs))
            return found

    @contextmanager
    def archive(self) -> Iterator[None]:
        """Room to make one of what holds many images at once: archives, animations, sheets.

        Few are made at a time, since each may hold hundreds of megabytes.

        Raises:
            BusyError: as many as may be are being made.
        """
        if self._archives >= self._most_archives:
            raise BusyError(
                f"{self._archives} archives, animations or sheets are being made, as many as may "
                "be at a time: try again later",
                ARCHIVE_RETRY_S,
            )
        self._archives += 1
        try:
            yield
        finally:
            self._archives -= 1

    async def apart(self, work: Callable[[], T]) -> T:
        """Do what takes a while beside the thread that answers."""
        return await asyncio.to_thread(work)

    async def walk(self, wanted: Sequence[Character], num: int, *, loop: bool) -> list[Pixels]:
        """Images on the way from character to character.

        Raises:
            BusyError: too much waits already.
            ConfigError: they are of several models.
            TimeoutError: it took too long.
        """
        models = {name: await self.opened(name) for name in {one.model for one in wanted}}
        opened = {id(model): model for model in models.values()}
        if len(opened) > 1:
            raise ConfigError("images: a walk leads through characters of one model")
        (model,) = opened.values()
        async with asyncio.timeout(self._timeout_s):
            stations = await self.points(model, wanted)
            return await self.drawn_at(model, walk(model.engine, stations, num, loop=loop))

    async def points(self, model: Opened, wanted: Sequence[Character]) -> list[Point]:
        """Where characters of a model are."""
        jobs = [Job(model.engine, partial(model.point, one)) for one in wanted]
        return await self._all(self._batcher.points(jobs))

    async def drawn_at(self, model: Opened, points: Sequence[Point]) -> list[Pixels]:
        """Images of points, uint8 sRGB [R, R, 3] each."""
        found: list[Pixels] = []
        for start in range(0, len(points), AT_ONCE):
            part = points[start : start + AT_ONCE]
            jobs = [Job(model.engine, partial(_itself, point)) for point in part]
            found += await self._all(self._batcher.images(jobs))
        return found

    async def _all(self, futures: Sequence[Future[T]]) -> list[T]:
        """Their results; if one fails, nobody draws the others."""
        loop = asyncio.get_running_loop()
        if self._mailbox is None or self._mailbox.loop is not loop:
            self._mailbox = Mailbox(loop)
        waiting = [self._mailbox.awaited(one) for one in futures]
        try:
            return await asyncio.gather(*waiting)
        finally:
            for one in waiting:
                one.cancel()


def _itself(point: Point) -> Point:
    return point
