"""Compare two generators: the same reals, the same seeds, and how sure a difference is."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import Field

from ganime.config import Config
from ganime.errors import ConfigError
from ganime.metrics import Features, Metric, Sets
from ganime.metrics.comparison import Gap, coverage_gap, metric_gaps
from ganime.metrics.extractors import Extractor
from ganime.metrics.measurement import measure
from ganime.metrics.neighbours import ball_counts, kth_distances
from ganime.metrics.reference import real_features
from ganime.store.difference import difference
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from ganime.training.generator import Generator
from ganime.training.pictures import described_png
from ganime.training.sheets import GRID_ROWS, GRID_SEED, tile

log = logging.getLogger(__name__)
Images = npt.NDArray[np.uint8]

_COLUMNS, _BAR = 4, 16  # of each half of the sheet; between the halves [px]


class CompareConfig(Config):
    """How two generators are compared."""

    resamples: int = Field(40, ge=10, description="Half-samples that the intervals come from.")
    k: int = Field(5, ge=1, description="Neighbours that decide whether a real is covered.")
    most_tags: int = Field(12, ge=0, description="Tags to compare one by one, the commonest first.")
    least_images: int = Field(20, ge=2, description="Tags of fewer images are left out.")


@dataclass(frozen=True, slots=True)
class Contender:
    """One of the two.

    Attributes:
        model_id: The model.
        dataset: name/version that it learned from.
        generator: One of its snapshots.
    """

    model_id: str
    dataset: str
    generator: Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All that was found.

    Attributes:
        first: Id and snapshot of the first, for example `41f0@60000`: A in the verdicts.
        second: The same of the second, B.
        reference: name/version of the real images.
        extractor: Name, weights and resizing of the network that gave the features.
        counts: Real images, and samples of each.
        seed: Of all random choices.
        paired: Whether both drew the same latents, and tags where they take them.
        gaps: Metric by metric.
        tags: Share of the reals with a tag near which there are samples, tag by tag.
        seen: Share of the reference that each was trained on.
        only_first: Ids of images that only the first one's dataset has, by reason.
        only_second: Those that only the second one's has.
        settings: Lines of dataset settings that differ; `-` first, `+` second.
        versions: Of the libraries that took part.
    """

    first: str
    second: str
    reference: str
    extractor: tuple[str, str, str]
    counts: tuple[int, int]
    seed: int
    paired: bool
    gaps: list[Gap]
    tags: list[Gap]
    seen: tuple[float, float]
    only_first: dict[str, list[str]]
    only_second: dict[str, list[str]]
    settings: list[str]
    versions: dict[str, str]

    def lines(self) -> list[str]:
        """For people to read."""
        lines = [
            f"A is {self.first}, B is {self.second}",
            f"{self.counts[1]} samples of each against {self.counts[0]} images of "
            f"{self.reference}, in the features of {self.extractor[0]}"
            + ("; both drew the same latents" if self.paired else ""),
        ]
        if min(self.seen) < 1:
            shares = f"A was trained on {self.seen[0]:.0%} of these images, B on {self.seen[1]:.0%}"
            lines.append(f"{shares}: who has seen more of them has it easier")
        lines += [
            f"{gap.name}: A {gap.first:.4g}, B {gap.second:.4g}: {gap.verdict}" for gap in self.gaps
        ]
        if self.tags:
            lines.append("share of the images with a tag that samples come near to:")
        lines += [
            f"  {gap.name}: A {gap.first:.0%}, B {gap.second:.0%}: {gap.verdict}"
            for gap in self.tags
        ]
        for who, groups in (("A", self.only_first), ("B", self.only_second)):
            lines += [
                f"only {who} has {len(ids)} images: {reason}, for example {ids[0][:12]}"
                for reason, ids in sorted(groups.items(), key=lambda item: -len(item[1]))
            ]
        return [*lines, *(f"setting {line}" for line in self.settings)]


def comparison_key(first: str, second: str, ending: str) -> str:
    """Where a comparison of two models lies; the ending is `json` or `png`."""
    return f"comparisons/{first}-{second}.{ending}"


def choose_reference(first: tuple[str, str], second: tuple[str, str], asked: str) -> str:
    """The dataset version to hold both against: the one asked for, or the one that both know.

    Args:
        first: A's id, and the name/version that it learned from.
        second: The same of B.
        asked: What a person asked for; empty for nothing.

    Raises:
        ConfigError: they learned from different ones and none was asked for.
    """
    if asked or first[1] == second[1]:
        return asked or first[1]
    raise ConfigError(
        f"{first[0]} learned from {first[1]} and {second[0]} from {second[1]}, so no images are "
        f"the measure of both: name some with --reference, for example --reference {second[1]}"
    )


def run(
    workspace: Workspace,
    config: CompareConfig,
    *,
    first: Contender,
    second: Contender,
    reference: Dataset,
    extractor: Extractor,
    metrics: Sequence[Metric],
    num_fake: int,
    seed: int,
) -> Comparison:
    """Compare two generators, and write what was found and a sheet of both.

    Args:
        workspace: Where; `comparisons/<first>-<second>.json` and `.png`.
        config: How many half-samples, which tags.
        first: A.
        second: B.
        reference: The real images, of their training split.
        extractor: Network to measure in.
        metrics: What to measure.
        num_fake: Samples of each.
        seed: Of the latents and all other random choices.

    Raises:
        ConfigError: too few images for a metric.
    """
    both = (first, second)
    name = f"{reference.name}/{reference.version}"
    real = real_features(workspace, reference.split("train"), name, extractor)
    fakes = [extractor.features(item.generator.sample(num_fake, seed)) for item in both]
    head = getattr(extractor, "head", None)
    sets = [Sets(real, fake, None, head, seed) for fake in fakes]
    paired = _draws_alike(first.generator, second.generator, seed)
    gaps = [
        gap
        for metric in metrics
        for gap in metric_gaps(metric, sets, extractor, name, config.resamples, paired=paired)
    ]
    known = measure(metrics[:1], sets[0], extractor, name)[0]
    found = Comparison(
        first=f"{first.model_id}@{first.generator.nimg}",
        second=f"{second.model_id}@{second.generator.nimg}",
        reference=name,
        extractor=(known.extractor, known.weights, known.resize),
        counts=(len(real), num_fake),
        seed=seed,
        paired=paired,
        gaps=gaps,
        tags=tag_gaps(config, reference, real, fakes),
        seen=_seen(workspace, reference, both),
        **_training_images(workspace, both),
        versions=dict(known.versions),
    )
    _write(workspace, found, both)
    for gap in gaps:
        log.info("compare: %s: %s", gap.name, gap.verdict)
    return found


def tag_gaps(
    config: CompareConfig, reference: Dataset, real: Features, fakes: Sequence[Features]
) -> list[Gap]:
    """Coverage (2002.09797, eq. 4) of the reals with each tag: which tags does who draw.

    A real is covered if a sample is nearer to it than its k-th nearest real. It needs no generator
    that takes tags.

    Args:
        config: k, and which tags.
        reference: For its tags; the commonest come first.
        real: Features of its training split [N, D].
        fakes: Of A and of B [M, D] each.
    """
    if not reference.tags or config.most_tags == 0 or len(real) <= config.k:
        return []
    radii = kth_distances(real, config.k)
    first, second = (ball_counts(real, radii, fake)[1] > 0 for fake in fakes)
    labels = reference.split_labels("train") > 0
    common = np.flatnonzero(labels.sum(axis=0) >= config.least_images)[: config.most_tags]
    return [
        coverage_gap(reference.tags[place], first[labels[:, place]], second[labels[:, place]])
        for place in common
    ]


def _draws_alike(first: Generator, second: Generator, seed: int) -> bool:
    """Whether sample i of both has the same latent, and the same tags where there are any."""
    one, other = first.blueprint, second.blueprint
    if not torch.equal(one.latents(1, seed), other.latents(1, seed)):
        return False
    asked, wanted = one.tags(64, seed), other.tags(64, seed)  # as many as differ somewhere
    if one.tag_names != other.tag_names or asked is None or wanted is None:
        return asked is None and wanted is None
    return torch.equal(asked, wanted)


def _seen(
    workspace: Workspace, reference: Dataset, both: Sequence[Contender]
) -> tuple[float, float]:
    """Share of the reals that each model was trained on."""
    wanted = _trained_on(reference)
    first, second = (_trained_on(_open(workspace, item.dataset)) for item in both)
    return len(wanted & first) / len(wanted), len(wanted & second) / len(wanted)


def _open(workspace: Workspace, dataset: str) -> Dataset:
    return Dataset(workspace, *dataset.split("/", 1))


def _trained_on(dataset: Dataset) -> set[str]:
    return {row.image_id for row in dataset.members if row.split == "train"}


def _training_images(workspace: Workspace, both: Sequence[Contender]) -> dict[str, Any]:
    """Which images one dataset has and the other has not, and why."""
    first, second = both
    if first.dataset == second.dataset:
        return {"only_first": {}, "only_second": {}, "settings": []}
    found = difference(workspace, first.dataset, second.dataset)
    return {
        "only_first": {reason: list(ids) for reason, ids in found.removed.items()},
        "only_second": {reason: list(ids) for reason, ids in found.added.items()},
        "settings": list(found.settings),
    }


def _write(workspace: Workspace, found: Comparison, both: Sequence[Contender]) -> None:
    names = [item.model_id for item in both]
    text = json.dumps(asdict(found), indent=2, ensure_ascii=False)
    workspace.write_text(comparison_key(names[0], names[1], "json"), text)
    told = {"left": found.first, "right": found.second, "seed": GRID_SEED}
    picture = described_png(side_by_side([item.generator for item in both]), told)
    workspace.write_bytes(comparison_key(names[0], names[1], "png"), picture)


def side_by_side(generators: Sequence[Generator]) -> Images:
    """8x4 samples of each under the same seed, A left: uint8 sRGB [8R, 8R + 16, 3].

    Where resolutions differ, R is the larger one.
    """
    side = max(generator.resolution for generator in generators)
    sheets = [
        _scaled(tile(one.sample(GRID_ROWS * _COLUMNS, GRID_SEED), _COLUMNS), side * _COLUMNS)
        for one in generators
    ]
    bar = np.full((len(sheets[0]), _BAR, 3), 255, np.uint8)
    return np.concatenate([sheets[0], bar, sheets[1]], axis=1)


def _scaled(sheet: Images, width: int) -> Images:
    if sheet.shape[1] == width:
        return sheet
    size = (width, sheet.shape[0] * width // sheet.shape[1])
    return np.asarray(Image.fromarray(sheet).resize(size, Image.Resampling.NEAREST))
