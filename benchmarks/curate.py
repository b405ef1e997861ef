"""Fingerprints, near-duplicate search, padding and scoring, each beside what is used elsewhere.

    python benchmarks/curate.py                      # about 6 minutes
    python benchmarks/curate.py --hashes 200000      # without the largest search

All programs of a comparison read the same files in turn within each round; figures are medians of
the rounds. The files are drawn by the practice booru, once in its own sizes and once as large as
boorus' originals. Ratios are of processor time, of all threads together, so that they hold on a
busy machine; each stands beside its goal. imagehash and imagededup are optional: a peer that cannot
be imported is left out with a line that says so.
"""

import argparse
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps

from ganime.backbones import Backbone, BackboneConfig, load_backbone
from ganime.backbones.backbone import normalise
from ganime.backbones.networks import build_trunk
from ganime.borders import border_colour
from ganime.fingerprint import THUMBNAIL, fingerprint, phash_pair
from ganime.hamming import matches_within, pairs_within
from ganime.images import decode
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.scaling import resize
from ganime.stages.pad import pad_to_square

RADIUS = 8  # bits
NUM_NEW = 2000
BRUTE = 20_000  # hashes that numpy compares with each other in a fraction of a second
PEERS = 1000  # hashes that imagededup compares with each other in seconds
SEARCH_GOALS = {20_000: 0.5, 200_000: 5.0, 2_000_000: 60.0}  # seconds, by number of hashes
NEW_GOAL = 1.0  # seconds, of the new among the largest
FINGERPRINT_GOAL_MS = 2.5
IMAGEHASH, IMAGEDEDUP = "Pillow + imagehash.phash", "imagededup PHash.encode_image"
SQUARED, EAGER = "Pillow, squared, then resized", "the same model, eager fp32"
GOALS = {IMAGEHASH: 4.0, IMAGEDEDUP: 5.0, SQUARED: 3.0, EAGER: 4.0}  # times as fast as a peer
SEEDS_PER_S, SEEDS_GOAL = 5.0, 15.0  # images that the projects this one grew from score; times
LARGE = (1200, 1800)  # heights of an original [px]
SCORED = 96  # images, as the peer takes 50-100 ms for each
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
        small = PracticeConfig(posts=chosen.posts, broken=0, exact=0, seed=7)
        sizes = {"height_min": LARGE[0], "height_max": LARGE[1]}
        large = small.model_copy(update={"posts": max(1, chosen.posts // 5), **sizes})
        for title, config in {"practice": small, "originals": large}.items():
            files = drawn(title, config, Path(name) / title)
            figures |= fingerprints(title, files, chosen.rounds)
            figures |= padding(title, files, chosen.rounds)
            if config is small:
                figures |= scoring(files[:SCORED], chosen.rounds)
    figures |= searches(chosen.hashes, chosen.rounds)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def drawn(title: str, config: PracticeConfig, folder: Path) -> list[Path]:
    corpus = Corpus.build(config, folder)
    files = sorted(path for path in (corpus.folder / "images").rglob("*.*") if path.is_file())
    mean_kb = statistics.mean(path.stat().st_size for path in files) / 1000
    heights = f"{config.height_min}-{config.height_max} px high"
    print(f"\n== {title}: {len(files)} files, {heights}, {mean_kb:.0f} kB each")
    return files


def compare(title: str, num: int, programs: Programs, rounds: int) -> dict[str, float]:
    """Programs in turn, the first of which is ours; figures in ms of a processor per item."""
    for program in programs.values():
        program()  # compiles, and brings the files into the page cache
    spent: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.process_time()
            program()
            spent[name].append(1000 * (time.process_time() - start) / num)
    return tell_costs(title, {name: statistics.median(values) for name, values in spent.items()})


def tell_costs(title: str, costs: Mapping[str, float]) -> dict[str, float]:
    """What programs take for an image [ms], the first of them ours."""
    ours, *others = costs
    print(f"\n{title}, ms of a processor per image")
    print(f"  {ours:36} {costs[ours]:8.2f}")
    for name in others:
        line = f"  {name:36} {costs[name]:8.2f}  ganime is {costs[name] / costs[ours]:.2f} times"
        print(line + (f" as fast, goal {GOALS[name]:g}" if name in GOALS else " as fast"))
    return {f"{title}: {name} ms": cost for name, cost in costs.items()}


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


def fingerprints(sizes: str, files: Sequence[Path], rounds: int) -> dict[str, float]:
    """Two programs of ours: the hash and its mirror's alone, which is what the peers give, and all
    facts of an image. A JPEG and a PNG are told apart, as all of the latter has to be inflated,
    which takes a third of the time where the package `deflate` is installed.
    """
    figures: dict[str, float] = {}
    for ours, program in {"the hash alone": hash_alone, "all facts": fingerprint}.items():
        whole: dict[str, float] = defaultdict(float)
        for kind in (".jpg", ".png"):
            some = [path for path in files if path.suffix == kind]
            title = f"fingerprint, {sizes}, {len(some)} {kind[1:].upper()}, {ours}"
            programs = {f"ganime, {ours}": over(some, program)} | hashers(some)
            found = compare(title, len(some), programs, rounds)
            figures |= found
            for name in programs:
                whole[name] += found[f"{title}: {name} ms"] * len(some) / len(files)
        figures |= tell_costs(f"fingerprint, {sizes}, all {len(files)}, {ours}", whole)
    print(f"  {'the goal for all facts':36} {FINGERPRINT_GOAL_MS:8.2f}")
    return figures


def over(files: Sequence[Path], program: Callable[[bytes], Any]) -> Callable[[], Any]:
    return lambda: [program(path.read_bytes()) for path in files]


def hash_alone(content: bytes) -> tuple[int, int]:
    """The hash of the picture as it is, not trimmed, and that of its mirror image."""
    pixels = resize(decode(content, at_least=2 * THUMBNAIL).pixels, THUMBNAIL, THUMBNAIL)
    return phash_pair(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8))


@lru_cache
def dedup_hasher() -> Any:
    imagededup = optional("imagededup.methods")
    return imagededup and imagededup.PHash(verbose=False)


def hashers(files: Sequence[Path]) -> dict[str, Callable[[], Any]]:
    # What no fingerprint on OpenCV's decoder can be faster than where no reduced decode will do.
    programs: dict[str, Callable[[], Any]] = {
        "OpenCV, decoding alone": lambda: [cv2.imread(str(path)) for path in files]
    }
    if imagehash := optional("imagehash"):
        programs[IMAGEHASH] = lambda: [imagehash.phash(Image.open(path)) for path in files]
    if hasher := dedup_hasher():
        programs[IMAGEDEDUP] = lambda: [hasher.encode_image(image_file=str(path)) for path in files]
    return programs


def padding(sizes: str, files: Sequence[Path], rounds: int) -> dict[str, float]:
    programs = {
        "ganime, full decode": lambda: [pad_ours(path, 256) for path in files],
        SQUARED: lambda: [pad_squared(path) for path in files],
        "Pillow, ImageOps.pad": lambda: [pad_pillow(path, 256) for path in files],
    }
    return compare(f"pad to 256, {sizes}", len(files), programs, rounds)


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
        EAGER: lambda: score_plain(plain, head, files),
    }
    figures = compare("score", len(files), programs, rounds)
    took = [timed(programs[ours]) for _ in range(rounds)]
    per_s = len(files) / statistics.median(took)
    ratio = per_s / SEEDS_PER_S
    print(f"  by the clock, one thread decoding and one scoring: {per_s:.1f} images/s,")
    print(
        f"  {ratio:.1f} times the seeds' {SEEDS_PER_S:g} images/s on 2 cores, goal {SEEDS_GOAL:g}"
    )
    return figures | {"score: ganime images/s by the clock": per_s}


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
    peers = imagededup_seconds(hashes[:PEERS])
    for num in sizes:
        ours, share = figures[f"ganime {num}"], num / BRUTE
        print(f"  {num:9,}: ganime {ours:.2f} s, goal {SEARCH_GOALS[num]:g} s")
        tell("numpy, brute force", figures["brute"] * share**2, ours, BRUTE if share > 1 else 0)
        for name, took in peers.items():
            # A brute search of all for all grows with the square of their number. A tree's grows
            # by no less than their number, and by how much more depends on the hashes.
            growth = (num / PEERS) ** (1 if name == "bktree" else 2)
            tell(f"imagededup, {name}", took * growth, ours, PEERS)
    name = f"{NUM_NEW} new in {len(hashes)}"
    goal = f", goal {NEW_GOAL:g} s" if len(hashes) == max(SEARCH_GOALS) else ""
    ours = figures[name]
    print(f"  {name}: {ours:.2f} s, the index included{goal}")
    tell("numpy, brute force", figures["brute"] * 2 * NUM_NEW * len(hashes) / BRUTE**2, ours, BRUTE)
    for method, took in peers.items():
        # One query of the tree at the least; of brute force, one comparison with each.
        growth = NUM_NEW / PEERS * (1 if method == "bktree" else len(hashes) / PEERS)
        tell(f"imagededup, {method}", took * growth, ours, PEERS)
    return {f"search: {name} s": value for name, value in figures.items()} | {
        f"search: imagededup {name} {PEERS} s": value for name, value in peers.items()
    }


def tell(name: str, took: float, ours: float, measured: int) -> None:
    """One peer's line; `measured` hashes, where it was measured with fewer than it is told of."""
    least = "at least " if name.endswith("bktree") else ""
    origin = f" (extrapolated from {measured:,})" if measured else ""
    print(f"    {name}: {least}{took:,.1f} s, {took / ours:,.0f} times as long{origin}")


def exhaust(blocks: Any) -> int:
    return sum(len(one) for one, _, _ in blocks)


def brute_force(hashes: np.ndarray) -> int:
    """All pairs in numpy, in blocks that fit a cache."""
    return sum(
        int((np.bitwise_count(hashes[i : i + 64, None] ^ hashes[: i + 64]) <= RADIUS).sum())
        for i in range(0, len(hashes), 64)
    )


def imagededup_seconds(hashes: np.ndarray) -> dict[str, float]:
    """Seconds of imagededup's searches for all pairs, none where it is not installed."""
    methods = optional("imagededup.methods")
    if methods is None:
        return {}
    hasher = methods.PHash(verbose=False)
    named = {str(i): f"{int(value):016x}" for i, value in enumerate(hashes)}
    return {
        method: timed(
            lambda method=method: hasher.find_duplicates(
                encoding_map=named, max_distance_threshold=RADIUS, search_method=method
            )
        )
        for method in ("bktree", "brute_force")
    }


if __name__ == "__main__":
    sys.exit(main())
