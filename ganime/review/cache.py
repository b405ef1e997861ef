"""All images of a dataset as memory-mapped columns, made from the manifests and kept beside them.

A page of 100 rows out of millions takes 10 ms from mapped columns and seconds from Parquet, whose
wide columns are decoded for rows that are thrown away. Columns come in groups; each group is a file
that is named by what it was made from, so that a refresh makes only groups whose manifests changed,
a file never changes under a reader, and two processes that make the same file make it alike.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ganime.config import digest_of
from ganime.errors import ConfigError, ManifestError, StoreError
from ganime.review.columns import Array, Columns, open_columns, write_columns
from ganime.review.digests import Ids
from ganime.review.image_columns import Made, fact_columns, post_columns
from ganime.review.verdict_columns import (
    cell_columns,
    decision_columns,
    newest_of,
    padded_columns,
    score_columns,
)
from ganime.rows import ImageRow, ListingRow, PaddedRow, PostRow, ScoreRow
from ganime.store.lineage import (
    crawls,
    crawls_of,
    datasets,
    latest,
    queries_of,
    without_variants,
)
from ganime.store.manifest import Table, read_footer
from ganime.store.workspace import Workspace

REVISION = 1  # of the files
_KEPT_FILES = 3  # of a group: that of now, and those that others may be about to open
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """One thing that was measured of images, and what it is held against.

    Attributes:
        name: The rule, or the question of a classifier that no rule asks.
        values: float32 [N]; NaN where there is none.
        threshold: What it is held against.
        above: Whether images above the threshold are dropped rather than those below.
        order: Of the rule; None if no rule asks.
    """

    name: str
    values: Array
    threshold: float
    above: bool
    order: int | None


@dataclass(frozen=True)
class Snapshot:
    """All columns as they were at one moment; rows are sorted by image id.

    Attributes:
        key: Digest of what it was made from: equal keys, equal rows.
        dataset: `name/version`; empty if nothing was decided yet.
        crawl_ids: Whose images these are.
        groups: The columns, by group.
    """

    key: str
    dataset: str
    crawl_ids: tuple[str, ...]
    groups: dict[str, Columns]
    _memory: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remember(self, name: str, make: Callable[[], Any]) -> Any:
        """What is derived from the columns: made once, whoever asks, and gone with the snapshot."""
        if name not in self._memory:
            with self._lock:
                if name not in self._memory:
                    self._memory[name] = make()
        return self._memory[name]

    @cached_property
    def ids(self) -> Ids:
        """The ids of the images."""
        return Ids(self.groups["images"]["digest"])

    @property
    def num_rows(self) -> int:
        """How many images."""
        return self.groups["images"].num_rows

    @cached_property
    def rules(self) -> list[str]:
        """Names of the rules, by their order."""
        told = self.groups["decisions"].notes["rules"]
        names = {rule["order"]: str(rule["rule"]) for rule in told}
        return [names.get(order, f"rule {order}") for order in range(max(names, default=-1) + 1)]

    @cached_property
    def scores(self) -> dict[str, Scores]:
        """All that was measured, by name: what rules hold against a threshold comes first."""
        decisions, others = self.groups["decisions"], self.groups["scores"]
        found = [
            Scores(
                rule["rule"],
                decisions[f"score_{rule['order']}"],
                rule["threshold"],
                rule["above"],
                rule["order"],
            )
            for rule in decisions.notes["rules"]
            if rule["scored"]
        ]
        found += [
            Scores(told["question"], others[f"score_{i}"], told["threshold"], True, None)
            for i, told in enumerate(others.notes["questions"])
        ]
        return {scores.name: scores for scores in found}


class Cache:
    """The columns of one dataset of a workspace.

    Args:
        workspace: Where; the files lie in its folder `.review`, or on this machine if it is remote.
        dataset: Name of the dataset; empty for the only one.
    """

    def __init__(self, workspace: Workspace, dataset: str = "") -> None:
        self.workspace = workspace
        self._dataset = dataset
        self._store = Workspace(str(workspace.shared_folder("review")))

    def open(self, current: Snapshot | None = None) -> Snapshot:
        """The columns of now; made where manifests changed since they were made last.

        Args:
            current: What is open already; it is returned as it is where nothing changed.

        Raises:
            ConfigError: there is no such dataset, or which one is not said.
            ManifestError: a manifest is damaged.
        """
        root, crawl_ids = self._latest()
        base = self._base(crawl_ids)
        facts = self._digest(base, Table(self.workspace, ImageRow).digest())
        scope = self._pad_scope(root)
        padded = self._digest(base, scope, Table(self.workspace, PaddedRow, scope).digest())
        scored = self._digest(base, root, Table(self.workspace, ScoreRow).digest())
        key = self._digest(base, root, facts, padded, scored)
        if current is not None and current.key == key:
            return current
        groups: dict[str, Columns] = {}
        make = self._group

        def ids() -> Ids:
            return Ids(groups["images"]["digest"])

        names = ["images", "tags", "tag_rows", "words"]
        groups |= make(names, base, lambda: post_columns(self.workspace, crawl_ids))
        groups |= make(["facts"], facts, lambda: fact_columns(self.workspace, ids()))
        decided = self._digest(base, root)
        groups |= make(
            ["decisions"], decided, lambda: decision_columns(self.workspace, root, ids())
        )
        groups |= make(
            ["cell", "cells"], decided, lambda: cell_columns(groups["images"], groups["decisions"])
        )
        groups |= make(["padded"], padded, lambda: padded_columns(self.workspace, scope, ids()))
        rules = groups["decisions"].notes["rules"]
        done = [str(rule["rule"]) for rule in rules if rule["scored"]]
        groups |= make(
            ["scores"],
            scored,
            lambda: score_columns(self.workspace, ids(), newest_of(self.workspace, done)),
        )
        return Snapshot(key, root.removeprefix("datasets/"), tuple(crawl_ids), groups)

    def _latest(self) -> tuple[str, list[str]]:
        """Folder of the latest version of the dataset, empty for none; and whose images it has."""
        newest = dict(latest(self.workspace))
        if not self._dataset and not newest:
            return "", crawls(self.workspace)
        meant = without_variants(self.workspace, newest)
        if not self._dataset and len(meant) != 1:
            raise ConfigError(f"which dataset? There are {', '.join(sorted(newest))}")
        name = self._dataset or meant[0]
        # Where no version is the latest, as in old workspaces, the last by name is.
        versions = [version for one, version in datasets(self.workspace) if one == name]
        version = newest.get(name) or next(reversed(versions), None)
        if version is None:
            raise ConfigError(f"no dataset is called {name!r}; there: {sorted(newest)}")
        return f"datasets/{name}/{version}", (
            crawls_of(self.workspace, name, version) or crawls(self.workspace)
        )

    def _pad_scope(self, root: str) -> str:
        """Whose pixels to show: those that the dataset was packed from, or the only ones."""
        if root:
            footer = read_footer(self.workspace, f"{root}/decisions/decisions.parquet")
            if scope := str(footer["parents"].get("padded", "")):
                return scope
        keys = self.workspace.list(f"manifests/{PaddedRow.FOLDER}", ".parquet")
        scopes = {key.split("/")[2] for key in keys}
        return scopes.pop() if len(scopes) == 1 else ""

    def _base(self, crawl_ids: list[str]) -> str:
        """Digest of the posts, which say what images there are."""
        posts = [Table(self.workspace, PostRow, one).digest() for one in crawl_ids]
        queries = [query for one in crawl_ids for query in queries_of(self.workspace, one)]
        listed = [Table(self.workspace, ListingRow, query).digest() for query in queries]
        return self._digest(*crawl_ids, *posts, *listed)

    def _digest(self, *parts: str) -> str:
        return digest_of(str(REVISION), *parts)

    def _group(self, names: list[str], digest: str, make: Callable[[], Made]) -> dict[str, Columns]:
        """Groups that are made together, opened; made where one of them is missing or damaged."""
        keys = {name: f"r{REVISION}/{name}-{digest}.arrow" for name in names}
        try:
            return {name: open_columns(self._store, key) for name, key in keys.items()}
        except (ManifestError, StoreError, FileNotFoundError) as error:
            log.debug("%s", error)
        log.info("review: making %s from the manifests", ", ".join(names))
        for name, (columns, notes) in make().items():
            write_columns(self._store, keys[name], columns, notes)
            self._forget(name, keys[name])
        return {name: open_columns(self._store, key) for name, key in keys.items()}

    def _forget(self, name: str, newest: str) -> None:
        """Remove files of a group that nobody opens any more; who has one open keeps it."""
        folder = self._store.local_path(newest).parent
        files = sorted(folder.glob(f"{name}-*.arrow"), key=lambda path: path.stat().st_mtime)
        for path in files[:-_KEPT_FILES]:
            path.unlink(missing_ok=True)
