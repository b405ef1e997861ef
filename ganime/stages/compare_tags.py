"""Compare two generators tag by tag: which tags they draw, and how well they draw what is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import Field

from ganime.config import Config
from ganime.metrics import Features, Sets
from ganime.metrics.comparison import Gap, coverage_gap, metric_gaps
from ganime.metrics.extractors import Extractor
from ganime.metrics.kid import Kid
from ganime.metrics.neighbours import ball_counts, kth_distances
from ganime.store.pixels import Dataset
from ganime.training.generator import Generator
from ganime.training.sheets import GRID_SEED, tile

Images = npt.NDArray[np.uint8]
_COLUMNS = 5  # of each third of the sheet by tags
_SUBSETS = 20  # of KID, whose own noise is then below that of a hundred samples


class TagsConfig(Config):
    """Which tags are compared one by one, and how."""

    most: int = Field(
        12, ge=0, title="Most tags", description="Tags to look at, the commonest first; 0 for none."
    )
    least_images: int = Field(20, ge=4, description="Tags of fewer images are left out.")
    k: int = Field(
        5, ge=1, title="Neighbours", description="Neighbours that decide whether a real is covered."
    )
    num_fake: int = Field(100, ge=4, title="Samples", description="Samples asked for each tag.")


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking.

    Attributes:
        gaps: KID to the reals with a tag, for each that both can be asked for.
        unknown: Tags of the reals that only one of them, or neither, can be asked for.
    """

    gaps: list[Gap] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def tag_gaps(
    config: TagsConfig, reference: Dataset, real: Features, fakes: Sequence[Features]
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
    if len(real) <= config.k:
        return []
    radii = kth_distances(real, config.k)
    first, second = (ball_counts(real, radii, fake)[1] > 0 for fake in fakes)
    labels = reference.split_labels("train") > 0
    return [
        coverage_gap(reference.tags[place], first[labels[:, place]], second[labels[:, place]])
        for place in _common(config, reference)
    ]


def asked_gaps(
    config: TagsConfig,
    resamples: int,
    reference: Dataset,
    real: Features,
    generators: Sequence[Generator],
    extractor: Extractor,
    seed: int,
) -> Asked:
    """KID between samples that were asked for a tag and the reals with it.

    KID, since it is unbiased at the few images that a tag has. Other tags come with the asked one
    as they do in training images, since no real has one tag alone.

    Args:
        config: Which tags, how many samples.
        resamples: Half-samples that the intervals come from.
        reference: For its tags; the commonest come first.
        real: Features of its training split [N, D].
        generators: A and B; nothing is asked unless both take tags.
        extractor: What the features were taken with.
        seed: Of the latents, and of the tags beside the asked ones.
    """
    if not all(one.blueprint.tag_names for one in generators):
        return Asked()
    labels = reference.split_labels("train") > 0
    name = f"{reference.name}/{reference.version}"
    found = Asked()
    for place in _common(config, reference):
        tag = reference.tags[place]
        drawn = [_asked_for(one, tag, config.num_fake, seed) for one in generators]
        if any(pictures is None for pictures in drawn):
            found.unknown.append(tag)
            continue
        sets = [
            Sets(real[labels[:, place]], extractor.features(pictures), seed=seed)
            for pictures in drawn
            if pictures is not None
        ]
        (gap,) = metric_gaps(
            Kid(subsets=_SUBSETS), sets, extractor, f"{name} {tag}", resamples, paired=False
        )
        found.gaps.append(Gap(tag, gap.first, gap.second, gap.better, gap.half, gap.verdict))
    return found


def asked_sheet(reference: Dataset, generators: Sequence[Generator], tags: Sequence[str]) -> Images:
    """A row for each tag: 5 samples of A, 5 of B, 5 reals: uint8 sRGB [rows·R, 15R + 16, 3].

    Args:
        reference: Its training split has the reals.
        generators: A and B, which both know the tags.
        tags: One or more.
    """
    side = max(one.resolution for one in generators)
    thirds = []
    for one in generators:
        drawn = [_asked_for(one, tag, _COLUMNS, GRID_SEED) for tag in tags]
        rows = np.concatenate([pictures for pictures in drawn if pictures is not None])
        thirds.append(scaled(tile(rows, _COLUMNS), side * _COLUMNS))
    images, labels = reference.split("train"), reference.split_labels("train")
    rows = np.concatenate(
        [
            images[np.flatnonzero(labels[:, reference.tags.index(tag)])[:_COLUMNS].tolist()]
            for tag in tags
        ]
    )
    thirds.append(scaled(tile(rows, _COLUMNS), side * _COLUMNS))
    bar = np.full((len(thirds[0]), 8, 3), 255, np.uint8)
    return np.concatenate([thirds[0], bar, thirds[1], bar, thirds[2]], axis=1)


def scaled(sheet: Images, width: int) -> Images:
    """A sheet at another width, its pixels as they are: uint8 sRGB [H, width, 3]."""
    if sheet.shape[1] == width:
        return sheet
    size = (width, sheet.shape[0] * width // sheet.shape[1])
    return np.asarray(Image.fromarray(sheet).resize(size, Image.Resampling.NEAREST))


def _common(config: TagsConfig, reference: Dataset) -> list[int]:
    """Places of the tags to look at."""
    counts = (reference.split_labels("train") > 0).sum(axis=0)
    return [int(place) for place in np.flatnonzero(counts >= config.least_images)[: config.most]]


def _asked_for(generator: Generator, tag: str, num: int, seed: int) -> Images | None:
    """Samples asked for a tag and what came with it in training; None if it cannot be."""
    blueprint = generator.blueprint
    if tag not in blueprint.tag_names:
        return None
    examples = blueprint.tag_examples
    having = examples[examples[:, blueprint.tag_names.index(tag)] > 0]
    if not len(having):
        return None
    chosen = np.random.default_rng(seed).integers(len(having), size=num)
    asked = torch.from_numpy(np.ascontiguousarray(having[chosen])).float()
    return generator.images(blueprint.latents(num, seed), asked)
