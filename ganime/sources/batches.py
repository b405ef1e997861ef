"""Short pieces of work, done several in a row, so that their code and data are at hand."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

ThingT = TypeVar("ThingT")
ArgumentsT = TypeVarTuple("ArgumentsT")

# So many bodies of 35 kB in a row make a crawl's CPU time an eighth to a fifth less: what decodes,
# digests and writes them stays in the processor's caches. Eight gain a little less.
_MOST = 16
_MOST_BYTES = 512 << 10  # for so long, 5 ms of decoding or so, nobody reads from the network
_GATHER_S = 0.1  # the first one waits so long at most; a kill costs what came meanwhile
_QUIET_S = 0.02  # after so long without another one, none is waited for


class Batches:
    """Gathers work of one event loop and does it there, in the order it came."""

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Future[Any], Callable[[], Any]]] = []
        self._num_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0  # of the loop's clock
        self._num_seen = 0

    async def do(
        self, num_bytes: int, work: Callable[[*ArgumentsT], ThingT], *args: *ArgumentsT
    ) -> ThingT:
        """Call `work` before long, together with what others want done.

        It is called even if whoever waits for it is cancelled: at once, then.

        Args:
            num_bytes: How much it works on.
            work: Raises what is raised here.
            args: Of `work`.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[ThingT] = loop.create_future()
        self._waiting.append((done, partial(work, *args)))
        self._num_bytes += num_bytes
        if len(self._waiting) >= _MOST or self._num_bytes >= _MOST_BYTES:
            self._do_all()
        elif self._timer is None:
            self._deadline = loop.time() + _GATHER_S
            self._look_later(loop)
        try:
            return await done
        except asyncio.CancelledError:
            self._do_all()
            raise

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._num_seen = len(self._waiting)
        self._timer = loop.call_later(_QUIET_S, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do what has gathered, unless more still comes."""
        if len(self._waiting) > self._num_seen and loop.time() + _QUIET_S <= self._deadline:
            self._look_later(loop)
        else:
            self._do_all()

    def _do_all(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting, self._num_bytes = self._waiting, [], 0
        for done, work in waiting:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)
