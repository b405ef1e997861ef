"""Metrics and their extractor beside the packages that people quote: same numbers, how much faster.

    python benchmarks/metrics.py                          # about 4 minutes
    python benchmarks/metrics.py --dim 512                # smaller matrices: a first look
    python benchmarks/metrics.py --folder real/faces96    # and whole numbers, on your own images

One file of random Inception weights, whose norms were fitted to drawn pictures, is loaded by each
package, so that nothing has to be downloaded; agreement is of features and of numbers, not of
published scores. With `--folder` each package reads, resizes and measures two sets of its files in
its own way, and so do we in the mode of that name. Programs run in turn within each round, on one
thread; figures are CPU time, medians of the rounds. Peers, each left out with a line that says so
where it cannot be imported: scipy (the general matrix root), pytorch-fid, torch-fidelity,
clean-fid, prdc.
"""

import argparse
import importlib
import json
import statistics as stats
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from ganime.backbones.fid_inception import build_network
from ganime.metrics import METRICS, Sets
from ganime.metrics.extractors.inception import Inception
from ganime.metrics.extractors.resizing import RESIZINGS, ResizingName
from ganime.metrics.frechet import frechet_distance, statistics
from ganime.metrics.inception_score import inception_scores
from ganime.metrics.kid import squared_mmd
from ganime.practice.plan import PracticeConfig, plan_posts
from ganime.practice.scenes import render

SIDE = 299  # of Inception's input [px]: no peer resizes
PICTURES = 64
NEIGHBOURS = 3000  # images of each kind for prdc, whose matrices are whole
FRECHET_GOAL = 5.0  # times as fast as scipy's root
Programs = Mapping[str, Callable[[], Any]]
# Files to their features, and a distance of two pairs of mu and sigma.
Package = Callable[[list[Path]], tuple[np.ndarray, Callable[..., float]]]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--dim", type=int, default=2048, help="features of the Fréchet step")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--folder", type=Path, help="images of one size, to be halved by name")
    options.add_argument("--images", type=int, default=200, help="how many of them")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    figures |= frechet_step(chosen.dim, chosen.rounds)
    figures |= kernel_distance()
    figures |= neighbourhoods(chosen.rounds)
    images = drawn(PICTURES)
    figures |= resizing(images)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "inception-random.pth"
        torch.save(fitted_network(images).state_dict(), weights)
        figures |= extraction(images, weights, chosen.rounds)
        if chosen.folder:
            figures |= own_modes(sorted(chosen.folder.iterdir())[: chosen.images], weights)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def peer(name: str) -> Any | None:
    """A module of a package that need not be there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"  {name} is left out: {error}", file=sys.stderr)
        return None


def compare(title: str, programs: Programs, rounds: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Programs in turn, the first of which is ours; seconds of a processor, and what they found."""
    spent: dict[str, list[float]] = {name: [] for name in programs}
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.process_time()
            found[name] = program()
            spent[name].append(time.process_time() - start)
    costs = {name: stats.median(values) for name, values in spent.items()}
    ours = next(iter(costs.values()))
    print(f"\n{title}, seconds of a processor")
    for name, cost in costs.items():
        print(f"  {name:44} {cost:9.3f}   ganime is {cost / ours:6.2f} times as fast")
    return {f"{title}: {name}, times": cost / ours for name, cost in costs.items()}, found


def agree(title: str, ours: Any, theirs: Any) -> dict[str, float]:
    """Largest difference, relative to the largest of our numbers."""
    one, other = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    off = float(np.abs(one - other).max() / max(np.abs(one).max(), 1e-12))
    print(f"  agreement, {title:42} {off:9.1e} relative")
    return {f"agreement: {title}": off}


def clouds(count: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Two sets with unequal axes, as features have [count, dim]."""
    rng = np.random.default_rng(0)
    axes = np.linspace(2, 0.05, dim)
    one, other = (rng.normal(size=(count, dim)) * axes + shift for shift in (0.0, 0.1))
    return one.astype(np.float32), other.astype(np.float32)


def frechet_step(dim: int, rounds: int) -> dict[str, float]:
    one, other = (statistics(cloud) for cloud in clouds(2 * dim, dim))
    programs: dict[str, Callable[[], Any]] = {"ganime": lambda: frechet_distance(*one, *other)}
    if scipy := peer("scipy.linalg"):
        programs["scipy.linalg.sqrtm"] = lambda: by_root(scipy, one, other)
    if pytorch_fid := peer("pytorch_fid.fid_score"):
        programs["pytorch-fid"] = lambda: pytorch_fid.calculate_frechet_distance(*one, *other)
    if clean_fid := peer("cleanfid.fid"):
        programs["clean-fid"] = lambda: clean_fid.frechet_distance(*one, *other)
    figures, found = compare(f"Fréchet step, {dim} features", programs, rounds)
    print(f"  goal: {FRECHET_GOAL:g} times as fast as scipy.linalg.sqrtm")
    for name in list(found)[1:]:
        figures |= agree(f"Fréchet, {name}", found["ganime"], found[name])
    return figures


def by_root(scipy: Any, one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> float:
    """The distance as in the paper, with a root of a general matrix."""
    gap = one[0] - other[0]
    root = scipy.sqrtm(one[1] @ other[1])
    return float(gap @ gap + np.trace(one[1] + other[1] - 2 * root.real))


def kernel_distance() -> dict[str, float]:
    """One subset that holds all images, so that no package's random numbers matter."""
    one, other = clouds(800, 256)
    ours = squared_mmd(one, other)
    figures: dict[str, float] = {}
    if clean_fid := peer("cleanfid.fid"):
        theirs = clean_fid.kernel_distance(one, other, num_subsets=1, max_subset_size=800)
        figures |= agree("KID, clean-fid", ours, theirs)
    if fidelity := peer("torch_fidelity.metric_kid"):
        found = fidelity.kid_features_to_metric(
            *(torch.from_numpy(cloud) for cloud in (one, other)),
            **{"kid_subsets": 1, "kid_subset_size": 800, "rng_seed": 0, "verbose": False},
        )
        figures |= agree("KID, torch-fidelity", ours, found["kernel_inception_distance_mean"])
    logits = one[:, :50] * 3
    if fidelity := peer("torch_fidelity.metric_isc"):
        found = fidelity.isc_features_to_metric(torch.from_numpy(logits), 10, shuffle=False)
        ours = float(inception_scores(logits, 10).mean())
        figures |= agree("Inception score, torch-fidelity", ours, found["inception_score_mean"])
    return figures


def neighbourhoods(rounds: int) -> dict[str, float]:
    one, other = clouds(NEIGHBOURS, 512)
    programs: dict[str, Callable[[], Any]] = {"ganime": lambda: four_measures(one, other)}
    if prdc := peer("prdc"):
        programs["prdc"] = lambda: prdc.compute_prdc(one, other, nearest_k=5)
    figures, found = compare(f"four measures of {NEIGHBOURS} images", programs, rounds)
    for name, value in found.get("prdc", {}).items():
        figures |= agree(f"{name}, prdc", found["ganime"][name], value)
    return figures


def drawn(count: int) -> np.ndarray:
    """Pictures of the practice booru, uint8 [count, 299, 299, 3]."""
    config = PracticeConfig(posts=count, height_min=320, height_max=400, broken=0, exact=0, near=0)
    pictures = [Image.fromarray(render(post.scene)[..., :3]) for post in plan_posts(config)]
    return np.stack(
        [np.asarray(ImageOps.pad(one, (SIDE, SIDE), color="white")) for one in pictures]
    )


def resizing(images: np.ndarray) -> dict[str, float]:
    clean_fid = peer("cleanfid.resize")
    if clean_fid is None:
        return {}
    small = np.stack([image[::2, ::2] for image in images[:8]])
    theirs = np.stack([clean_fid.build_resizer("clean")(image) for image in small])
    figures = {}
    print(f"\nresizing to {SIDE} px, levels off clean-fid's at most")
    modes: tuple[ResizingName, ...] = ("clean-fid", "rounded")
    for mode in modes:  # which rounds and clips along each axis, as files do
        ours = RESIZINGS[mode].resize(small, SIDE).permute(0, 2, 3, 1).numpy()
        off = float(np.abs(ours - theirs).max())
        print(f"  {mode:44} {off:9.1e}")
        figures[f"resizing, {mode}, levels off clean-fid"] = off
    return figures


def fitted_network(images: np.ndarray) -> torch.nn.Module:
    """Random weights with batch norms fitted to the pictures: activations of a trained size."""
    torch.manual_seed(0)
    network = build_network().train()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        network(prepared(images[:32]))
    return network.eval()


def prepared(images: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 128) / 128


def extraction(images: np.ndarray, weights: Path, rounds: int) -> dict[str, float]:
    exact, half = Inception(weights, "fp32"), Inception(weights, "bf16")
    programs: dict[str, Callable[[], Any]] = {
        "ganime, bf16": lambda: half.features(images),
        "ganime, fp32": lambda: exact.features(images),
    }
    if theirs := pytorch_fid_network(weights):
        programs["pytorch-fid"] = lambda: theirs(images)
    if other := fidelity_network(weights):
        programs["torch-fidelity"] = lambda: other(images)
    figures, found = compare(f"Inception, {len(images)} images", programs, rounds)
    ours, shift = found["ganime, fp32"], found["ganime, bf16"]
    for name in list(found)[2:]:
        figures |= agree(f"features, {name}", ours, found[name])
    off = float(np.linalg.norm(shift - ours) / np.linalg.norm(ours))
    moved = frechet_distance(*statistics(ours), *statistics(shift))
    parts = frechet_distance(*statistics(ours[::2]), *statistics(ours[1::2]))
    print(f"  bf16 moves features by {off:.2%} of their length, and the set by a distance of")
    print(f"  {moved:.2e}, {moved / parts:.1%} of that between its halves; of random weights")
    return figures | {"bf16 shift of features": off, "bf16 distance / halves": moved / parts}


def own_modes(files: list[Path], weights: Path) -> dict[str, float]:
    """Each package on the same files in its own way, from the file to the number; then bf16's."""
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    print(f"\nin their own modes: {len(files)} files of {pixels.shape[1:]} in two halves")
    figures: dict[str, float] = {}
    for mode, package in PACKAGES.items():
        theirs = package(weights)
        if theirs is None:
            continue
        ours = Inception(weights, "fp32", mode).features(pixels)
        features, distance = theirs(files)
        figures |= agree(f"features, {mode}", ours, features)
        value = frechet_distance(*map_halves(ours))
        print(f"  {'Fréchet distance of the halves by ' + mode:53} {value:9.5f}")
        figures |= {f"Fréchet distance, {mode}": value}
        figures |= agree(f"Fréchet distance, {mode}", value, distance(*map_halves(features)))
    exact, half = (Inception(weights, kind).features(pixels) for kind in ("fp32", "bf16"))
    value, shifted = (frechet_distance(*map_halves(found)) for found in (exact, half))
    print(f"  bf16 moves the distance of the halves from {value:.5f} to {shifted:.5f}")
    figures |= {"bf16 shift of the distance": shifted / value - 1}
    return figures | same_features(*np.array_split(exact, 2))


def same_features(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """The other measures, of features of real images."""
    figures: dict[str, float] = {}
    if fidelity := peer("torch_fidelity.metric_kid"):
        found = fidelity.kid_features_to_metric(
            *(torch.from_numpy(part) for part in (one, other)),
            **{"kid_subsets": 1, "kid_subset_size": len(other), "rng_seed": 0, "verbose": False},
        )
        ours, theirs = squared_mmd(one, other), found["kernel_inception_distance_mean"]
        # Of alike halves it is near 0, a difference of sums near 1: digits are of those.
        print(f"  KID of the halves {ours:.3e}, torch-fidelity's {theirs:.3e}")
        figures |= {"KID of the halves": ours, "KID off torch-fidelity's": abs(ours - theirs)}
    if prdc := peer("prdc"):
        wanted = prdc.compute_prdc(one, other, nearest_k=5)
        for name, value in four_measures(one, other).items():
            figures |= agree(f"{name} of the halves, prdc", value, wanted[name])
    return figures


def four_measures(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    settings = [{"name": name, "k": 5} for name in ("precision_recall", "density_coverage")]
    found = [METRICS.build(setting).measure(Sets(one, other)) for setting in settings]
    return {value.base: value.value for values in found for value in values}


def map_halves(features: np.ndarray) -> tuple[np.ndarray, ...]:
    """mu and sigma of each half, in axes that span all features.

    Turning the axes changes no distance, and a general root of matrices as small as the number of
    images costs seconds instead of minutes.
    """
    axes = np.linalg.qr(features.astype(np.float64).T)[0]
    return sum((statistics(half @ axes) for half in np.array_split(features, 2)), ())


def by_pytorch_fid(weights: Path) -> Package | None:
    network, scores = pytorch_fid_module(weights), peer("pytorch_fid.fid_score")
    if network is None or scores is None:
        return None
    whole = network([3]).eval()
    return lambda files: (
        scores.get_activations(files, whole, batch_size=20, num_workers=0),
        scores.calculate_frechet_distance,
    )


def by_clean_fid(weights: Path) -> Package | None:
    """Its files and its resizing; its network, which is a download, is pytorch-fid's here."""
    network, clean_fid = pytorch_fid_module(weights), peer("cleanfid.fid")
    if network is None or clean_fid is None:
        return None
    plain = network([3], resize_input=False, normalize_input=False).eval()

    def found(files: list[Path]) -> Any:
        features = clean_fid.get_files_features(
            *([str(file) for file in files], lambda x: plain((x - 128) / 128)[0].flatten(1)),
            **{"num_workers": 0, "batch_size": 20, "device": torch.device("cpu")},
            **{"mode": "clean", "verbose": False},
        )
        return features, clean_fid.frechet_distance

    return found


def by_torch_fidelity(weights: Path) -> Package | None:
    network, module = fidelity_network(weights), peer("torch_fidelity.metric_fid")
    if network is None or module is None:
        return None

    def distance(*parts: np.ndarray) -> float:
        first, second = ({"mu": parts[at], "sigma": parts[at + 1]} for at in (0, 2))
        found = module.fid_statistics_to_metric(first, second, verbose=False)
        return float(found["frechet_inception_distance"])

    def features(files: list[Path]) -> np.ndarray:
        return network(np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]))

    return lambda files: (features(files), distance)


def pytorch_fid_module(weights: Path) -> Any | None:
    """Its network's class, with these weights wherever it would download some."""
    module = peer("pytorch_fid.inception")
    if module is None:
        return None
    state = torch.load(weights, weights_only=True)
    module.load_state_dict_from_url = lambda *_, **__: state  # it knows no paths, only a URL
    return module.InceptionV3


def pytorch_fid_network(weights: Path) -> Callable[[np.ndarray], np.ndarray] | None:
    module = pytorch_fid_module(weights)
    if module is None:
        return None
    network = module([3], resize_input=False, normalize_input=False).eval()

    def features(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batches = torch.split(prepared(images), 32)
            return np.concatenate([network(batch)[0].flatten(1).numpy() for batch in batches])

    return features


def fidelity_network(weights: Path) -> Callable[[np.ndarray], np.ndarray] | None:
    module = peer("torch_fidelity.feature_extractor_inceptionv3")
    if module is None:
        return None
    network = module.FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
    ).eval()

    def features(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batches = torch.split(torch.from_numpy(images).permute(0, 3, 1, 2), 32)
            return np.concatenate([network(batch)[0].numpy() for batch in batches])

    return features


PACKAGES: dict[ResizingName, Callable[[Path], Package | None]] = {
    "pytorch-fid": by_pytorch_fid,
    "torch-fidelity": by_torch_fidelity,
    "clean-fid": by_clean_fid,
}


if __name__ == "__main__":
    main()
