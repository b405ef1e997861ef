"""The processes that train one model together, as torchrun starts them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class World:
    """One process among those that train a model; alone by default.

    Gradients are averaged by hand after each backward pass rather than by
    `DistributedDataParallel`: penalties differentiate twice and call a network several times in an
    update, which its hooks do not allow.

    Attributes:
        rank: Which process this is, from 0.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    def average_gradients(self, network: nn.Module) -> None:
        """Give every process the mean of all gradients."""
        gradients = [item.grad for item in network.parameters() if item.grad is not None]
        self._average(gradients)

    def average_buffers(self, network: nn.Module) -> None:
        """Give every process the mean of all floating-point buffers (batch statistics)."""
        self._average([item for item in network.buffers() if item.is_floating_point()])

    def sums(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scalars of the same names from all processes, summed."""
        if self.size == 1 or not values:
            return dict(values)
        names = sorted(values)
        stacked = torch.stack([values[name].double() for name in names])
        dist.all_reduce(stacked)
        return dict(zip(names, stacked.unbind(), strict=True))

    def first(self, text: str | None) -> str | None:
        """What the leading process says, to all."""
        if self.size == 1:
            return text
        said = [text]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def _average(self, tensors: list[Tensor]) -> None:
        if self.size == 1 or not tensors:
            return
        with torch.no_grad():
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            dist.all_reduce(flat)
            flat /= self.size
            start = 0
            for tensor in tensors:
                end = start + tensor.numel()
                tensor.copy_(flat[start:end].view_as(tensor))
                start = end


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started, if it did; alone otherwise.

    Args:
        device: Where this process computes; decides between nccl and gloo.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
