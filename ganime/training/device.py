"""Where and how exactly to compute."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch

from ganime.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]


def choose_device(device: Device) -> torch.device:
    """The device that `auto` means here: CUDA where there is one.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda but torch sees no CUDA device; set device to auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether to compute in bfloat16; `auto` does where it is faster: CUDA, CPUs with AMX."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Private, and in other versions of torch perhaps not there.
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(has_amx is not None and has_amx())


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
