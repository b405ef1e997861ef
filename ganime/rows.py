"""Every manifest's schema, declared once as a row.

A manifest is a folder of Parquet files. The row class is its schema: names, types, nullability and
documentation all derive from it (`ganime.store.manifest`). Ids of images are the SHA-256 of the
original bytes, in hex, from crawl to metric. Columns marked volatile (times, run ids) may differ
between two runs that are otherwise equal.
"""

from dataclasses import MISSING, dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa


def column(
    doc: str,
    *,
    arrow: pa.DataType | None = None,
    volatile: bool = False,
    absent: Any = None,
    default: Any = MISSING,
) -> Any:
    """One column.

    Args:
        doc: What it holds.
        arrow: Its Arrow type where the annotation is not enough.
        volatile: Whether equal runs may differ in it.
        absent: What rows hold that were written before the column was there.
        default: What a new row holds unless it is told; without one it must be told.
    """
    metadata = {"doc": doc, "arrow": arrow, "volatile": volatile, "absent": absent}
    return field(default=default, metadata=metadata)


class Row:
    """Base of all rows. Subclasses are frozen dataclasses."""

    FOLDER: ClassVar[str]  # below manifests/
    KEY: ClassVar[tuple[str, ...]]
    LATEST: ClassVar[str | None] = (
        None  # of rows with equal keys, the largest of this column counts
    )
    VERSION: ClassVar[int] = 1  # of the schema
    MERGES: ClassVar[bool] = False  # many little parts become one; nobody asks for one by its name


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPost(Row):
    """What a site says of one post: the columns that listings and posts share."""

    source: str = column("registered name of the source, for example safebooru")
    post_id: str = column("the site's number; the relative path for the folder source")
    post_url: str = column("page of the post; file URL for the folder source")
    file_url: str | None = column("where the original is; null if the site names none")
    query: str = column("the tags that were asked for, as the user wrote them")
    position: int = column("place in the query's listing; below 0 for posts added later")
    tags: list[str] = column("general tags as spelt at the site, sorted")
    artist_tags: list[str] = column("where the site splits them")
    copyright_tags: list[str] = column("where the site splits them")
    character_tags: list[str] = column("where the site splits them")
    meta_tags: list[str] = column("where the site splits them", absent=[])
    rating: str = column("general, sensitive, questionable, explicit or unknown")
    score: int | None = column("the site's score; often null")
    width: int | None = column("[px] as the site says")
    height: int | None = column("[px] as the site says")
    site_md5: str | None = column("MD5 of the original as the site says, hex")
    posted_at: datetime | None = column("when it was posted, UTC")
    changed_at: datetime | None = column("when the site changed it last, UTC")
    state: str = column(
        "active, pending, flagged, deleted, banned, or gone from the site", absent="active"
    )
    parent_id: str | None = column("post this one is a child of")
    source_link: str | None = column("where the uploader took it from")
    version: int = column(
        "1 when first listed; higher each time the site said something else", absent=1
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRow(SeenPost):
    """One post as one query found it. A later version of it outdates the earlier ones."""

    FOLDER: ClassVar[str] = "listings"
    KEY: ClassVar[tuple[str, ...]] = ("query_id", "source", "post_id")
    LATEST: ClassVar[str | None] = "version"
    VERSION: ClassVar[int] = 2

    query_id: str = column("digest of source and tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRow(SeenPost):
    """One post of one crawl, and what came of it: exactly one outcome each."""

    FOLDER: ClassVar[str] = "posts"
    MERGES: ClassVar[bool] = True
    KEY: ClassVar[tuple[str, ...]] = ("crawl_id", "source", "post_id")
    LATEST: ClassVar[str | None] = "attempt"
    VERSION: ClassVar[int] = 2

    crawl_id: str = column("digest of the crawl: its queries and rules")
    outcome: str = column("fetched, known (had it already), skipped (by rule) or failed")
    reason: str | None = column("why it was skipped or failed, a short code")
    transient: bool = column("the failure may heal: the next run tries again")
    attempt: int = column("how often it was settled, this time included")
    http_status: int | None = column("of the last answer")
    num_bytes: int | None = column("length of what was received")
    image_id: str | None = column("SHA-256 of the original; null unless fetched or known")
    fetched_at: datetime | None = column("UTC", volatile=True)
    run_id: str = column("the run that did it", volatile=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow(Row):
    """One request for the file of a post."""

    FOLDER: ClassVar[str] = "attempts"
    MERGES: ClassVar[bool] = True
    KEY: ClassVar[tuple[str, ...]] = ("crawl_id", "source", "post_id", "attempt", "request")

    crawl_id: str = column("as in posts")
    source: str = column("as in posts")
    post_id: str = column("as in posts")
    attempt: int = column("as in posts")
    request: int = column("place among the requests of this attempt, from 0")
    url: str = column("what was asked, without secrets")
    http_status: int | None = column("null if there was no answer")
    content_type: str | None = column("as the server said")
    resumed_from: int = column("bytes that an earlier request had brought; 0 for a whole one")
    num_bytes: int = column("bytes of body that this request brought")
    outcome: str = column("ok, redirected, or a short code of what went wrong")
    error: str | None = column("in words")
    started_at: datetime = column("UTC", volatile=True)
    ms: int = column("until the body was whole or given up [ms]", volatile=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow(Row):
    """Decoded facts of one original, measured once."""

    FOLDER: ClassVar[str] = "images"
    KEY: ClassVar[tuple[str, ...]] = ("image_id",)
    VERSION: ClassVar[int] = 2

    image_id: str = column("SHA-256 of the original bytes, hex")
    problem: str | None = column("why it cannot be used, a short code; null if it decodes whole")
    format: str | None = column("by content, for example JPEG")
    mode: str | None = column("Pillow's mode of the file, for example RGBA")
    width: int | None = column("[px] after EXIF orientation")
    height: int | None = column("[px] after EXIF orientation")
    frames: int | None = column("1 unless animated; the first is used")
    num_bytes: int = column("length of the original")
    phash: int | None = column("64-bit DCT hash of the border-trimmed image", arrow=pa.uint64())
    phash_mirrored: int | None = column("the same of the mirror image", arrow=pa.uint64())
    trim_box: list[int] = column("left, top, right, bottom [px] of the content; empty if broken")
    thumbnail: bytes | None = column("32x32 RGB of the trimmed image, for verifying duplicates")
    alpha_fraction: float | None = column("share of pixels not fully opaque, 0-1")
    border_colour: list[int] = column("median sRGB of the border, 0-255; empty if broken")
    background_fraction: float | None = column("share of border pixels close to its median, 0-1")
    background_texture: float | None = column("mean gradient of the border region, 0-255")
    sharpness: float | None = column("variance of the Laplacian of the grey image at 256 px")
    # Null in older rows, in broken ones and, but for the first two, where the ground is not clean.
    strip_fraction: float | None = column(
        "share of the image that plain strips along its sides take, with letters or without, 0-1",
        default=None,
    )
    colour_spread: float | None = column(
        "chroma off its main axis, 0-128; near 0 for a single hue", default=None
    )
    figures: int | None = column("large connected parts that lie on the ground", default=None)
    touched_left: float | None = column("share of that side that figures touch, 0-1", default=None)
    touched_top: float | None = column("share of that side that figures touch, 0-1", default=None)
    touched_right: float | None = column("share of that side that figures touch, 0-1", default=None)
    touched_bottom: float | None = column(
        "share of that side that figures touch, 0-1", default=None
    )
    run_id: str = column("the run that measured it", volatile=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighbourRow(Row):
    """One image compared with all that were compared before it: its near-duplicate edges."""

    FOLDER: ClassVar[str] = "neighbours"
    KEY: ClassVar[tuple[str, ...]] = ("image_id",)

    image_id: str = column("SHA-256 of the original")
    others: list[str] = column("image ids of its near-duplicate candidates; mostly empty")
    hamming: list[int] = column("bits that differ between the perceptual hashes, per other")
    similarity: list[float] = column("of the thumbnails, see `ganime.similarity`, 0-1, per other")
    mirrored: list[bool] = column("whether the other matches as a mirror image, per other")
    run_id: str = column("the run that compared it", volatile=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaddedRow(Row):
    """One image made square; the pixels lie in a shard beside the manifests."""

    FOLDER: ClassVar[str] = "padded"
    MERGES: ClassVar[bool] = True
    KEY: ClassVar[tuple[str, ...]] = ("image_id",)

    image_id: str = column("SHA-256 of the original")
    shard: str | None = column("key of the .npy shard in the workspace: uint8 sRGB [N, S, S, 3]")
    offset: int | None = column("place in the shard")
    scale: float | None = column("padded px per original px")
    fill: list[int] = column("sRGB of the bars, 0-255")
    problem: str | None = column("why it could not be padded, a short code")
    run_id: str = column("the run that padded it", volatile=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow(Row):
    """A backbone's features of one image."""

    FOLDER: ClassVar[str] = "features"
    MERGES: ClassVar[bool] = True
    KEY: ClassVar[tuple[str, ...]] = ("image_id",)

    image_id: str = column("SHA-256 of the original")
    features: list[float] = column(
        "what `Backbone.descriptions` gives [E]", arrow=pa.list_(pa.float32())
    )
    run_id: str = column("the run that measured it", volatile=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow(Row):
    """One classifier's answer to one question about one image."""

    FOLDER: ClassVar[str] = "scores"
    MERGES: ClassVar[bool] = True
    KEY: ClassVar[tuple[str, ...]] = ("image_id", "measurement", "revision")

    image_id: str = column("SHA-256 of the original")
    measurement: str = column("the question, for example chibi")
    revision: str = column("id of the classifier that answered")
    score: float = column("calibrated probability of yes, 0-1")
    run_id: str = column("the run that scored it", volatile=True)
    at: datetime = column("UTC", volatile=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow(Row):
    """What a person said about an image."""

    FOLDER: ClassVar[str] = "labels"
    KEY: ClassVar[tuple[str, ...]] = ("label_id",)

    label_id: int = column("order in the event log, from 1")
    image_id: str = column("SHA-256 of the original")
    question: str = column("chibi, multiple, background, viewpoint, keep, …")
    answer: bool | None = column("yes or no; null takes an earlier answer back")
    by: str = column("who said it")
    at: datetime = column("when, UTC")
    how: str = column("how the image was chosen: by hand, import, a queue's name")
    note: str = column("in the person's words")
    supersedes: int | None = column("label_id of the answer this one replaces")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRow(Row):
    """One rule's verdict on one image."""

    FOLDER: ClassVar[str] = "decisions"
    KEY: ClassVar[tuple[str, ...]] = ("image_id", "rule")

    image_id: str = column("SHA-256 of the original")
    rule: str = column("name of the rule")
    order: int = column("place of the rule, from 0; the first that drops gives the status")
    verdict: str = column("keep, drop or abstain")
    reason: str | None = column("short code; null unless dropped or abstained")
    score: float | None = column("what was measured")
    threshold: float | None = column("what it was held against")
    evidence: str | None = column("JSON: for example the duplicate kept instead")
    decided_by: str = column("rule, classifier or person")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow(Row):
    """One image of a dataset version."""

    FOLDER: ClassVar[str] = "members"
    KEY: ClassVar[tuple[str, ...]] = ("image_id",)

    image_id: str = column("SHA-256 of the original")
    shard: str = column("key of the packed shard, uint8 sRGB [N, R, R, 3]")
    offset: int = column("place in the shard")
    split: str = column("train or holdout, by hash of the id: stable under growth")
    tags: list[str] = column("union of the tags of all its posts and of its dropped duplicates")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow(Row):
    """One number of a training run."""

    FOLDER: ClassVar[str] = "metrics"
    KEY: ClassVar[tuple[str, ...]] = ("nimg", "name")

    nimg: int = column("real images shown so far")
    name: str = column("loss_generator, loss_discriminator, images_per_second, …")
    value: float = column("mean since the row before")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow(Row):
    """One metric of one snapshot, with all that decides whether two may be compared."""

    FOLDER: ClassVar[str] = "evaluations"
    KEY: ClassVar[tuple[str, ...]] = (
        *("model_id", "nimg", "metric", "extractor", "weights", "resize"),
        *("num_real", "num_fake", "reference", "seed", "settings"),
    )

    model_id: str = column("the model")
    nimg: int = column("real images shown when the snapshot was taken")
    metric: str = column(
        "with the extractor's name; fid and the like only with Inception's published weights"
    )
    value: float = column("the number")
    extractor: str = column("network that gave the features")
    weights: str = column("SHA-256 of the extractor's weights, first 12 hex digits")
    resize: str = column("how images were brought to the extractor's input size")
    num_real: int = column("real images")
    num_fake: int = column("generated images")
    reference: str = column("dataset name/version of the real images")
    seed: int = column("of the latents and of the metric's own random choices")
    low: float | None = column("lower end of the 95 % interval; null if it has none", default=None)
    high: float | None = column("upper end of the interval", default=None)
    better: str = column("lower or higher", absent="lower", default="lower")
    settings: str = column(
        "the metric's name and options, JSON; at first there was no other than fd",
        absent='{"name":"fd"}',
        default='{"name":"fd"}',
    )
    versions: str = column(
        "of the libraries that took part, JSON by name", volatile=True, absent="{}", default="{}"
    )
    details: str = column("what else was found, JSON by name", absent="{}", default="{}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRow(Row):
    """The faces of one image, as one detector found them."""

    FOLDER: ClassVar[str] = "faces"
    KEY: ClassVar[tuple[str, ...]] = ("image_id",)

    image_id: str = column("SHA-256 of the original")
    boxes: list[list[int]] = column(
        "left, top, right, bottom [px] of each face in the upright original, the largest first"
    )
    problem: str | None = column("why it could not be searched, a short code")
    run_id: str = column("the run that searched it", volatile=True)
