"""How many labels a question needs: images to label drawn at random beside those asked for.

    python benchmarks/labels.py --weights mobilenet_v2.pth        # the practice booru, minutes
    python benchmarks/labels.py --weights mobilenet_v2.pth --real FOLDER --plot labels.png

Each run learns from one half of the images, of which it is told the answers it asks for, and is
judged on the other half; figures are the mean F1 of all seeds. Copies, and pictures of one
character where the name of the file tells, stay in one half. FOLDER has one folder per kind of
drawing, see KINDS. A folder's ground, margin and resolution would tell its images apart, so all are
put on white, trimmed and brought through 64 px; rows `learned -> judged` are judged on folders that
were not learned from at all.

Features: `random` are those of weights that learned nothing, `last` those of the last map with
pretrained weights; `middle`, what ganime stores, adds to them a map in the middle, averaged as a
whole and by quarters. $GANIME_SHARED, if set, names a folder with weights/ and real/.
"""

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from label_curves import draw
from PIL import Image

from ganime.backbones import BackboneConfig, load_backbone
from ganime.borders import border_colour
from ganime.classifiers.asking import Known, next_to_label
from ganime.classifiers.head import Examples, Features, HeadConfig, fit_head
from ganime.classifiers.thresholds import choose_threshold
from ganime.images import decode
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.stages.pad import pad_to_square

Images = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
SIDE = 64  # px that every real image goes through
ROUNDS = (10, 20, 30, 40, 60, 80, 110)  # labels after which more are asked for
FEATURES = ("random", "last", "middle")
_INK = 12  # levels from white; less is the noise of a JPEG's ground
KINDS = {
    **{"chibi": 60, "chibi_pixel": 200, "fullbody": 160, "halfbody": 200},
    **{"multiple_composed": 50, "touhou": 100, "lpc64": 100},
}


@dataclass(frozen=True)
class Task:
    """A question about some images.

    Attributes:
        name: What is asked.
        chosen: Places of the images [M].
        answers: Yes or no [M].
        groups: Images of one group stay in one half [M].
        learned: Those that may be learned from [M], the others judge; None draws halves.
    """

    name: str
    chosen: npt.NDArray[np.int64]
    answers: Flags
    groups: npt.NDArray[np.str_]
    learned: Flags | None = None


def main() -> None:
    shared = os.environ.get("GANIME_SHARED")
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = Path(shared) / "weights/mobilenet_v2-imagenet.pth" if shared else None
    options.add_argument("--weights", type=Path, default=given, help="of MobileNetV2")
    options.add_argument("--real", type=Path, default=Path(shared) / "real" if shared else None)
    options.add_argument("--posts", type=int, default=500, help="of the practice booru; 0: without")
    options.add_argument("--size", type=int, default=224, help="side of the network's input [px]")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--budgets", type=int, nargs="+", default=[10, 20, 40, 80, 150])
    options.add_argument("--features", nargs="+", choices=FEATURES, default=FEATURES)
    options.add_argument("--head", choices=["auto", "linear", "mlp"], default="linear")
    options.add_argument("--tasks", nargs="+", help="names of the questions; all without")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    options.add_argument("--plot", type=Path, help="draw the curves of all questions, a PNG")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    config = HeadConfig(kind=chosen.head)
    figures: dict[str, list[float]] = {}
    sets = [practice(chosen.posts)] if chosen.posts else []
    sets += [real(chosen.real)] if chosen.real else []
    for images, every in sets:
        tasks = [task for task in every if not chosen.tasks or task.name in chosen.tasks]
        for kind in chosen.features if tasks else ():
            if kind == "random" or chosen.weights:
                features = measured(kind, images, chosen.weights, chosen.size)
                figures |= compare(kind, features, tasks, chosen.budgets, chosen.seeds, config)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")
    if chosen.plot:
        curves: dict[str, dict[str, list[float]]] = {}
        for key, means in figures.items():
            title, _, how = key.rpartition(", ")
            panel = title.partition(": ")[2] if len(chosen.features) == 1 else title
            curves.setdefault(panel, {})[how] = means
        draw(curves, chosen.budgets, chosen.plot)


def compare(
    kind: str,
    features: Features,
    tasks: Sequence[Task],
    budgets: Sequence[int],
    seeds: int,
    config: HeadConfig,
) -> dict[str, list[float]]:
    """A row of F1 per task and way to choose, printed as they come."""
    print(f"\n{kind}: F1 on the other half, {len(features)} images, {seeds} seeds")
    print(f"  {'labels':54}" + "".join(f"{budget:8}" for budget in budgets))
    figures = {}
    for task in tasks:
        for how in ("random", "active"):
            start = time.process_time()
            runs = [run(features, task, how, budgets, seed, config) for seed in range(seeds)]
            mean = [float(value) for value in np.mean(runs, axis=0)]
            spent = time.process_time() - start
            title = f"{task.name} ({int(task.answers.sum())} of {len(task.answers)}), {how}"
            row = "".join(f"{value:8.3f}" for value in mean)
            print(f"  {title:54}{row}   {spent:.0f} s", flush=True)
            figures[f"{kind}: {title}"] = mean
    return figures


def run(
    features: Features,
    task: Task,
    how: str,
    budgets: Sequence[int],
    seed: int,
    config: HeadConfig,
) -> list[float]:
    """F1 on images not learned from, after each budget."""
    rng = np.random.default_rng(seed)
    learned = task.learned
    if learned is None:
        names = rng.permutation(np.unique(task.groups))
        learned = np.isin(task.groups, names[: len(names) // 2])
    pool, judged = np.flatnonzero(learned), np.flatnonzero(~learned)
    inputs = features[task.chosen]
    order = rng.permutation(pool)
    labelled: list[int] = []
    found, scores = [], np.full(len(inputs), 0.5)
    threshold = 0.5
    for count in sorted({*budgets, *(num for num in ROUNDS if num < max(budgets))}):
        if how == "random":
            labelled = order[:count].tolist()
        else:
            rest = np.setdiff1d(pool, labelled)
            num = count - len(labelled)
            known = Known(inputs[labelled], task.answers[labelled])
            asked = next_to_label(scores[rest], inputs[rest], num, seed, threshold, known)
            labelled += rest[asked].tolist()
        if how == "random" and count not in budgets:
            continue
        scores, threshold = answer(inputs, task, labelled, config)
        if count in budgets:
            said, truth = scores[judged] > threshold, task.answers[judged]
            found.append(2 * (said & truth).sum() / max(1, said.sum() + truth.sum()))
    return found


def answer(
    inputs: Features, task: Task, labelled: Sequence[int], config: HeadConfig
) -> tuple[npt.NDArray[np.float64], float]:
    """Scores of all images and the threshold, by a head that learned from those labelled."""
    known = task.answers[labelled]
    if known.all() or not known.any():
        return np.full(len(inputs), 0.5), 0.5
    examples = Examples(
        keys=[str(i) for i in labelled],
        features=inputs[labelled],
        answers=known,
        sure=np.ones(len(known), bool),
        groups=task.groups[labelled].tolist(),
    )
    fitted = fit_head(examples, config, seed=0)
    return fitted.head.scores(inputs), choose_threshold(fitted.held_out, known).threshold


def measured(kind: str, images: Images, weights: Path, size: int) -> Features:
    """Features [N, D] of one kind, see FEATURES."""
    settings = {"size": size, "batch": 32, "device": "cpu"}
    if kind == "random":  # a ResNet, as random MobileNets say the same of all images
        return load_backbone(BackboneConfig.parse(settings | {"weights": "none"})).features(images)
    settings |= {"architecture": "mobilenet_v2", "weights": str(weights)}
    backbone = load_backbone(BackboneConfig.parse(settings))
    return backbone.features(images) if kind == "last" else backbone.descriptions(images)


def practice(posts: int) -> tuple[Images, list[Task]]:
    """The practice booru's whole images and what was drawn."""
    with tempfile.TemporaryDirectory() as name:
        corpus = Corpus.build(PracticeConfig(posts=posts, broken=0, seed=11), Path(name))
        pairs = [
            (corpus.folder / post.file, row)
            for post, row in zip(corpus.posts, corpus.truth(), strict=True)
            if post.file is not None
        ]
        images = []
        for path, _ in pairs:
            pixels = decode(path.read_bytes()).pixels
            images.append(pad_to_square(pixels, 128, border_colour(pixels))[0])
    groups = np.array([row.character_id for _, row in pairs])
    kinds = np.array([row.kind for _, row in pairs])
    every = np.arange(len(pairs))
    names = ("chibi", "multiple", "viewpoint")
    return np.stack(images), [Task(f"drawn {n}", every, kinds == n, groups) for n in names]


def real(folder: Path) -> tuple[Images, list[Task]]:
    """Real drawings: which are chibis, which show the whole body, which more than one figure."""
    images: list[Images] = []
    kinds: list[str] = []
    groups: list[str] = []
    for kind, most in KINDS.items():
        files = sorted((folder / kind).iterdir())
        chosen = np.random.default_rng(0).permutation(len(files))[:most]
        for i in sorted(chosen):
            images.append(small(read_real(files[i])))
            kinds.append(kind)
            groups.append(character(kind, files[i].stem))
    pairs = composed(images, kinds)
    images += [pair for pair, _, _ in pairs]
    names = joined(groups, [(left, right) for _, left, right in pairs])
    names += [names[left] for _, left, _ in pairs]
    kinds += [f"two_{kinds[left]}" for _, left, _ in pairs]
    return np.stack(images), questions(np.array(kinds), np.array(names))


def questions(kinds: npt.NDArray[np.str_], groups: npt.NDArray[np.str_]) -> list[Task]:
    """What is asked, within folders and from some folders to others."""

    def ask(name: str, yes: Sequence[str], no: Sequence[str], judge: Sequence[str] = ()) -> Task:
        chosen = np.flatnonzero(np.isin(kinds, [*yes, *no]))
        learned = ~np.isin(kinds[chosen], judge) if judge else None
        return Task(name, chosen, np.isin(kinds[chosen], yes), groups[chosen], learned)

    chibi, tall = ("chibi", "chibi_pixel"), ("fullbody", "halfbody", "touhou")
    two = ("two_fullbody", "two_halfbody", "two_chibi_pixel")
    one = ("fullbody", "halfbody", "chibi_pixel")
    whole, part = ("fullbody", "chibi_pixel", "lpc64"), ("halfbody", "touhou")
    return [
        ask("chibi", chibi, tall),
        ask("chibi, pixel -> painted", chibi, tall, ("chibi", "touhou")),
        ask("full body", whole, part),
        ask("full body, fullbody -> lpc64", ("fullbody", "lpc64"), part, ("lpc64", "touhou")),
        ask("multiple", two, one),
        ask("multiple, -> chibi_pixel", two, one, ("two_chibi_pixel", "chibi_pixel")),
        ask("multiple, given pictures", ("multiple_composed",), ("fullbody",)),
    ]


def composed(images: Sequence[Images], kinds: Sequence[str]) -> list[tuple[Images, int, int]]:
    """Two figures side by side, no figure twice, and the places of both."""
    made = []
    for kind in ("fullbody", "halfbody", "chibi_pixel"):
        places = np.random.default_rng(1).permutation(np.flatnonzero(np.array(kinds) == kind))
        for left, right in zip(places[:120:2], places[1:120:2], strict=True):
            parts = [trim(images[left]), trim(images[right])]
            high = max(len(part) for part in parts)
            framed = [
                cv2.copyMakeBorder(
                    part, high - len(part), 0, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255)
                )
                for part in parts
            ]
            made.append((small(np.concatenate(framed, axis=1)), int(left), int(right)))
    return made


def joined(groups: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """The groups, those of the two figures of each pair made one."""
    found = list(groups)
    for left, right in pairs:
        old, new = found[right], found[left]
        found = [new if name == old else name for name in found]
    return found


def character(kind: str, stem: str) -> str:
    """Who is drawn, as far as the name tells: full bodies are `name_outfit`."""
    found = re.fullmatch(r"(?:.*__)?(.*)_[^_]+", stem) if kind == "fullbody" else None
    return f"{kind} {found[1] if found else stem}"


def read_real(path: Path) -> Images:
    """A drawing on white, trimmed."""
    with Image.open(path) as opened:
        image = opened.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return trim(on_white(np.asarray(Image.alpha_composite(white, image).convert("RGB"))))


def on_white(pixels: Images) -> Images:
    """The black ground that touches a corner, made white."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height + 2, width + 2), np.uint8)
    filled = pixels.copy()
    flags = 4 | (255 << 8) | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE
    for x, y in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if pixels[y, x].max() < 40:
            cv2.floodFill(filled, mask, (x, y), (0, 0, 0), (24,) * 3, (24,) * 3, flags)
    filled[mask[1:-1, 1:-1] > 0] = 255
    return filled


def trim(pixels: Images) -> Images:
    """Without the white around the drawing."""
    ink = (255 - pixels.min(axis=2)) > _INK
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def small(pixels: Images) -> Images:
    """White square of `SIDE`."""
    return pad_to_square(pixels, SIDE, (255, 255, 255))[0]


if __name__ == "__main__":
    main()
