"""Two real processes under gloo."""

import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from ganime.training.world import World, joined


def _agree(rank: int, port: int, folder: str) -> None:
    import os

    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    with joined(torch.device("cpu")) as world:
        network = nn.Sequential(nn.Linear(2, 1, bias=False), nn.BatchNorm1d(1))
        nn.init.ones_(network[0].weight)
        network[0](torch.full((1, 2), float(rank + 1))).sum().backward()
        network[1].running_mean.fill_(rank * 2.0)
        world.average_gradients(network)
        world.average_buffers(network)
        found: dict[str, Any] = {
            "gradient": network[0].weight.grad,
            "mean": network[1].running_mean,
            "sums": world.sums({"loss": torch.tensor(float(rank + 1))})["loss"],
            "first": world.first(f"from {rank}"),
            "leads": world.leads,
        }
        world.wait()
        torch.save(found, Path(folder) / f"{rank}.pt")


@pytest.mark.slow
def test_two_processes_agree_on_gradients_statistics_sums_and_words(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_agree, (port, str(tmp_path)), nprocs=2)
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for found in both:
        assert found["gradient"].tolist() == [[1.5, 1.5]]
        assert found["mean"].tolist() == [1.0]
        assert found["sums"].item() == 3.0
        assert found["first"] == "from 0"
    assert [found["leads"] for found in both] == [True, False]


def test_alone_nothing_changes() -> None:
    network = nn.Linear(2, 1)
    network(torch.ones(1, 2)).sum().backward()
    before = network.weight.grad.clone()
    world = World()
    world.average_gradients(network)
    assert torch.equal(network.weight.grad, before)
    assert world.first("a reason") == "a reason"
    assert world.leads
