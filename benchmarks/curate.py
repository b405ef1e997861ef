"""Fingerprints, near-duplicate search, padding and scoring, each beside what is used elsewhere.

    python benchmarks/curate.py                      # about 5 minutes
    python benchmarks/curate.py --hashes 200000      # without the largest search

All programs of a comparison read the same files, drawn by the practice booru, in turn within each
round; figures are medians of the rounds, on one thread, but for ours in scoring, which decodes on a
second one. imagehash and imagededup are optional: a peer that cannot be imported is left out with a
line that says so.
"""

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps

from ganime.backbones import Backbone, BackboneConfig, load_backbone
from ganime.backbones.backbone import normalise
from ganime.backbones.networks import build_trunk
from ganime.fingerprint import fingerprint
from ganime.hamming import matches_within, pairs_within
from ganime.images import border_colour, decode
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.stages.pad import pad_to_square

RADIUS = 8  # bits
NUM_NEW = 2000
BRUTE = 20_000  # hashes that numpy compares with each other in a fraction of a second
BK_QUERIES = 20  # of a BK-tree in Python, which visits much of the tree for each
SEEDS_PER_S = 5.0  # images per second that the projects this one grew from score
SIZE, BATCH = 224, 32  # of a scored image [px]; images per pass
Programs = Mapping[str, Callable[[], Any]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--posts", type=int, default=300, help="posts of the practice booru")
    options.add_argument("--hashes", type=int, default=2_000_000, help="most hashes to search")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        config = PracticeConfig(posts=chosen.posts, broken=0, exact=0, seed=7)
        corpus = Corpus.build(config, Path(name))
        files = sorted(path for path in (corpus.folder / "images").rglob("*.*") if path.is_file())
        mean_kb = statistics.mean(path.stat().st_size for path in files) / 1000
        print(f"{len(files)} files, {mean_kb:.0f} kB each, one thread, {chosen.rounds} rounds")
        figures |= fingerprints(files, chosen.rounds)
        figures |= padding(files, chosen.rounds)
        figures |= scoring(files, chosen.rounds)
    figures |= searches(chosen.hashes, chosen.rounds)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def compare(title: str, num: int, programs: Programs, rounds: int) -> dict[str, float]:
    """Programs in turn, the first of which is ours; figures in items per second."""
    for program in programs.values():
        program()  # compiles, and brings the files into the page cache
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            seconds[name].append(timed(program))
    speeds = {name: num / statistics.median(values) for name, values in seconds.items()}
    ours, *others = speeds
    print(f"\n{title}")
    print(f"  {ours:36} {speeds[ours]:8.1f} images/s")
    for name in others:
        ratio = speeds[ours] / speeds[name]
        print(f"  {name:36} {speeds[name]:8.1f} images/s, ganime is {ratio:.2f} times as fast")
    return {f"{title}: {name} images/s": speed for name, speed in speeds.items()}


def timed(program: Callable[[], Any]) -> float:
    start = time.perf_counter()
    program()
    return time.perf_counter() - start


def optional(name: str) -> Any:
    """A peer's module, or None with a line that says so."""
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:  # torchvision raises the latter where torch is off
        print(f"left out: {name} ({str(error).splitlines()[0]})")
        return None


def fingerprints(files: Sequence[Path], rounds: int) -> dict[str, float]:
    """Ours measures more than a hash: two hashes, thumbnail, border, sharpness, a whole decode."""
    programs = {"ganime fingerprint": lambda: [fingerprint(path.read_bytes()) for path in files]}
    if imagehash := optional("imagehash"):
        programs["Pillow + imagehash.phash"] = lambda: [
            imagehash.phash(Image.open(path)) for path in files
        ]
    if imagededup := optional("imagededup.methods"):
        hasher = imagededup.PHash(verbose=False)
        programs["imagededup PHash"] = lambda: [
            hasher.encode_image(image_file=str(path)) for path in files
        ]
    return compare("fingerprint", len(files), programs, rounds)


def padding(files: Sequence[Path], rounds: int) -> dict[str, float]:
    programs = {
        "ganime, full decode": lambda: [pad_ours(path, 256) for path in files],
        "Pillow, squared, then resized": lambda: [pad_squared(path) for path in files],
        "Pillow, ImageOps.pad": lambda: [pad_pillow(path, 256) for path in files],
    }
    return compare("pad to 256", len(files), programs, rounds)


def pad_ours(path: Path, size: int) -> np.ndarray:
    image = decode(path.read_bytes()).pixels
    return pad_to_square(image, size, border_colour(image))[0]


def pad_squared(path: Path) -> np.ndarray:
    image = Image.open(path).convert("RGB")
    side = max(image.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(square.resize((256, 256), Image.Resampling.LANCZOS))


def pad_pillow(path: Path, size: int) -> np.ndarray:
    image = Image.open(path).convert("RGB")
    return np.asarray(ImageOps.pad(image, (size, size), Image.Resampling.LANCZOS, "white"))


def scoring(files: Sequence[Path], rounds: int) -> dict[str, float]:
    """Read, decode, pad, ResNet34, one sigmoid; random weights take as long as others."""
    config = BackboneConfig(architecture="resnet34", weights="none", size=SIZE, batch=BATCH)
    backbone, plain = load_backbone(config), build_trunk("resnet34", config.seed).eval()
    head = np.zeros(backbone.dim, np.float32)
    ours = f"ganime, {str(backbone.dtype).removeprefix('torch.')}, decoding meanwhile"
    programs = {
        ours: lambda: score_overlapped(backbone, head, files),
        "the same model, eager fp32": lambda: score_plain(plain, head, files),
    }
    figures = compare("score", len(files), programs, rounds)
    ratio = next(iter(figures.values())) / SEEDS_PER_S
    print(f"  {'the seeds, as they report':36} {SEEDS_PER_S:8.1f} images/s, {ratio:.1f} times")
    return figures


def batches(files: Sequence[Path]) -> list[Sequence[Path]]:
    return [files[start : start + BATCH] for start in range(0, len(files), BATCH)]


def score_overlapped(backbone: Backbone, head: np.ndarray, files: Sequence[Path]) -> None:
    def load(paths: Sequence[Path]) -> np.ndarray:
        return np.stack([pad_ours(path, SIZE) for path in paths])

    with ThreadPoolExecutor(1) as pool:
        # Decoding lets go of the interpreter's lock: the next batches are ready in time.
        for images in pool.map(load, batches(files)):
            1 / (1 + np.exp(-backbone.features(images) @ head))


def score_plain(model: torch.nn.Module, head: np.ndarray, files: Sequence[Path]) -> None:
    with torch.no_grad():
        for paths in batches(files):
            images = np.stack([pad_pillow(path, SIZE) for path in paths])
            pixels = normalise(torch.from_numpy(images).permute(0, 3, 1, 2))
            torch.sigmoid(model(pixels.contiguous()) @ torch.from_numpy(head))


def searches(most: int, rounds: int) -> dict[str, float]:
    """All pairs within 8 bits, of uniform hashes; peers are measured small and extrapolated."""
    print(f"\nall pairs within {RADIUS} bits")
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, max(most, BRUTE), np.uint64)
    exhaust(pairs_within(hashes[:100], RADIUS))  # compiles
    sizes = [num for num in (20_000, 200_000, 2_000_000) if num <= most]
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for num in sizes:
            took = timed(lambda num=num: exhaust(pairs_within(hashes[:num], RADIUS)))
            seconds.setdefault(f"ganime {num}", []).append(took)
        seconds.setdefault("brute", []).append(timed(lambda: brute_force(hashes[:BRUTE])))
        new = timed(lambda: exhaust(matches_within(hashes[:NUM_NEW], hashes, RADIUS)))
        seconds.setdefault(f"{NUM_NEW} new in {len(hashes)}", []).append(new)
    figures = {name: statistics.median(values) for name, values in seconds.items()}
    tree_s = bk_tree(hashes[:BRUTE])
    for num in sizes:
        ours = figures[f"ganime {num}"]
        brute = figures["brute"] * (num / BRUTE) ** 2
        line = f"  {num:9,}: ganime {ours:.2f} s; numpy {brute:,.1f} s, {brute / ours:,.0f} times"
        if tree_s is not None:  # at best in proportion: a larger tree takes longer to search
            line += f"; imagededup's BK-tree at least {tree_s * num:,.0f} s"
        print(line + (" (extrapolated)" if num > BRUTE or tree_s is not None else ""))
    name = f"{NUM_NEW} new in {len(hashes)}"
    print(f"  {name}: {figures[name]:.2f} s, the index included")
    return {f"search: {name} s": value for name, value in figures.items()}


def exhaust(blocks: Any) -> int:
    return sum(len(one) for one, _, _ in blocks)


def brute_force(hashes: np.ndarray) -> int:
    """All pairs in numpy, in blocks that fit a cache."""
    return sum(
        int((np.bitwise_count(hashes[i : i + 64, None] ^ hashes[: i + 64]) <= RADIUS).sum())
        for i in range(0, len(hashes), 64)
    )


def bk_tree(hashes: np.ndarray) -> float | None:
    """Seconds of one query in imagededup's tree, None where it is not installed."""
    module = optional("imagededup.handlers.search.bktree")
    methods = optional("imagededup.methods") if module else None
    if methods is None:
        return None
    named = {str(i): f"{int(value):016x}" for i, value in enumerate(hashes)}
    tree = module.BKTree(named, methods.PHash.hamming_distance)
    few = list(named.values())[:BK_QUERIES]
    return timed(lambda: [tree.search(value, tol=RADIUS) for value in few]) / BK_QUERIES


if __name__ == "__main__":
    sys.exit(main())
