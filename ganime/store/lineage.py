"""How manifests hang together: from post to image to decision to dataset to model."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ganime.rows import PostRow
from ganime.store.manifest import Table, read_footer
from ganime.store.word_sets import Gathered, WordSets
from ganime.store.workspace import Workspace

_VARIANT_OF = "variant_of"
_TAGS = ("tags", "artist_tags", "copyright_tags", "character_tags", "meta_tags")


@dataclass(frozen=True, slots=True)
class CrawledImage:
    """One image as the posts of some crawls describe it.

    Attributes:
        image_id: SHA-256 of the original.
        tags: Union of the tags of all its posts, every category, sorted.
        posts: `source/post_id` of each post, sorted.
    """

    image_id: str
    tags: list[str]
    posts: list[str]


class CrawledImages(Sequence[CrawledImage]):
    """Images of some crawls, sorted by id, as columns; each reads as a `CrawledImage`.

    Args:
        ids: Their ids [N], text.
        tags: Their tags [N].
        posts: `source/post_id` of their posts [N], lists of text.
        special: Those tags that a site lists as artist, work, character or meta; the others are
            general.
    """

    def __init__(
        self, ids: pa.Array, tags: WordSets, posts: pa.ListArray, special: frozenset[str]
    ) -> None:
        self.ids, self.tags, self.posts, self.special = ids, tags, posts, special

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: int) -> CrawledImage:  # type: ignore[override] # no slices
        tags = self.tags[place]
        return CrawledImage(self.ids[place].as_py(), tags, self.posts[place].as_py())


def crawled_images(workspace: Workspace, crawl_ids: Sequence[str]) -> CrawledImages:
    """All images that these crawls fetched or already had, by image id.

    Posts pass part by part; what stays in memory is the ids and the tags as numbers.

    Args:
        workspace: Where.
        crawl_ids: The crawls, `ganime.stages.crawl.crawl_id`.
    """
    columns = ["image_id", "source", "post_id", *_TAGS]
    tags = Gathered()
    ids, posts = [pa.array([], pa.string())], [pa.array([], pa.string())]
    special: set[str] = set()
    num = 0
    for crawl_id in crawl_ids:
        for part in Table(workspace, PostRow, crawl_id).stream(columns):
            found = part.filter(pc.is_valid(part["image_id"])).combine_chunks()
            for name in _TAGS:
                owners = np.asarray(pc.list_parent_indices(found[name])) + num
                words = pc.list_flatten(found[name]).combine_chunks()
                tags.add(owners, words)
                if name != "tags":
                    special.update(words.unique().to_pylist())
            ids += found["image_id"].chunks
            posts += pc.binary_join_element_wise(found["source"], found["post_id"], "/").chunks
            num += found.num_rows
    encoded = pa.concat_arrays(ids).dictionary_encode()
    del ids  # of ten million images 640 MB
    order = pc.sort_indices(encoded.dictionary)
    place = np.empty(len(order), np.int64)
    place[np.asarray(order)] = np.arange(len(order))
    places = place[np.asarray(encoded.indices)]
    sorted_ids = encoded.dictionary.take(order)
    del encoded
    sets = tags.sets(places, len(order))
    names = _lists(places, pa.concat_arrays(posts), len(order))
    return CrawledImages(sorted_ids, sets, names, frozenset(special))


def _lists(places: npt.NDArray[np.int64], words: pa.Array, num: int) -> pa.ListArray:
    """The distinct words [M] of each place, sorted; M words are nearly as many as the places."""
    pairs = pa.table({"place": places, "word": words}).group_by(["place", "word"]).aggregate([])
    pairs = pairs.sort_by([("place", "ascending"), ("word", "ascending")]).combine_chunks()
    starts = np.searchsorted(np.asarray(pairs["place"]), np.arange(num + 1))
    (word,) = pairs["word"].chunks or [pa.array([], pa.string())]
    return pa.ListArray.from_arrays(pa.array(starts.astype(np.int32)), word)


def queries_of(workspace: Workspace, crawl_id: str) -> list[str]:
    """Ids of the queries of a crawl: the scopes of its listings; none if it never began."""
    key = f"manifests/crawls/{crawl_id}.json"
    if not workspace.exists(key):
        return []
    return [query["query_id"] for query in json.loads(workspace.read_bytes(key))["queries"]]


def crawls(workspace: Workspace) -> list[str]:
    """Ids of all crawls in the workspace, sorted."""
    keys = workspace.list(f"manifests/{PostRow.FOLDER}", ".parquet")
    return sorted({key.split("/")[2] for key in keys})


def datasets(workspace: Workspace) -> list[tuple[str, str]]:
    """Name and version of all datasets with decisions, sorted."""
    keys = workspace.list("datasets", "/decisions/decisions.parquet")
    return sorted({(key.split("/")[1], key.split("/")[2]) for key in keys})


def point_to_latest(workspace: Workspace, name: str, version: str) -> None:
    """Remember which version of a dataset was made last."""
    workspace.write_text(latest_key(name), version)


def latest_key(name: str) -> str:
    """Where the last version of a dataset is named; changed with each version."""
    return f"datasets/{name}/latest"


def mark_variant(workspace: Workspace, name: str, base: str) -> None:
    """Remember that a dataset is a variant of another, made to be compared with it."""
    workspace.write_text(f"datasets/{name}/{_VARIANT_OF}", base)


def is_variant(workspace: Workspace, name: str) -> bool:
    """Whether it is one, and so not meant where nobody says which dataset."""
    return workspace.exists(f"datasets/{name}/{_VARIANT_OF}")


def without_variants(workspace: Workspace, names: Iterable[str]) -> list[str]:
    """Those of the named datasets that somebody means who names none."""
    return [name for name in names if not is_variant(workspace, name)]


def latest(workspace: Workspace) -> list[tuple[str, str]]:
    """Name and last version of every dataset, sorted by name."""
    names = sorted({name for name, _ in datasets(workspace)})
    pointers = {name: latest_key(name) for name in names}
    return [
        (name, workspace.read_bytes(key).decode())
        for name, key in pointers.items()
        if workspace.exists(key)
    ]


def crawls_of(workspace: Workspace, name: str, version: str) -> list[str]:
    """Ids of the crawls that a dataset version was made from."""
    footer = read_footer(workspace, f"datasets/{name}/{version}/decisions/decisions.parquet")
    return [key.split("/")[1] for key in footer["parents"] if key.startswith("posts/")]


def models(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Settings of all models, by id."""
    keys = workspace.list("models", "/config.json")
    return {key.split("/")[1]: json.loads(workspace.read_bytes(key)) for key in keys}
