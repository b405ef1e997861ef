"""Crawling against gallery-dl, interleaved on one loopback server; and list calls for whole sites.

    pip install ".[bench]"
    python benchmarks/crawl.py            # about 5 minutes, most of it gallery-dl waiting

Both crawl the same practice booru, served by a process of its own: gallery-dl by its gelbooru_v02
extractor with a custom root, as its users would; ours by the crawl stage with eight connections,
the coordinator, manifests, MD5 and a check of every file included. CPU time per image is
marginal: that of a long run less that of a short one, so that starting Python counts for neither.
Beside them runs a bare loop over the libraries that a crawl stands on: it asks by aiohttp, compares
the MD5, takes the SHA-256, decodes and writes each file as it comes, without rows, budgets, retries
or a way back after a kill.

Two habits of machines are kept out of the figures. What all have written is removed at the end: for
a minute after thousands of files were deleted, ext4 passes by the inode of each of them to make a
new file, 0.15 ms of CPU time apiece. And memory is touched before each run: the host of a virtual
machine gives it a page when it is first used, which takes ten times as long as using it again.
"""

import argparse
import json
import mmap
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.server import PracticeServer
from ganime.stages import crawl
from ganime.stages.crawl import CrawlConfig
from ganime.store.workspace import Workspace

TAGS = "full_body"
OURS = """
import sys
from ganime.sources.safebooru import Safebooru
from ganime.stages import crawl
from ganime.store.workspace import Workspace
config = crawl.CrawlConfig(
    source=Safebooru(url=sys.argv[1]), tags=sys.argv[2], limit=int(sys.argv[4]),
    ratings=("general", "sensitive", "questionable", "explicit", "unknown"),
)
crawl.run(Workspace(sys.argv[3]), config, "benchmark")
"""
BARE = """
import asyncio, hashlib, json, os, sys, urllib.request
import aiohttp, cv2, numpy as np
url, tags, folder, limit = sys.argv[1:]
query = f"page=dapi&s=post&q=index&json=1&limit={limit}&tags={tags}"
posts = json.load(urllib.request.urlopen(f"{url}/index.php?{query}"))
waiting = iter([post for post in posts if post["hash"]])

async def work(session):
    for post in waiting:
        async with session.get(post["file_url"]) as response:
            content = await response.read()
        if response.status != 200:
            continue
        assert hashlib.md5(content).hexdigest() == post["hash"]
        name = hashlib.sha256(content).hexdigest()
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        assert pixels is not None
        with open(f"{folder}/{name}.part", "wb") as file:
            file.write(content)
        os.replace(f"{folder}/{name}.part", f"{folder}/{name}")

async def main():
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(work(session) for _ in range(8)))

asyncio.run(main())
"""
_TOUCHED = 256 << 20  # bytes; more than a run takes


@dataclass(frozen=True)
class Result:
    """One run of one program."""

    num_images: int
    wall_s: float
    cpu_s: float

    @property
    def images_per_s(self) -> float:
        return self.num_images / self.wall_s


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--posts", type=int, default=600, help="posts of the practice booru")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    gallery_dl = Path(sys.executable).parent / "gallery-dl"
    if not gallery_dl.exists():
        sys.exit('gallery-dl is not installed: pip install ".[bench]"')
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = PracticeConfig(posts=chosen.posts, broken=0, seed=7)
        corpus = Corpus.build(config, folder / "corpus")
        sizes = [path.stat().st_size for path in (corpus.folder / "images").rglob("*.*")]
        mean_kb = statistics.mean(sizes) / 1000
        print(f"{len(sizes)} files, {mean_kb:.0f} kB each, {os.cpu_count()} cores")
        for latency_ms in (0, 50):
            figures |= compare(corpus, folder, gallery_dl, latency_ms, chosen.rounds)
        figures |= list_calls(folder)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def compare(
    corpus: Corpus, folder: Path, gallery_dl: Path, latency_ms: int, rounds: int
) -> dict[str, float]:
    """Both programs in turn, each once per round with all posts and once with few."""
    programs = {
        "ganime": run_ours,
        "gallery-dl": lambda *args: run_gallery_dl(gallery_dl, *args),
        "bare loop": run_bare,
    }
    whole: dict[str, list[Result]] = {name: [] for name in programs}
    short: dict[str, list[Result]] = {name: [] for name in programs}
    with served(corpus, latency_ms / 1000) as url:
        for _ in range(rounds):
            for name, program in programs.items():
                whole[name].append(program(url, folder, len(corpus.posts)))
                short[name].append(program(url, folder, 20))
    figures = {}
    print(f"\n{latency_ms} ms latency, median of {rounds}")
    for name in programs:
        speed = statistics.median(result.images_per_s for result in whole[name])
        cpu_ms = statistics.median(
            1000 * (long.cpu_s - brief.cpu_s) / (long.num_images - brief.num_images)
            for long, brief in zip(whole[name], short[name], strict=True)
        )
        print(
            f"  {name:10} {speed:6.1f} images/s, {cpu_ms:.2f} ms CPU per image, "
            f"{whole[name][0].num_images} images"
        )
        figures |= {f"{name} images/s {latency_ms}": speed, f"{name} cpu ms {latency_ms}": cpu_ms}
    ratio = figures[f"ganime images/s {latency_ms}"] / figures[f"gallery-dl images/s {latency_ms}"]
    print(f"  ganime is {ratio:.1f} times as fast")
    return {**figures, f"ratio {latency_ms}": ratio}


def run_ours(url: str, folder: Path, limit: int) -> Result:
    workspace = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, "-c", OURS, url, TAGS, str(workspace), str(limit)]
    return timed(command, lambda: sum(path.is_file() for path in workspace.glob("originals/*/*")))


def run_bare(url: str, folder: Path, limit: int) -> Result:
    target = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, "-c", BARE, url, TAGS, str(target), str(limit)]
    return timed(command, lambda: sum(path.is_file() for path in target.iterdir()))


def run_gallery_dl(program: Path, url: str, folder: Path, limit: int) -> Result:
    target, settings = Path(tempfile.mkdtemp(dir=folder)), folder / "gallery-dl.json"
    settings.write_text(
        json.dumps(
            {
                "extractor": {
                    "base-directory": str(target),
                    "gelbooru_v02": {"practice": {"root": url}},
                    "image-range": f"1-{limit}",
                }
            }
        )
    )
    command = [str(program), "--config-ignore", "--quiet", "-c", str(settings)]
    command.append(f"{url}/index.php?page=post&s=list&tags={TAGS}")
    return timed(command, lambda: sum(path.is_file() for path in target.rglob("*.*")))


def timed(command: list[str], count: Callable[[], int]) -> Result:
    """Run a program; the CPU time is its own and its children's."""
    os.sync()  # what the run before has left to write is not this one's to wait for
    with mmap.mmap(-1, _TOUCHED) as memory:
        memory[:: mmap.PAGESIZE] = bytes(_TOUCHED // mmap.PAGESIZE)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, check=True)
    wall_s = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Result(count(), wall_s, cpu_s)


@contextmanager
def served(corpus: Corpus, latency_s: float) -> Iterator[str]:
    """The practice booru in a process of its own, whose CPU time is nobody's."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(corpus, latency_s, theirs))
    process.start()
    yield ours.recv()
    ours.send("stop")
    process.join()


def _serve(corpus: Corpus, latency_s: float, pipe: Connection) -> None:
    with PracticeServer(corpus, latency_s=latency_s) as server:
        pipe.send(server.url)
        pipe.recv()


def list_calls(folder: Path) -> dict[str, float]:
    """How many list calls whole sites cost, over real HTTP, files left aside."""
    print()
    figures: dict[str, float] = {}
    for protocol, num_posts, options in (
        ("safebooru", 20_000, {"tags": "standing"}),
        ("zerochan", 30_000, {"tags": "", "source": {"order": "fav"}, "user": "bench"}),
    ):
        corpus = records_only(folder / protocol, num_posts)
        with PracticeServer(corpus, protocol=protocol) as server:
            source = {"name": protocol, "url": server.url, **options.pop("source", {})}
            config = CrawlConfig.parse({**options, "source": source, "limit": num_posts})
            added = crawl.list_posts(Workspace(str(folder / "lists")), config, "benchmark")
            calls = server.requests["list"]
        print(f"{protocol}: {added:,} posts listed by {calls} calls")
        figures[f"{protocol} list calls"] = calls
        assert added == num_posts
    return figures


def records_only(folder: Path, num_posts: int) -> Corpus:
    """A site of many posts without files."""
    records = [
        {
            "id": 1_000_000 + number, "tags": ["standing", "full_body"], "rating": "general",
            "md5": f"{number:032x}", "directory": number // 1000, "image": f"{number:040x}.jpg",
            "file": None, "media_type": "image/jpeg", "width": 600, "height": 900, "score": None,
            "created": 1_600_000_000 + number, "changed": 1_600_000_000 + number,
            "parent_id": None, "ghost": False,
        }
        for number in range(num_posts)
    ]  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "posts.json").write_text(json.dumps(records))
    return Corpus(folder)


if __name__ == "__main__":
    main()
