"""Bring together, as columns, the facts that some rules look at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ganime.duplicates import Duplicate, Picture, duplicate_groups
from ganime.errors import GanimeError
from ganime.filters import Facts, Filter, Numbers, Score
from ganime.rows import ImageRow, NeighbourRow, PaddedRow, ScoreRow
from ganime.store.lineage import CrawledImages
from ganime.store.manifest import Table, from_arrow
from ganime.store.word_sets import WordSets
from ganime.store.workspace import Workspace

_RANKED = tuple(item.name for item in fields(Picture))


def gather(
    workspace: Workspace,
    images: CrawledImages,
    rules: Sequence[Filter],
    classifiers: Mapping[str, tuple[str, float]],
    pad_scope: str,
) -> Facts:
    """The facts of some images that these rules look at.

    Args:
        workspace: Where.
        images: Which.
        rules: What looks at them; columns of no interest to any are not read.
        classifiers: By question, the classifier's id and its own threshold.
        pad_scope: Which padded pixels would be packed.

    Raises:
        GanimeError: an image has not been measured yet.
    """
    wanted = columns_of(rules)
    table = Table(workspace, ImageRow).read(["image_id", "problem", *wanted])
    places = pc.index_in(images.ids, value_set=table["image_id"].combine_chunks())
    if places.null_count:
        first = images.ids.filter(pc.is_null(places))[0]
        raise GanimeError(f"{places.null_count} images have no facts yet, the first {first}")
    problems = table["problem"].take(places).combine_chunks()
    return Facts(
        image_ids=images.ids.to_pylist(),
        columns={name: _numbers(table[name].take(places)) for name in wanted},
        problems=pc.coalesce(problems, _unpadded(workspace, pad_scope, images.ids)).to_pylist(),
        tags=images.tags,
        scores={
            question: Score(_scores(workspace, question, classifier, images.ids), threshold)
            for question, (classifier, threshold) in classifiers.items()
        },
        duplicates=_Duplicates(workspace),
    )


def columns_of(rules: Sequence[Filter]) -> list[str]:
    """The columns of `ImageRow` that rules look at, seen by asking them about no image at all."""
    looked_at = _Watched()
    nothing = Facts(
        image_ids=[],
        columns=looked_at,
        problems=[],
        tags=WordSets.of([]),
        scores={},
        duplicates=lambda image_ids, similarity: {},
    )
    for rule in rules:
        rule.judge(nothing, np.zeros(0, np.bool_))
    return sorted(looked_at.names)


class _Watched(Mapping[str, Numbers]):
    """Empty columns that remember which of them were looked at."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Numbers:
        self.names.add(name)
        return np.zeros(0)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _numbers(column: pa.ChunkedArray) -> Numbers:
    return np.array(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _unpadded(workspace: Workspace, pad_scope: str, ids: pa.Array) -> pa.Array:
    """Why images could not be made square [N]: those cannot be packed either."""
    table = Table(workspace, PaddedRow, pad_scope).read(["image_id", "problem"])
    places = pc.index_in(ids, value_set=table["image_id"].combine_chunks())
    return table["problem"].combine_chunks().take(places)


def _scores(workspace: Workspace, question: str, classifier: str, ids: pa.Array) -> Numbers:
    table = Table(workspace, ScoreRow, question).read(["image_id", "revision", "score"])
    ours = table.filter(pc.equal(table["revision"], classifier))
    places = pc.index_in(ids, value_set=ours["image_id"].combine_chunks())
    return _numbers(ours["score"].take(places))


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
