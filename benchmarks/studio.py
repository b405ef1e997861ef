"""The studio under load: batching beside one image at a time, overload, and memory.

    python benchmarks/studio.py                    # about two minutes
    python benchmarks/studio.py --images 10000     # memory over ten thousand images as well

A server process of its own draws with a small generator of random weights; clients are threads of
this process that each send one request after the other. On a machine that does other things too,
compare the server's CPU time per image; wall times there are of the crowd.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch

from ganime.gans import GANS
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint
from ganime.training.snapshot import save_snapshot

CLIENTS = (1, 8, 64)
SERVER = """
import sys
import torch
from ganime.store.workspace import Workspace
from ganime.studio.models import Models
from ganime.studio.serve import StudioConfig, server_of
from ganime.studio.service import Service
from ganime.studio.torch_engine import load
from ganime.web.server import address, listen

torch.set_num_threads(int(sys.argv[4]))
together, waiting = int(sys.argv[2]), int(sys.argv[3])


def opened(workspace, model, nimg):
    engine = load(workspace, model, nimg)
    engine.batch = together or engine.batch
    return engine


config = StudioConfig(port=0)
listener = listen(config)
models = Models(Workspace(sys.argv[1]), open_engine=opened)
service = Service(models, most_waiting=waiting)
service.models.opened("")
server = server_of(service, config, "")
print(address(config, listener.getsockname()[1], ""), flush=True)
server.run(sockets=[listener])
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    options.add_argument("--images", type=int, default=1000, help="to watch the memory over")
    options.add_argument("--recipe", default="r3gan")
    options.add_argument("--resolution", type=int, default=64)
    options.add_argument("--threads", type=int, default=1, help="that torch computes with")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        add_model(workspace, chosen.recipe, chosen.resolution)
        figures = {**compare(folder, chosen), **overload(folder, chosen), **memory(folder, chosen)}
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


def add_model(workspace: Workspace, recipe_name: str, resolution: int) -> None:
    """A generator of random weights: it draws as long as a trained one."""
    torch.manual_seed(0)
    blueprint = Blueprint(GANS.build(recipe_name), resolution)
    save_snapshot(workspace, "random01", 1, blueprint.network().eval(), blueprint)
    workspace.write_text("models/random01/config.json", "{}")


@contextmanager
def serving(folder: str, together: int, waiting: int, threads: int) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address and its process."""
    command = [sys.executable, "-c", SERVER, folder, *map(str, (together, waiting, threads))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.pid
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def cpu_s(process: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(process: int) -> float:
    """Memory of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def crowd(url: str, clients: int, *, seconds: float = 0, images: int = 0) -> dict[str, Any]:
    """Clients that each ask for one image after the other, until the time or their share is up."""
    answers: Counter[int] = Counter()
    took: list[float] = []
    end = time.perf_counter() + (seconds or 3600)

    def work(number: int) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
        asked = 0
        while time.perf_counter() < end and (not images or asked < images // clients):
            body = json.dumps({"seeds": [number * 1_000_000 + asked], "format": "webp"})
            started = time.perf_counter()
            connection.request("POST", "/v1/images", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            took.append(time.perf_counter() - started)
            answers[answer.status] += 1
            asked += 1
            if answer.status == 429:
                time.sleep(0.05)  # impatient: a twentieth of what it was told
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - started
    p95 = statistics.quantiles(took, n=20)[-1] if len(took) > 1 else 0.0
    return {"answers": dict(answers), "wall_s": wall, "p95_ms": 1e3 * p95}


def compare(folder: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Images per second with batching and without, by number of clients."""
    figures: dict[str, Any] = {}
    for name, together in (("one by one", 1), ("batched", 0)):
        with serving(folder, together, 1024, chosen.threads) as (url, process):
            crowd(url, 4, images=64)
            for clients in CLIENTS:
                before = cpu_s(process)
                told = crowd(url, clients, seconds=chosen.seconds)
                done = told["answers"].get(200, 0)
                per_image = 1e3 * (cpu_s(process) - before) / max(1, done)
                rate = done / told["wall_s"]
                figures[f"{name}, {clients} clients"] = {
                    "images_per_s": rate,
                    "cpu_ms_per_image": per_image,
                    "p95_ms": told["p95_ms"],
                }
                print(
                    f"{name:>10}, {clients:2} clients: {rate:6.1f} images/s, "
                    f"{per_image:5.2f} ms CPU per image, p95 {told['p95_ms']:6.1f} ms",
                    flush=True,
                )
    return figures


def overload(folder: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Ten times as many clients as the queue holds: which answers there are."""
    waiting, clients = 16, 160
    with serving(folder, 0, waiting, chosen.threads) as (url, _):
        told = crowd(url, clients, seconds=chosen.seconds)
    print(f"  overload, {clients} clients, a queue of {waiting}: answers {told['answers']}")
    assert set(told["answers"]) <= {200, 429}
    return {"overload": told}


def memory(folder: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Memory of the server after a tenth of many images and after all of them."""
    with serving(folder, 0, 1024, chosen.threads) as (url, process):
        crowd(url, 16, images=chosen.images // 10)
        before = resident_mb(process)
        crowd(url, 16, images=chosen.images)
        after = resident_mb(process)
    print(f"    memory: {before:.0f} MB, after {chosen.images} more images {after:.0f} MB")
    return {"memory_mb": [before, after]}


if __name__ == "__main__":
    main()
