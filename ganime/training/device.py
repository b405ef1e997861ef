"""The surroundings of a training: its precision, its random state, its threads."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch


def autocast(device: torch.device, *, bfloat16: bool) -> AbstractContextManager[object]:
    """Context in which networks compute in bfloat16, if asked to."""
    return torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()


@contextmanager
def isolated(num_threads: int) -> Iterator[None]:
    """Leave torch's random state and number of threads as they were.

    Args:
        num_threads: To compute with inside; 0 for all but one. Threads wait for each other many
            times in a step, so where other work (a server, a browser) takes one of the cores, all
            of them crawl: on 2 cores, 2 threads made 360 images/s alone and 20-150 beside it, and
            one thread 220-240 either way.
    """
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        torch.set_num_threads(num_threads or max(1, before - 1))
        try:
            yield
        finally:
            torch.set_num_threads(before)
