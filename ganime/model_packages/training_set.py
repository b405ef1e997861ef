"""What a model was trained on, told by the dataset version that it names."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ganime.lite.description import TrainingSet
from ganime.rows import MemberRow, PostRow
from ganime.store.card import posted
from ganime.store.lineage import crawls_of, datasets
from ganime.store.manifest import Table, read_footer
from ganime.store.workspace import Workspace


def training_ids(workspace: Workspace, dataset_version: str) -> list[str] | None:
    """Ids of the images that a dataset version trains with, in its order; None if it is not here.

    Args:
        workspace: Where.
        dataset_version: `name/version`.
    """
    name, _, version = dataset_version.partition("/")
    if (name, version) not in datasets(workspace):
        return None
    columns = ["image_id", "offset", "split"]
    members = Table(workspace, MemberRow, root=f"datasets/{dataset_version}").read(columns)
    shown: pa.Table = members.filter(pc.equal(members["split"], "train")).sort_by("offset")
    ids: list[str] = shown["image_id"].to_pylist()
    return ids


def members_file(ids: Sequence[str]) -> bytes:
    """Image ids as a text file, one per line; its SHA-256 is the digest of a training set."""
    return "".join(f"{image_id}\n" for image_id in ids).encode()


def training_set(workspace: Workspace, dataset_version: str, num_images: int) -> TrainingSet:
    """What is known of a model's images: all where the dataset is here, else name and number.

    Args:
        workspace: Where.
        dataset_version: `name/version`.
        num_images: How many images the model says it was trained on.
    """
    ids = training_ids(workspace, dataset_version)
    if ids is None:
        return TrainingSet(dataset=dataset_version, num_images=num_images)
    crawl_ids = crawls_of(workspace, *dataset_version.split("/", 1))
    column = pa.array(ids, pa.string())
    ratings, _ = posted(workspace, crawl_ids, column)
    key = f"datasets/{dataset_version}/decisions/decisions.parquet"
    rules = read_footer(workspace, key)["config"]["rules"]
    return TrainingSet(
        dataset=dataset_version,
        num_images=num_images,
        members_sha256=hashlib.sha256(members_file(ids)).hexdigest(),
        sites=dict(sorted(_sites(workspace, crawl_ids, column).items())),
        ratings=dict(sorted(ratings.items())),
        rules=tuple(rules),
        obeyed_robots=_obeyed_robots(workspace, crawl_ids),
    )


def _sites(workspace: Workspace, crawl_ids: Sequence[str], ids: pa.Array) -> Counter[str]:
    """Images by site; one that several sites show counts at each."""
    found = [pa.table({"image_id": pa.array([], pa.string()), "source": pa.array([], pa.string())})]
    for crawl_id in crawl_ids:
        for part in Table(workspace, PostRow, crawl_id).stream(["image_id", "source"]):
            found.append(part.filter(pc.is_in(part["image_id"], value_set=ids)))
    posts = pa.concat_tables(found, promote_options="permissive")
    pairs = posts.group_by(["image_id", "source"]).aggregate([])
    return Counter(pairs["source"].to_pylist())


def _obeyed_robots(workspace: Workspace, crawl_ids: Sequence[str]) -> bool:
    parts = [key for one in crawl_ids for key in Table(workspace, PostRow, one).parts()[:1]]
    return all(read_footer(workspace, key)["config"].get("obey_robots", True) for key in parts)
