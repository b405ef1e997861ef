"""All about one image, for the page's side panel: the same manifests that `explain` tells from."""

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from ganime.review.answers import Answers
from ganime.review.cache import Snapshot
from ganime.review.items import item
from ganime.review.queues import members
from ganime.review.schemas import (
    Decision,
    DuplicateGroup,
    Edge,
    Faces,
    ImageStory,
    LabelEvent,
    Post,
    Score,
    UsedBy,
)
from ganime.rows import (
    AttemptRow,
    DecisionRow,
    FaceRow,
    ImageRow,
    MemberRow,
    NeighbourRow,
    PostRow,
    Row,
    ScoreRow,
)
from ganime.store.lineage import datasets, models
from ganime.store.lookup import Lookup, id_range
from ganime.store.manifest import RowT, Table, from_arrow, read_equal, read_footer
from ganime.store.workspace import Workspace

_MAX_MEMBERS = 60  # of a group of copies that are shown
_FACTS = (
    *("problem", "format", "mode", "width", "height", "frames", "num_bytes", "trim_box"),
    *("alpha_fraction", "border_colour", "background_fraction", "background_texture"),
    *("sharpness", "colour_spread", "figures"),
)
_PROVENANCE = ("run_id", "code_version", "revision", "parents", "config")


class Stories:
    """Tells of single images. Safe for threads: what it keeps is replaced, never changed.

    Args:
        workspace: Where.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._key = ""
        self._lookups: dict[type[Row], Lookup] = {}

    def tell(self, snapshot: Snapshot, answers: Answers, row: int) -> ImageStory:
        """All about the image in a row.

        Raises:
            ManifestError: a manifest is damaged.
        """
        image_id = snapshot.ids.text(row)
        root = f"datasets/{snapshot.dataset}" if snapshot.dataset else ""
        edges = self._edges(snapshot.key, image_id)
        return ImageStory(
            image=item(snapshot, answers, row),
            decisions=self._decisions(root, image_id),
            duplicates=self.duplicates(snapshot, row),
            look_alikes=edges,
            faces=self._faces(snapshot.key, image_id),
            facts=self._facts(snapshot.key, image_id),
            posts=[self._post(post) for post in self._of(PostRow, snapshot.key, image_id)],
            scores=self._scores(snapshot.key, image_id),
            labels=_labels(answers, image_id),
            used_by=list(self._used_by(image_id)),
            provenance=self._provenance(root),
        )

    def duplicates(self, snapshot: Snapshot, row: int) -> DuplicateGroup | None:
        """The group of near-duplicates of an image; None if it has none."""
        leader, rows = members(snapshot, row)
        if len(rows) < 2:
            return None
        ids = [snapshot.ids.text(one) for one in rows[:_MAX_MEMBERS]]
        found = [edge for one in ids for edge in self._edges(snapshot.key, one)]
        pairs = {(edge.one, edge.other): edge for edge in found}
        inside = [edge for edge in pairs.values() if edge.one in ids and edge.other in ids]
        return DuplicateGroup(
            kept=snapshot.ids.text(leader), members=ids, num_members=len(rows), edges=inside
        )

    def _find(self, row: type[Row], key: str, image_id: str) -> pa.Table:
        keys = id_range(image_id)
        assert keys is not None, image_id
        if key != self._key:
            self._key, self._lookups = key, {}
        lookup = self._lookups.get(row)
        if lookup is None:
            lookup = Lookup(self._workspace, row)
            lookup.refresh()
            self._lookups[row] = lookup
        return lookup.find(keys)

    def _of(self, row: type[RowT], key: str, image_id: str) -> list[RowT]:
        table = self._find(row, key, image_id)
        return from_arrow(row, table.filter(pc.equal(table["image_id"], image_id)))

    def _decisions(self, root: str, image_id: str) -> list[Decision]:
        parts = Table(self._workspace, DecisionRow, root=root).parts() if root else []
        rows = self._equal(parts, DecisionRow, "image_id", image_id)
        return [
            Decision(
                rule=row.rule,
                order=row.order,
                verdict=row.verdict,
                reason=row.reason,
                score=row.score,
                threshold=row.threshold,
                evidence=json.loads(row.evidence) if row.evidence else None,
                decided_by=row.decided_by,
            )
            for row in sorted(rows, key=_order)
        ]

    def _equal(self, parts: Sequence[str], row: type[RowT], column: str, value: str) -> list[RowT]:
        tables = [read_equal(self._workspace, part, row, column, value) for part in parts]
        return [found for table in tables for found in from_arrow(row, table)]

    def _edges(self, key: str, image_id: str) -> list[Edge]:
        edges = []
        for row in from_arrow(NeighbourRow, self._find(NeighbourRow, key, image_id)):
            for other, hamming, similarity, mirrored in zip(
                row.others, row.hamming, row.similarity, row.mirrored, strict=True
            ):
                if image_id in (row.image_id, other):
                    edge = Edge(
                        one=row.image_id,
                        other=other,
                        hamming=hamming,
                        similarity=similarity,
                        mirrored=mirrored,
                    )
                    edges.append(edge)
        return edges

    def _faces(self, key: str, image_id: str) -> list[Faces]:
        rows = self._of(FaceRow, key, image_id)
        return [Faces(run_id=row.run_id, boxes=row.boxes, problem=row.problem) for row in rows]

    def _facts(self, key: str, image_id: str) -> dict[str, Any]:
        rows = self._of(ImageRow, key, image_id)
        return {name: getattr(rows[0], name) for name in _FACTS} if rows else {}

    def _scores(self, key: str, image_id: str) -> list[Score]:
        rows = self._of(ScoreRow, key, image_id)
        return [
            Score(
                question=row.measurement,
                classifier=row.revision,
                score=row.score,
                at=row.at.isoformat(),
            )
            for row in sorted(rows, key=_asked)
        ]

    def _post(self, row: PostRow) -> Post:
        tags = {
            "general": row.tags,
            "artist": row.artist_tags,
            "copyright": row.copyright_tags,
            "character": row.character_tags,
            "meta": row.meta_tags,
        }
        parts = Table(self._workspace, AttemptRow, row.crawl_id).parts()
        attempts = self._equal(parts, AttemptRow, "post_id", row.post_id)
        return Post(
            crawl_id=row.crawl_id,
            source=row.source,
            post_id=row.post_id,
            post_url=_link(row.post_url),
            file_url=_link(row.file_url),
            source_link=_link(row.source_link),
            query=row.query,
            rating=row.rating,
            tags=tags,
            posted=row.posted_at.isoformat() if row.posted_at else None,
            fetched=row.fetched_at.isoformat() if row.fetched_at else None,
            outcome=row.outcome,
            run_id=row.run_id,
            attempts=[_attempt(one) for one in attempts if one.source == row.source],
        )

    def _used_by(self, image_id: str) -> Iterator[UsedBy]:
        trained = {
            model_id: str(settings.get("dataset_version", ""))
            for model_id, settings in models(self._workspace).items()
        }
        for name, version in datasets(self._workspace):
            reference = f"{name}/{version}"
            parts = Table(self._workspace, MemberRow, root=f"datasets/{reference}").parts()
            for row in self._equal(parts, MemberRow, "image_id", image_id):
                users = [one for one, on in trained.items() if on in (version, reference)]
                yield UsedBy(dataset=reference, split=row.split, models=users)

    def _provenance(self, root: str) -> dict[str, Any]:
        if not root:
            return {}
        footer = read_footer(self._workspace, f"{root}/decisions/decisions.parquet")
        return {name: footer[name] for name in _PROVENANCE}


def _labels(answers: Answers, image_id: str) -> list[LabelEvent]:
    return [
        LabelEvent(
            label_id=row.label_id,
            answer=row.answer,
            by=row.by,
            at=row.at.isoformat(),
            how=row.how,
            question=row.question,
            note=row.note,
            supersedes=row.supersedes,
        )
        for row in answers.log.history(image_id)
    ]


def _attempt(row: AttemptRow) -> dict[str, Any]:
    return {
        "attempt": row.attempt,
        "request": row.request,
        "url": row.url,
        "http_status": row.http_status,
        "outcome": row.outcome,
        "error": row.error,
        "num_bytes": row.num_bytes,
        "ms": row.ms,
        "started_at": row.started_at.isoformat(),
    }


def _link(text: str | None) -> str | None:
    """An address that a page may link to: what a site says may be a script."""
    try:
        return text if text and urlsplit(text).scheme in ("http", "https") else None
    except ValueError:
        return None


def _order(row: DecisionRow) -> int:
    return row.order


def _asked(row: ScoreRow) -> tuple[str, str]:
    return row.measurement, row.at.isoformat()
