"""Decide: facts, labels and rules in; one decision per image and rule, and a dataset, out.

Nothing here touches a network or decodes an image, so a new threshold or a new label costs seconds.
"""

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ganime.config import Config, digest_of
from ganime.decide import (
    DROP,
    Judged,
    decide,
    digest,
    dropped_by,
    kept_images,
    summary,
    to_table,
)
from ganime.duplicates import Duplicate, Picture, duplicate_groups
from ganime.errors import ConfigError, GanimeError
from ganime.filters import FILTERS, Facts, Numbers, Score
from ganime.filters.aspect import Aspect
from ganime.filters.background import Background
from ganime.filters.classified import Classified
from ganime.filters.decodable import Decodable
from ganime.filters.duplicate import DuplicateOf
from ganime.filters.min_side import MinSide
from ganime.filters.tags import Tags
from ganime.rows import (
    DecisionRow,
    ImageRow,
    LabelRow,
    MemberRow,
    NeighbourRow,
    PaddedRow,
    PostRow,
    ScoreRow,
)
from ganime.store.lineage import CrawledImage, point_to_latest
from ganime.store.manifest import Provenance, Table, from_arrow
from ganime.store.pixels import PaddedPixels, Pixels
from ganime.store.workspace import Workspace

REVISION = 1
_MEASURED = (  # facts that rules may look at
    *("width", "height", "alpha_fraction", "background_fraction", "background_texture"),
    *("sharpness", "num_bytes", "colour_spread", "figures"),
    *("touched_left", "touched_top", "touched_right", "touched_bottom"),
)
_RANKED = tuple(item.name for item in fields(Picture))
log = logging.getLogger(__name__)


class CurateConfig(Config):
    """Which images make the dataset."""

    name: str = Field(
        "characters", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the dataset."
    )
    rules: tuple[FILTERS.field(), ...] = Field(  # type: ignore[valid-type]
        (
            Decodable(),
            Tags(),
            MinSide(),
            Aspect(),
            Background(),
            Classified(ask="multiple"),
            Classified(ask="chibi"),
            Classified(ask="viewpoint"),
            DuplicateOf(),
        ),
        description="In this order; the first that drops an image is its status.",
    )
    resolution: int = Field(
        64, ge=32, le=512, description="Side of the training images [px], a power of two."
    )
    holdout: float = Field(
        0.05, ge=0, lt=0.5, description="Share of the images kept out of training."
    )


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """One dataset version, as tasks hand it on."""

    name: str
    version: str
    num_images: int

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def run(
    workspace: Workspace,
    config: CurateConfig,
    *,
    images: Sequence[CrawledImage],
    classifiers: Mapping[str, tuple[str, float]],
    labels: Sequence[LabelRow],
    pad_scope: str,
    crawl_ids: Sequence[str],
    run_id: str,
) -> DatasetRef:
    """Decide on every image and pack those that stay.

    Args:
        workspace: Where.
        config: The rules.
        images: What the crawls brought.
        classifiers: By question, the classifier's id and its own threshold.
        labels: People's current answers.
        pad_scope: Which padded pixels to pack.
        crawl_ids: The crawls that brought them.
        run_id: Of this run.

    Returns:
        The dataset version: the same facts, labels and rules give the same version.

    Raises:
        ConfigError: no image is left, or the padded pixels are smaller than the resolution.
    """
    facts = gather(workspace, images, classifiers, pad_scope)
    judged = decide(facts, config.rules, labels)
    log.info("curate: %s", summary(judged))
    kept = _members(images, judged)
    reference = DatasetRef(config.name, _version(config, kept, judged, pad_scope), len(kept))
    folder = f"datasets/{reference}"
    if workspace.exists(f"{folder}/card.md"):
        point_to_latest(workspace, config.name, reference.version)
        return reference
    provenance = Provenance(
        stage="curate",
        revision=REVISION,
        config=config,
        run_id=run_id,
        parents=_parents(workspace, crawl_ids, pad_scope, classifiers),
    )
    decisions = to_table(facts.image_ids, judged)
    Table(workspace, DecisionRow, root=folder).write("decisions", decisions, provenance)
    point_to_latest(workspace, config.name, reference.version)
    if not kept:
        raise ConfigError(
            f"curate: no image is left, {summary(judged)}: loosen the rule that dropped most "
            "with --set, or crawl more"
        )
    _pack(workspace, config, kept, pad_scope, folder, provenance)
    # The card comes last: a version with a card is complete.
    workspace.write_text(f"{folder}/card.md", _card(reference, kept, judged))
    return reference


def gather(
    workspace: Workspace,
    images: Sequence[CrawledImage],
    classifiers: Mapping[str, tuple[str, float]],
    pad_scope: str,
) -> Facts:
    """Bring together all facts of these images, as columns."""
    ids = pa.array([image.image_id for image in images], pa.string())
    table = Table(workspace, ImageRow).read(["image_id", "problem", *_MEASURED])
    places = pc.index_in(ids, value_set=table["image_id"].combine_chunks())
    if places.null_count:
        first = ids.filter(pc.is_null(places))[0]
        raise GanimeError(f"{places.null_count} images have no facts yet, the first {first}")
    ours = table.take(places)
    return Facts(
        image_ids=ids.to_pylist(),
        columns={name: _numbers(ours[name]) for name in _MEASURED},
        problems=pc.coalesce(
            ours["problem"].combine_chunks(), _unpadded(workspace, pad_scope, ids)
        ).to_pylist(),
        tags=[frozenset(image.tags) for image in images],
        scores={
            question: Score(_scores(workspace, question, classifier, ids), threshold)
            for question, (classifier, threshold) in classifiers.items()
        },
        duplicates=_Duplicates(workspace),
    )


def _unpadded(workspace: Workspace, pad_scope: str, ids: pa.Array) -> pa.Array:
    """Why images could not be made square [N]: those cannot be packed either."""
    table = Table(workspace, PaddedRow, pad_scope).read(["image_id", "problem"])
    places = pc.index_in(ids, value_set=table["image_id"].combine_chunks())
    return table["problem"].combine_chunks().take(places)


class _Duplicates:
    """Finds near-duplicates when a rule asks; most images have no neighbour and are not read."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __call__(self, image_ids: Sequence[str], similarity: float) -> Mapping[str, Duplicate]:
        table = Table(self._workspace, NeighbourRow).read()
        near = table.filter(pc.greater(pc.list_value_length(table["others"]), 0))
        linked = (
            pa.concat_arrays(
                [*near["image_id"].chunks, *(chunk.flatten() for chunk in near["others"].chunks)]
            )
            if near.num_rows
            else pa.array([], pa.string())
        )
        facts = Table(self._workspace, ImageRow).read([*_RANKED])
        pictures = facts.filter(pc.is_in(facts["image_id"], value_set=linked)).to_pylist()
        return duplicate_groups(
            {row["image_id"]: Picture(**row) for row in pictures},
            from_arrow(NeighbourRow, near),
            image_ids,
            min_similarity=similarity,
        )


def split_of(image_id: str, holdout: float) -> str:
    """`holdout` or `train`, by hash of the id: an image never changes sides as a set grows."""
    return "holdout" if int(image_id[:8], 16) < holdout * 2**32 else "train"


def _parents(
    workspace: Workspace,
    crawl_ids: Sequence[str],
    pad_scope: str,
    classifiers: Mapping[str, tuple[str, float]],
) -> dict[str, str]:
    posts = {f"posts/{scope}": Table(workspace, PostRow, scope).digest() for scope in crawl_ids}
    scores = {f"scores/{question}": classifier for question, (classifier, _) in classifiers.items()}
    return {**posts, **scores, "padded": pad_scope}


def _members(images: Sequence[CrawledImage], judged: Sequence[Judged]) -> list[CrawledImage]:
    """The images that stay, each with the tags and posts of the duplicates it stands for."""
    kept = {
        image.image_id: image
        for image, keep in zip(images, kept_images(judged), strict=True)
        if keep
    }
    for decision in judged:
        for i, text in decision.evidence.items():
            image = images[i]
            evidence = json.loads(text) if decision.codes[i] == DROP else {}
            if (best := kept.get(evidence.get("kept", ""))) is not None:
                kept[best.image_id] = CrawledImage(
                    best.image_id,
                    sorted({*best.tags, *image.tags}),
                    sorted({*best.posts, *image.posts}),
                )
    return list(kept.values())


def _numbers(column: pa.ChunkedArray) -> Numbers:
    return np.array(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _scores(workspace: Workspace, question: str, classifier: str, ids: pa.Array) -> Numbers:
    table = Table(workspace, ScoreRow, question).read(["image_id", "revision", "score"])
    ours = table.filter(pc.equal(table["revision"], classifier))
    places = pc.index_in(ids, value_set=ours["image_id"].combine_chunks())
    return _numbers(ours["score"].take(places))


def _version(
    config: CurateConfig,
    kept: Sequence[CrawledImage],
    judged: Sequence[Judged],
    pad_scope: str,
) -> str:
    members = [f"{image.image_id} {' '.join(image.tags)}" for image in kept]
    return digest_of(str(REVISION), config.canonical(), pad_scope, digest(judged), *members)


def _pack(
    workspace: Workspace,
    config: CurateConfig,
    kept: Sequence[CrawledImage],
    pad_scope: str,
    folder: str,
    provenance: Provenance,
) -> None:
    padded = PaddedPixels(workspace, pad_scope)
    shard = f"{folder}/images.npy"
    side = config.resolution
    with workspace.writing(shard) as path:
        packed = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.uint8, shape=(len(kept), side, side, 3)
        )
        for i, image in enumerate(kept):
            packed[i] = _shrink(padded.load([image.image_id])[0], side)
        packed.flush()
    members = [
        MemberRow(
            image_id=image.image_id,
            shard=shard,
            offset=i,
            split=split_of(image.image_id, config.holdout),
            tags=image.tags,
        )
        for i, image in enumerate(kept)
    ]
    Table(workspace, MemberRow, root=folder).write("members", members, provenance)


def _shrink(image: Pixels, side: int) -> Pixels:
    if image.shape[0] < side:
        raise ConfigError(
            f"curate.resolution is {side} px but images were padded to {image.shape[0]} px: "
            f"set pad.size={side} or more"
        )
    if image.shape[0] == side:
        return image
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _card(reference: DatasetRef, kept: Sequence[CrawledImage], judged: Sequence[Judged]) -> str:
    sources = Counter(post.split("/")[0] for image in kept for post in image.posts)
    dropped = dropped_by(judged)
    tags = Counter(tag for image in kept for tag in image.tags).most_common(30)
    lines = [
        f"# {reference}",
        "",
        f"{len(kept)} of {len(kept) + dropped.total()} images.",
        "",
        "Rights in the images stay with their artists. This folder is for training and study; "
        "share manifests, not pixels.",
        "",
        "| source | posts |",
        "| --- | ---: |",
        *(f"| {source} | {count} |" for source, count in sources.most_common()),
        "",
        "| dropped by | images |",
        "| --- | ---: |",
        *(f"| {rule} | {count} |" for rule, count in dropped.most_common()),
        "",
        "Most frequent tags: " + ", ".join(f"{tag} ({count})" for tag, count in tags),
        "",
    ]
    return "\n".join(lines)
