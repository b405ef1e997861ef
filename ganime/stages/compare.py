"""Compare two generators: the same reals, the same seeds, and how sure a difference is."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from ganime.config import Config
from ganime.metrics import Metric, Sets
from ganime.metrics.comparison import Gap, metric_gaps
from ganime.metrics.extractors import Extractor, metric_name
from ganime.metrics.measurement import measure
from ganime.metrics.reference import real_features
from ganime.stages.compare_tags import TagsConfig, asked_gaps, asked_sheet, scaled, tag_gaps
from ganime.store.difference import difference
from ganime.store.lineage import datasets
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

    resamples: int = Field(
        40, ge=10, title="Half-samples", description="Half-samples that the intervals come from."
    )
    tags: TagsConfig = TagsConfig()


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
        asked: How far samples that were asked for a tag are from the reals with it, for the tags
            that both can be asked for.
        asked_metric: What that is measured by.
        unknown: Tags that only one of them, or neither, can be asked for, of those looked at.
        seen: Share of the reference that each was trained on; None where the workspace lacks the
            images that it learned from, as with a model that a package brought.
        only_first: Ids of images that only the first one's dataset has, by reason; nothing, like
            the next two, unless the workspace has the datasets of both.
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
    asked: list[Gap]
    asked_metric: str
    unknown: list[str]
    seen: tuple[float | None, float | None]
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
        if self.seen != (1, 1):
            first, second = (_share(share) for share in self.seen)
            lines.append(
                f"A was trained on {first}, B on {second}: who has seen more of them has it easier"
            )
        lines += [
            f"{gap.name}: A {gap.first:.4g}, B {gap.second:.4g}: {gap.verdict}" for gap in self.gaps
        ]
        if self.tags:
            lines.append("share of the images with a tag that samples come near to:")
        lines += [
            f"  {gap.name}: A {gap.first:.0%}, B {gap.second:.0%}: {gap.verdict}"
            for gap in self.tags
        ]
        if self.asked:
            lines.append(f"{self.asked_metric} of samples asked for a tag to the images with it:")
        lines += [
            f"  {gap.name}: A {gap.first:.3g}, B {gap.second:.3g}: {gap.verdict}"
            for gap in self.asked
        ]
        if self.unknown:
            lines.append(f"not both can be asked for {', '.join(self.unknown)}")
        for who, groups in (("A", self.only_first), ("B", self.only_second)):
            lines += [
                f"only {who} has {len(ids)} images: {reason}, for example {ids[0][:12]}"
                for reason, ids in sorted(groups.items(), key=lambda item: -len(item[1]))
            ]
        return [*lines, *(f"setting {line}" for line in self.settings)]


def comparison_key(first: str, second: str, ending: str) -> str:
    """Where a comparison of two models lies; it ends with json, png, tags.png or html."""
    return f"comparisons/{first}-{second}.{ending}"


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
    generators = [item.generator for item in both]
    asked = asked_gaps(config.tags, config.resamples, reference, real, generators, extractor, seed)
    found = Comparison(
        first=f"{first.model_id}@{first.generator.nimg}",
        second=f"{second.model_id}@{second.generator.nimg}",
        reference=name,
        extractor=(known.extractor, known.weights, known.resize),
        counts=(len(real), num_fake),
        seed=seed,
        paired=paired,
        gaps=gaps,
        tags=tag_gaps(config.tags, reference, real, fakes),
        asked=asked.gaps,
        asked_metric=metric_name("kid", extractor),
        unknown=asked.unknown,
        seen=(_seen(workspace, reference, first), _seen(workspace, reference, second)),
        **_training_images(workspace, both),
        versions=dict(known.versions),
    )
    _write(workspace, found, both, reference)
    for gap in gaps:
        log.info("compare: %s: %s", gap.name, gap.verdict)
    return found


def _draws_alike(first: Generator, second: Generator, seed: int) -> bool:
    """Whether sample i of both has the same latent, and the same tags where there are any."""
    one, other = first.blueprint, second.blueprint
    if not torch.equal(one.latents(1, seed), other.latents(1, seed)):
        return False
    asked, wanted = one.tags(64, seed), other.tags(64, seed)  # as many as differ somewhere
    if one.tag_names != other.tag_names or asked is None or wanted is None:
        return asked is None and wanted is None
    return torch.equal(asked, wanted)


def _share(share: float | None) -> str:
    return "images that are not here" if share is None else f"{share:.0%} of these images"


def _seen(workspace: Workspace, reference: Dataset, item: Contender) -> float | None:
    """Share of the reals that a model was trained on; None if that cannot be known here."""
    if not _is_here(workspace, item.dataset):
        return None
    wanted = _trained_on(reference)
    return len(wanted & _trained_on(_open(workspace, item.dataset))) / len(wanted)


def _is_here(workspace: Workspace, dataset: str) -> bool:
    return tuple(dataset.split("/", 1)) in datasets(workspace)


def _open(workspace: Workspace, dataset: str) -> Dataset:
    return Dataset(workspace, *dataset.split("/", 1))


def _trained_on(dataset: Dataset) -> set[str]:
    return {row.image_id for row in dataset.members if row.split == "train"}


def _training_images(workspace: Workspace, both: Sequence[Contender]) -> dict[str, Any]:
    """Which images one dataset has and the other has not, and why."""
    first, second = both
    are_here = all(_is_here(workspace, item.dataset) for item in both)
    if first.dataset == second.dataset or not are_here:
        return {"only_first": {}, "only_second": {}, "settings": []}
    found = difference(workspace, first.dataset, second.dataset)
    return {
        "only_first": {reason: list(ids) for reason, ids in found.removed.items()},
        "only_second": {reason: list(ids) for reason, ids in found.added.items()},
        "settings": list(found.settings),
    }


def _write(
    workspace: Workspace, found: Comparison, both: Sequence[Contender], reference: Dataset
) -> None:
    names = [item.model_id for item in both]
    text = json.dumps(asdict(found), indent=2, ensure_ascii=False)
    workspace.write_text(comparison_key(names[0], names[1], "json"), text)
    told = {"left": found.first, "right": found.second, "seed": GRID_SEED}
    picture = described_png(side_by_side([item.generator for item in both]), told)
    workspace.write_bytes(comparison_key(names[0], names[1], "png"), picture)
    if found.asked:
        tags = [gap.name for gap in found.asked]
        sheet = asked_sheet(reference, [item.generator for item in both], tags)
        told = {**told, "rows": ", ".join(tags), "columns": "left, right, real"}
        key = comparison_key(names[0], names[1], "tags.png")
        workspace.write_bytes(key, described_png(sheet, told))


def side_by_side(generators: Sequence[Generator]) -> Images:
    """8x4 samples of each under the same seed, A left: uint8 sRGB [8R, 8R + 16, 3].

    Where resolutions differ, R is the larger one.
    """
    side = max(generator.resolution for generator in generators)
    sheets = [
        scaled(tile(one.sample(GRID_ROWS * _COLUMNS, GRID_SEED), _COLUMNS), side * _COLUMNS)
        for one in generators
    ]
    bar = np.full((len(sheets[0]), _BAR, 3), 255, np.uint8)
    return np.concatenate([sheets[0], bar, sheets[1]], axis=1)
