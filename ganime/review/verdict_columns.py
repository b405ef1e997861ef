"""Columns about images that come from decisions, classifiers and padding."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ganime.review.columns import Array, Columns
from ganime.review.digests import Ids, Rows, rows_of, to_bytes
from ganime.review.image_columns import Made, coded
from ganime.rows import DecisionRow, PaddedRow, ScoreRow
from ganime.store.manifest import Table, read_equal, read_part
from ganime.store.workspace import Workspace

KEPT, UNDECIDED = -1, -2  # in place of the rule that drops
_MAX_RULES = 64  # one bit each
_DIMENSIONS = ("status", "reason", "sources", "rating", "month")
_WANTED = ("image_id", "rule", "verdict", "reason", "score", "threshold", "evidence", "decided_by")


def decision_columns(workspace: Workspace, root: str, ids: Ids) -> Made:
    """The verdicts of one dataset version, by group: `decisions`.

    Bits of `drops` and `people` are rules by their order: which drop the image, and which a person
    decided. `status` is the first rule that drops.

    Args:
        workspace: Where.
        root: Folder of the version; empty if nothing was decided.
        ids: The images.
    """
    parts = Table(workspace, DecisionRow, root=root).parts() if root else []
    gathered = _Verdicts(ids)
    for part in parts:
        names = read_part(workspace, part, DecisionRow, ["rule", "order"])
        rules = names.group_by(["order", "rule"]).aggregate([]).sort_by("order").to_pylist()
        for rule in rules:
            # Rule by rule: all of millions of images at once are more than fits in memory.
            table = read_equal(workspace, part, DecisionRow, "rule", rule["rule"], _WANTED)
            gathered.add(int(rule["order"]), rule["rule"], table)
    columns: dict[str, Array] = {
        "status": gathered.status,
        "reason": gathered.reason,
        "drops": gathered.drops,
        "people": gathered.people,
        "kept_instead": gathered.kept_instead,
        **gathered.scores,
    }
    return {"decisions": (columns, {"rules": gathered.rules, "reasons": gathered.reasons})}


class _Verdicts:
    """Verdicts on N images, gathered in the order of the rules."""

    def __init__(self, ids: Ids) -> None:
        num = len(ids)
        self._ids = ids
        self._last: tuple[pa.ChunkedArray, Rows] | None = None
        self.status = np.full(num, UNDECIDED, np.int8)
        self.reason = np.full(num, -1, np.int16)
        self.drops = np.zeros(num, np.uint64)
        self.people = np.zeros(num, np.uint64)
        self.kept_instead = np.full(num, -1, np.int32)
        self.scores: dict[str, Array] = {}
        self.rules: list[dict[str, Any]] = []
        self.reasons: list[str] = []

    def add(self, order: int, rule: str, table: pa.Table) -> None:
        """The verdicts of one rule, the next one."""
        assert order < _MAX_RULES, rule
        rows = self._rows(table["image_id"])
        ours = np.flatnonzero(rows >= 0)
        rows = rows[ours]
        dropped = _equal(table["verdict"], "drop")[ours]
        bit = np.uint64(1 << order)
        self.drops[rows[dropped]] |= bit
        self.people[rows[_equal(table["decided_by"], "person")[ours]]] |= bit
        self.status[rows[self.status[rows] == UNDECIDED]] = KEPT
        first = dropped & (self.status[rows] == KEPT)
        self.status[rows[first]] = order
        self.reason[rows[first]] = self._reasons(table["reason"])[ours][first]
        self._duplicates(rows, table["evidence"].take(pa.array(ours)), dropped)
        scores = np.asarray(table["score"].cast(pa.float32()).to_numpy())[ours]
        threshold = next(iter(table["threshold"].drop_null().slice(0, 1).to_pylist()), None)
        told = {
            "rule": rule,
            "order": order,
            "threshold": threshold,
            "above": None,
            "scored": False,
        }
        if threshold is not None and not np.isnan(scores).all():
            column = np.full(len(self._ids), np.nan, np.float32)
            column[rows] = scores
            self.scores[f"score_{order}"] = column
            told |= {"scored": True, "above": _drops_above(scores, dropped, threshold)}
        self.rules.append(told)

    def _rows(self, image_ids: pa.ChunkedArray) -> Rows:
        """Each rule judges the same images in the same order: they are looked up once."""
        if self._last is None or not self._last[0].equals(image_ids):
            self._last = image_ids, self._ids.rows(to_bytes(image_ids))
        return self._last[1]

    def _reasons(self, column: pa.ChunkedArray) -> npt.NDArray[np.int16]:
        codes, words = coded(column)
        self.reasons += [word for word in words if word not in self.reasons]
        places = np.array([self.reasons.index(word) for word in words] + [-1], np.int16)
        return places[codes]

    def _duplicates(self, rows: Rows, evidence: pa.ChunkedArray, dropped: Array) -> None:
        told = np.flatnonzero(dropped & np.asarray(pc.is_valid(evidence)))
        texts = evidence.take(pa.array(told))
        named = [
            (place, json.loads(text)) for place, text in zip(told, texts.to_pylist(), strict=True)
        ]
        pairs = [(place, found["kept"]) for place, found in named if "kept" in found]
        if pairs:
            others = rows_of(self._ids, [kept for _, kept in pairs])
            self.kept_instead[rows[[place for place, _ in pairs]]] = others


def _drops_above(scores: Array, dropped: Array, threshold: float) -> bool:
    """Whether a rule drops above its threshold rather than below, told from what it did.

    Decisions name no direction. People's answers go either way: the many outvote the few.
    """
    high, low = scores > threshold, scores < threshold
    for_above = (high & dropped).sum() + (low & ~dropped).sum()
    for_below = (low & dropped).sum() + (high & ~dropped).sum()
    return bool(for_above >= for_below)


def _equal(column: pa.ChunkedArray, word: str) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(column, word).to_numpy(), bool)


def score_columns(workspace: Workspace, ids: Ids, classifiers: Mapping[str, str]) -> Made:
    """Classifiers' scores, by group: `scores`.

    Args:
        workspace: Where.
        ids: The images.
        classifiers: By question, whose.
    """
    columns: dict[str, Array] = {}
    questions = []
    for number, (question, classifier) in enumerate(classifiers.items()):
        table = Table(workspace, ScoreRow, f"{question}/{classifier}").read(["image_id", "score"])
        rows = ids.rows(to_bytes(table["image_id"]))
        column = np.full(len(ids), np.nan, np.float32)
        column[rows[rows >= 0]] = np.asarray(table["score"].to_numpy(), np.float32)[rows >= 0]
        columns[f"score_{number}"] = column
        key = f"classifiers/{classifier}/figures.json"
        figures = json.loads(workspace.read_bytes(key)) if workspace.exists(key) else {}
        questions.append({"question": question, "threshold": float(figures.get("threshold", 0.5))})
    return {"scores": (columns or {"none": np.zeros(len(ids), bool)}, {"questions": questions})}


def padded_columns(workspace: Workspace, scope: str, ids: Ids) -> Made:
    """Where the padded pixels lie, by group: `padded`."""
    shards: list[str] = []
    shard, offset = np.full(len(ids), -1, np.int16), np.zeros(len(ids), np.int32)
    if scope:
        table = Table(workspace, PaddedRow, scope).read(["image_id", "shard", "offset"])
        table = table.filter(pc.is_valid(table["shard"]))
        rows = ids.rows(to_bytes(table["image_id"]))
        ours = rows >= 0
        codes, shards = coded(table["shard"])
        shard[rows[ours]] = codes[ours]
        offset[rows[ours]] = np.asarray(table["offset"].to_numpy(), np.int32)[ours]
    return {"padded": ({"shard": shard, "offset": offset}, {"shards": shards})}


def cell_columns(images: Columns, decisions: Columns) -> Made:
    """Images that agree in all they are counted by share a cell, by group: `cell`, `cells`.

    Millions of images have few thousand cells: what filters ask of these columns is asked of the
    cells, and every count is a sum over cells.
    """
    columns = [(decisions if name in decisions else images)[name] for name in _DIMENSIONS]
    key = np.zeros(images.num_rows, np.int64)
    for column in columns:
        values, places = _ranked(column)
        key = key * len(values) + places
        _, key = _ranked(key)  # so that it never grows out of its 64 bits
    _, first, cell = np.unique(key, return_index=True, return_inverse=True)
    cells = {name: column[first] for name, column in zip(_DIMENSIONS, columns, strict=True)}
    counts = np.bincount(cell, minlength=len(first))
    return {
        "cell": ({"cell": cell.astype(np.int32)}, {}),
        "cells": ({**cells, "count": counts}, {}),
    }


def _ranked(column: Array) -> tuple[Array, Array]:
    values, places = np.unique(column, return_inverse=True)
    return values, places.astype(np.int64)


def newest_of(workspace: Workspace, done: Sequence[str]) -> dict[str, str]:
    """By question, the classifier that scored images last; questions that are done left out."""
    found: dict[str, set[str]] = {}
    for key in workspace.list(f"manifests/{ScoreRow.FOLDER}", ".parquet"):
        question, classifier = key.split("/")[2:4]
        if question not in done:
            found.setdefault(question, set()).add(classifier)
    newest = {}
    for question, classifiers in sorted(found.items()):
        if len(classifiers) == 1:
            (newest[question],) = classifiers
            continue
        # Here, since it brings torch, which takes seconds.
        from ganime.classifiers.active import newest_classifier

        newest[question] = newest_classifier(workspace, question)
    return newest
