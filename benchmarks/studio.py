"""The studio under load: beside a plain server, one image at a time, and batched; overload; memory.

    python benchmarks/studio.py                    # about three minutes
    python benchmarks/studio.py --images 10000     # memory over ten thousand images as well

A server process of its own draws with a small generator of random weights; clients are threads of
this process that each send one request after the other. On a machine that does other things too,
compare the server's CPU time per image; wall times there are of the crowd.

`plain` is what one writes first: FastAPI, an endpoint that is no coroutine, `Generator.images` of
one image, Pillow. `one by one` is the studio with batches of one.
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
WAYS = ("plain", "one by one", "batched")
MODEL = "random01@1"  # named whole, as the page names all
PLAIN = """
import io
import sys
import torch
import uvicorn
from fastapi import FastAPI, Response
from PIL import Image
from pydantic import BaseModel
from ganime.store.workspace import Workspace
from ganime.training.snapshot import load_generator
from ganime.web.server import WebConfig, address, listen

torch.set_num_threads(int(sys.argv[4]))
generator = load_generator(Workspace(sys.argv[1]), "random01", 1)
app = FastAPI()


class Asked(BaseModel):
    model: str
    seeds: list[int]
    format: str


@app.post("/v1/images")
def images(asked: Asked) -> Response:
    (image,) = generator.images(*generator.blueprint.of_seeds(asked.seeds))
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, asked.format)
    return Response(buffer.getvalue(), media_type="image/png")


config = WebConfig(port=0)
listener = listen(config)
print(address(config, listener.getsockname()[1], ""), flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
"""
SERVER = """
import sys
import torch
from ganime.store.workspace import Workspace
from ganime.studio.models import Models
from ganime.studio.serve import StudioConfig, server_of, share_interpreter
from ganime.studio.service import Service
from ganime.studio.torch_engine import load
from ganime.web.server import address, listen

torch.set_num_threads(int(sys.argv[4]))
is_batched, waiting = sys.argv[2] == "batched", int(sys.argv[3])


def opened(workspace, model, nimg):
    engine = load(workspace, model, nimg)
    engine.batches = engine.batches if is_batched else (1,)
    return engine


config = StudioConfig(port=0)
listener = listen(config)
models = Models(Workspace(sys.argv[1]), open_engine=opened)
service = Service(models, most_waiting=waiting)
service.models.opened("")
share_interpreter()
server = server_of(service, config, "")
print(address(config, listener.getsockname()[1], ""), flush=True)
server.run(sockets=[listener])
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    options.add_argument("--rounds", type=int, default=2, help="the best of which counts")
    options.add_argument("--images", type=int, default=1000, help="to watch the memory over")
    options.add_argument("--only", choices=("compare", "overload", "memory"), help="one of them")
    options.add_argument("--recipe", default="dcgan")
    options.add_argument("--resolution", type=int, default=64)
    options.add_argument("--threads", type=int, default=1, help="that torch computes with")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        add_model(workspace, chosen.recipe, chosen.resolution)
        figures: dict[str, Any] = {}
        for part in (compare, overload, memory):
            if chosen.only in (None, part.__name__):
                figures |= part(folder, chosen)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


def add_model(workspace: Workspace, recipe_name: str, resolution: int) -> None:
    """A generator of random weights: it draws as long as a trained one."""
    torch.manual_seed(0)
    blueprint = Blueprint(GANS.build(recipe_name), resolution)
    save_snapshot(workspace, "random01", 1, blueprint.network().eval(), blueprint)
    workspace.write_text("models/random01/config.json", "{}")


@contextmanager
def serving(folder: str, way: str, waiting: int, threads: int) -> Iterator[tuple[str, int]]:
    """A server in a process of its own: its address and its process."""
    server = PLAIN if way == "plain" else SERVER
    command = [sys.executable, "-c", server, folder, way, str(waiting), str(threads)]
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
    told_nothing: list[int] = []
    end = time.perf_counter() + (seconds or 3600)

    def work(number: int) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
        asked = 0
        while time.perf_counter() < end and (not images or asked < images // clients):
            asks = {"model": MODEL, "seeds": [number * 1_000_000 + asked], "format": "png"}
            started = time.perf_counter()
            body = json.dumps(asks)
            connection.request("POST", "/v1/images", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            took.append(time.perf_counter() - started)
            answers[answer.status] += 1
            asked += 1
            if answer.status == 429:
                if not answer.headers.get("Retry-After", "").isdigit():
                    told_nothing.append(number)
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
    return {
        "answers": dict(answers),
        "wall_s": wall,
        "p95_ms": 1e3 * p95,
        "without_retry": len(told_nothing),
    }


def compare(folder: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Images per second in each way, by number of clients: the least CPU time of the rounds."""
    figures: dict[str, Any] = {}
    for _ in range(chosen.rounds):
        for way in WAYS:
            with serving(folder, way, 1024, chosen.threads) as (url, process):
                crowd(url, 4, images=64)
                for clients in CLIENTS:
                    found = measured(url, process, clients, chosen.seconds)
                    name = f"{way}, {clients} clients"
                    best = min(figures.get(name, found), found, key=lambda one: one["cpu_ms"])
                    figures[name] = best
    for clients in CLIENTS:
        plain = figures[f"plain, {clients} clients"]
        for way in WAYS:
            found = figures[f"{way}, {clients} clients"]
            print(
                f"{way:>10}, {clients:2} clients: {found['images_per_s']:6.1f} images/s, "
                f"{found['cpu_ms']:5.2f} ms CPU per image, p95 {found['p95_ms']:6.1f} ms; "
                f"{plain['cpu_ms'] / found['cpu_ms']:.2f} x plain in CPU, "
                f"{found['images_per_s'] / plain['images_per_s']:.2f} x in images/s"
            )
    return figures


def measured(url: str, process: int, clients: int, seconds: float) -> dict[str, float]:
    """What a crowd gets, and what it costs."""
    before = cpu_s(process)
    told = crowd(url, clients, seconds=seconds)
    done = max(1, told["answers"].get(200, 0))
    return {
        "images_per_s": done / told["wall_s"],
        "cpu_ms": 1e3 * (cpu_s(process) - before) / done,
        "p95_ms": told["p95_ms"],
    }


def overload(folder: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Ten times as many clients as the queue holds: which answers there are, and how soon."""
    waiting, clients = 16, 160
    with serving(folder, "batched", waiting, chosen.threads) as (url, _):
        told = crowd(url, clients, seconds=chosen.seconds)
    print(
        f"  overload, {clients} clients, a queue of {waiting}: answers {told['answers']}, "
        f"p95 {told['p95_ms']:.0f} ms; 429 without Retry-After: {told['without_retry']}"
    )
    assert set(told["answers"]) <= {200, 429}
    assert told["without_retry"] == 0
    return {"overload": told}


def memory(folder: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Memory of the server after a tenth of many images and after all of them."""
    some, all_of_them = chosen.images // 10, chosen.images
    with serving(folder, "batched", 1024, chosen.threads) as (url, process):
        crowd(url, 16, images=some)
        before = resident_mb(process)
        crowd(url, 16, images=all_of_them - some)
        after = resident_mb(process)
    growth = 100 * (after / before - 1)
    print(
        f"    memory: {before:.1f} MB after {some} images, {after:.1f} MB after {all_of_them} "
        f"({growth:+.1f} %)"
    )
    return {"memory_mb": {some: before, all_of_them: after}}


if __name__ == "__main__":
    main()
