"""Many little parts of a manifest become one: a nightly crawl leaves few files after years.

A merged part becomes visible whole and names the parts that it replaces; from then on they are
hidden, and a while later they are removed. At every moment, whatever is killed, the parts that are
seen hold all rows: once each, or twice, which reading one row per key makes once.
"""

import fcntl
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from ganime.config import digest_of
from ganime.errors import GanimeError
from ganime.rows import Row
from ganime.store.parts import put, read_footer, read_part
from ganime.store.workspace import Workspace

MAX_SMALL = 64  # little parts that are left alone: opening one takes under a millisecond
_SMALL = 4 << 20  # a part of so many bytes is not worth rewriting
_MAX_MERGED = 32 << 20  # bytes of parts that are held in memory at once
_CHECK_EVERY = 16  # commits, on average: to list the folder for each would take longer than they do
_GRACE_S = 6 * 3600.0  # no reader holds on to the names of parts for longer
_PREFIX = "merged-"
log = logging.getLogger(__name__)


def is_due(name: str) -> bool:
    """Whether the commit of a part is one of those that look for little parts."""
    return int(digest_of(name), 16) % _CHECK_EVERY == 0


def visible(workspace: Workspace, keys: Sequence[str]) -> list[str]:
    """Of the keys of parts those that no other of them replaces."""
    hidden = {
        replaced for key in keys if _is_merged(key) for replaced in _replaced(workspace.url, key)
    }
    return [key for key in keys if key not in hidden]


def committed(workspace: Workspace, keys: Iterable[str]) -> list[str]:
    """Keys under which the rows of these parts were once committed, sorted."""
    found = set[str]()
    for key in keys:
        replaced = _replaced(workspace.url, key) if _is_merged(key) else (key,)
        found.update(name for name in replaced if not _is_merged(name))
    return sorted(found)


def tidy(workspace: Workspace, folder: str, row: type[Row]) -> None:
    """Merge the little parts of a folder, if they are many, and remove those merged long ago.

    What goes wrong is logged and left for the next time: the rows are committed already.
    """
    try:
        with _alone(workspace) as is_alone:
            if is_alone:
                _merge(workspace, folder, row)
                _remove_old(workspace, folder)
    except (GanimeError, OSError) as error:
        log.warning("%s is not tidied: %s", workspace.describe(folder), error)


def _merge(workspace: Workspace, folder: str, row: type[Row]) -> None:
    seen = visible(workspace, _listed(workspace, folder))
    if len(seen) <= MAX_SMALL:
        return
    sizes = {key: workspace.size(key) for key in seen}
    small = [key for key in seen if sizes[key] < _SMALL]
    if len(small) <= MAX_SMALL:
        return
    chosen, total = [], 0
    for key in small:
        if total < _MAX_MERGED:
            chosen.append(key)
            total += sizes[key]
    footers = {key: read_footer(workspace, key) for key in chosen}
    table = pa.concat_tables(read_part(workspace, key, row) for key in chosen)
    key = f"{folder}/{_PREFIX}{digest_of(*chosen)}.parquet"
    put(workspace, key, table, _footer(footers, row))
    log.debug("%d parts of %s are one now", len(chosen), workspace.describe(folder))


def _footer(footers: dict[str, dict[str, Any]], row: type[Row]) -> dict[str, Any]:
    """The first one's provenance, and what each part said of itself."""
    said: dict[str, list[str]] = {}
    replaced: list[str] = []
    for key, footer in footers.items():
        replaced.append(PurePosixPath(key).name)
        inner = footer.pop("merged", None)
        for group in inner["from"] if inner else [{"names": replaced[-1:], "footer": footer}]:
            said.setdefault(json.dumps(group["footer"]), []).extend(group["names"])
        replaced += inner["replaced"] if inner else []
    sources = [{"names": names, "footer": json.loads(text)} for text, names in said.items()]
    merged = {"at": time.time(), "replaced": sorted(set(replaced)), "from": sources}
    return {**sources[0]["footer"], "schema_version": row.VERSION, "merged": merged}


def _remove_old(workspace: Workspace, folder: str) -> None:
    keys = _listed(workspace, folder)
    there = set(keys)
    for key in filter(_is_merged, keys):
        if time.time() - _merged_at(workspace.url, key) > _GRACE_S:
            for replaced in there.intersection(_replaced(workspace.url, key)):
                workspace.remove(replaced)


def _listed(workspace: Workspace, folder: str) -> list[str]:
    """Parts that lie in the folder itself, not in those of scopes below."""
    keys = workspace.list(folder, ".parquet")
    return [key for key in keys if str(PurePosixPath(key).parent) == folder]


def _is_merged(key: str) -> bool:
    return key.rpartition("/")[2].startswith(_PREFIX)


@lru_cache(maxsize=10_000)
def _replaced(url: str, key: str) -> frozenset[str]:
    """Keys of the parts that a merged one replaces; parts never change."""
    names = read_footer(Workspace(url), key)["merged"]["replaced"]
    return frozenset(f"{PurePosixPath(key).parent}/{name}" for name in names)


@lru_cache(maxsize=10_000)
def _merged_at(url: str, key: str) -> float:
    return float(read_footer(Workspace(url), key)["merged"]["at"])


@contextmanager
def _alone(workspace: Workspace) -> Iterator[bool]:
    """Whether no other process of this machine merges in the workspace; a kill ends the lock.

    Two machines that merge the same parts at once write the same part, or some rows twice.
    """
    folder = workspace.shared_folder("merging")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
