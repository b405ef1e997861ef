"""What requests ask for, done: models opened, images drawn together with those of others."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError
from ganime.studio.batching import Batcher
from ganime.studio.characters import Character, Format
from ganime.studio.engine import Point
from ganime.studio.finishing import encode, finish
from ganime.studio.meters import Meters
from ganime.studio.models import Catalogue, Opened
from ganime.studio.walks import walk

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")
AT_ONCE = 64  # images of one request in the queue: a long walk leaves room for others between


class Service:
    """See the module.

    Args:
        models: What there is to draw with.
        most_waiting: Images that may wait for their turn.
        wait_s: How long a batch waits for company [s].
        timeout_s: How long a request may take [s].
        most_together: See `Batcher`.
    """

    def __init__(
        self,
        models: Catalogue,
        *,
        most_waiting: int = 1024,
        wait_s: float = 0.002,
        timeout_s: float = 60.0,
        most_together: int | None = None,
    ) -> None:
        self.meters = Meters()
        self.models = models
        self._timeout_s = timeout_s
        self._batcher = Batcher(most_waiting, wait_s, self.meters, most_together)

    def close(self) -> None:
        """End the drawing thread."""
        self._batcher.close()

    async def opened(self, reference: str) -> Opened:
        """See `Catalogue.opened`."""
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
        models = {name: await self.opened(name) for name in {one.model for one in wanted}}
        async with asyncio.timeout(self._timeout_s):
            found: list[Pixels] = []
            for start in range(0, len(wanted), AT_ONCE):
                jobs = [
                    (models[one.model].engine, partial(models[one.model].point, one))
                    for one in wanted[start : start + AT_ONCE]
                ]
                found += await _all(self._batcher.images(jobs))
            return found

    async def finished(self, wanted: Sequence[Character]) -> list[Pixels]:
        """Images in their size and on their ground."""
        drawn = await self.drawn(wanted)
        made = list(zip(drawn, wanted, strict=True))
        return await self.apart(lambda: [finish(image, one) for image, one in made])

    async def file(self, wanted: Character, format: Format) -> bytes:
        """One image as a file."""
        return (await self.files([wanted], format))[0]

    async def files(self, wanted: Sequence[Character], format: Format) -> list[bytes]:
        """Images as files."""
        numbers = [(await self.opened(one.model)).nimg for one in wanted]
        drawn = await self.drawn(wanted)
        made = list(zip(drawn, wanted, numbers, strict=True))
        return await self.apart(
            lambda: [encode(finish(image, one), format, one, nimg) for image, one, nimg in made]
        )

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
            jobs = [(model.engine, partial(model.point, one)) for one in wanted]
            stations = await _all(self._batcher.points(jobs))
            way = walk(model.engine, stations, num, loop=loop)
            found: list[Pixels] = []
            for start in range(0, num, AT_ONCE):
                part = way[start : start + AT_ONCE]
                jobs = [(model.engine, partial(_itself, point)) for point in part]
                found += await _all(self._batcher.images(jobs))
            return found


def _itself(point: Point) -> Point:
    return point


async def _all(futures: Sequence[Future[T]]) -> list[T]:
    """Their results; if one fails, nobody draws the others."""
    waiting = [asyncio.wrap_future(one) for one in futures]
    try:
        return await asyncio.gather(*waiting)
    finally:
        for one in waiting:
            one.cancel()
