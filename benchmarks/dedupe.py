"""Near-duplicates: which altered copies are found, and what is merged wrongly.

    python benchmarks/dedupe.py --practice 5000       # about 8 minutes, most of them drawing
    python benchmarks/dedupe.py ~/art                 # about 4 minutes
    python benchmarks/dedupe.py ~/art --sets touhou --sheets merges

The practice booru's posts are one set, of which a good third are altered copies. Each folder of
real pictures is a set of its own. Its copies are made here, so every true pair is known; two
originals that are merged may be a repeat that the set really holds, so `--sheets` draws each such
pair for somebody to look at. Originals of equal pixels count once. Beside ours, imagehash's plain
pHash at 10 bits, the usual threshold; it is left out where it is not installed.
"""

import argparse
import hashlib
import importlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ganime.images import Pixels, decode, encode_jpeg, encode_png
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.files import RELATIONS
from ganime.rows import NeighbourRow
from ganime.stages import dedupe
from ganime.stages.dedupe import DedupeConfig
from ganime.store.manifest import Table
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

SIMILARITY = 0.85  # what the rule wants by default
PHASH_BITS = 10  # imagededup's default
COPIES = 0.35  # of the practice booru's posts
GOAL = 0.97  # recall on the practice booru, with no two pictures merged
FONT = cv2.FONT_HERSHEY_SIMPLEX
Links = set[frozenset[str]]


@dataclass(frozen=True)
class Member:
    """One file of a set: which picture it shows, and what was done to it ("" for the original)."""

    picture: int
    alteration: str
    content: bytes


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path, nargs="?", help="of folders of real pictures")
    options.add_argument("--practice", type=int, default=0, help="posts of the practice booru")
    options.add_argument("--sets", nargs="*", help="folders in it; all if not given")
    options.add_argument("--most", type=int, default=60, help="pictures of a set that are altered")
    options.add_argument("--originals", type=int, default=400, help="pictures of a set, at most")
    options.add_argument("--sheets", type=Path, help="draw merged originals into this folder")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    figures = {}
    if chosen.practice:
        members = practice_members(chosen.practice)
        figures["practice"] = compare("practice", members, RELATIONS, chosen.sheets)
        print(f"  goal: a mean of {GOAL:g}, and none merged")
    for folder in sorted(chosen.folder.iterdir()) if chosen.folder else []:
        if folder.is_dir() and folder.name in (chosen.sets or [folder.name]):
            members = list(members_of(folder, chosen.originals, chosen.most))
            figures[folder.name] = compare(folder.name, members, list(ALTERATIONS), chosen.sheets)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def compare(
    title: str, members: Sequence[Member], alterations: Sequence[str], sheets: Path | None
) -> dict[str, Any]:
    """A row of figures for each method, printed under the alterations."""
    print(f"\n{title}: {sum(not m.alteration for m in members)} pictures, {len(members)} files")
    print(" " * 10 + "".join(f"{column:>10}" for column in (*alterations, *TITLES)))
    methods = {"ganime": ours(members)}
    if (plain := plain_phash(members)) is not None:
        methods["pHash"] = plain
    if sheets:
        draw_merges(members, methods["ganime"], sheets / title)
    return {
        method: report(method, members, alterations, links) for method, links in methods.items()
    }


def practice_members(posts: int) -> list[Member]:
    """The practice booru's files, one of each character and its altered copies."""
    with tempfile.TemporaryDirectory() as name:
        config = PracticeConfig(posts=posts, near=COPIES, exact=0, broken=0, seed=5)
        corpus = Corpus.build(config, Path(name))
        numbers: dict[str, int] = {}
        return [
            Member(
                numbers.setdefault(row.character_id, len(numbers)),
                "" if row.relation == "original" else row.relation,
                (corpus.folder / str(post.file)).read_bytes(),
            )
            for post, row in zip(corpus.posts, corpus.truth(), strict=True)
        ]


def members_of(folder: Path, num_originals: int, num_altered: int) -> Iterator[Member]:
    """The pictures of a folder, evenly chosen, and copies of the first few."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".jpg", ".png"))
    step = max(1, len(paths) // num_originals)
    seen: set[bytes] = set()
    for path in paths[::step][:num_originals]:
        content = path.read_bytes()
        pixels = decode(content).pixels
        digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        picture = len(seen) - 1
        yield Member(picture, "", content)
        if picture < num_altered:
            for name, alter in ALTERATIONS.items():
                yield Member(picture, name, alter(pixels))


def ours(members: Sequence[Member]) -> Links:
    """Pairs that the stage's own facts call the same, as sets of two image ids."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(folder)
        originals, config = Originals(workspace), DedupeConfig()
        ids = {originals.put(member.content) for member in members}
        for shard in dedupe.plan(workspace, sorted(ids), config):
            dedupe.run_fingerprints(workspace, config, shard, "benchmark")
        dedupe.compare(workspace, config, "benchmark")
        return {
            frozenset((row.image_id, other))
            for row in Table(workspace, NeighbourRow).rows()
            for other, similarity in zip(row.others, row.similarity, strict=True)
            if similarity >= SIMILARITY
        }


def plain_phash(members: Sequence[Member]) -> Links | None:
    """Pairs within 10 bits of imagehash's pHash; None where it is not installed."""
    try:
        imagehash: Any = importlib.import_module("imagehash")
        image: Any = importlib.import_module("PIL.Image")
    except ImportError:
        print("left out: imagehash (not installed)")
        return None
    hashes = []
    for member in members:
        bits = imagehash.phash(image.fromarray(decode(member.content).pixels)).hash
        hashes.append(np.packbits(bits).view(np.uint64)[0])
    ids = [image_id(member) for member in members]
    found, values = set(), np.array(hashes)
    for i in range(1, len(values)):
        near = np.flatnonzero(np.bitwise_count(values[:i] ^ values[i]) <= PHASH_BITS)
        found |= {frozenset((ids[i], ids[j])) for j in near}
    return found


def image_id(member: Member) -> str:
    return hashlib.sha256(member.content).hexdigest()


def report(
    method: str, members: Sequence[Member], alterations: Sequence[str], links: Links
) -> dict[str, Any]:
    """Recall by alteration, and how many pairs of pictures are called one; printed."""
    originals = {member.picture: image_id(member) for member in members if not member.alteration}
    recall = {}
    for name in alterations:
        pairs = [
            frozenset((image_id(member), originals[member.picture]))
            for member in members
            if member.alteration == name
        ]
        # A set of one: the copy has the original's very bytes.
        recall[name] = sum(len(pair) == 1 or pair in links for pair in pairs) / len(pairs)
    num_merged = len(merged(members, links, altered=False))
    num_any = len(merged(members, links, altered=True))
    shares = [*recall.values(), float(np.mean(list(recall.values())))]
    print(
        f"  {method:8}"
        + "".join(f"{share:10.2f}" for share in shares)
        + f"{num_merged:10}{num_any:10}"
    )
    return {"recall": recall, "merged": num_merged, "merged_through_copies": num_any}


def merged(members: Sequence[Member], links: Links, *, altered: bool) -> set[tuple[int, int]]:
    """Pairs of pictures of which originals, or any copies, are called the same."""
    pictures = {
        image_id(member): member.picture for member in members if altered or not member.alteration
    }
    pairs = (
        sorted({pictures[one] for one in link})
        for link in links
        if all(one in pictures for one in link)
    )
    return {(pair[0], pair[1]) for pair in pairs if len(pair) == 2}


def draw_merges(members: Sequence[Member], links: Links, folder: Path) -> None:
    """Each merged pair of originals side by side, as a PNG."""
    originals = {member.picture: member.content for member in members if not member.alteration}
    for one, other in sorted(merged(members, links, altered=True)):
        folder.mkdir(parents=True, exist_ok=True)
        both = [_fitted(decode(originals[picture]).pixels) for picture in (one, other)]
        (folder / f"{one:04d}_{other:04d}.png").write_bytes(encode_png(np.hstack(both)))


def _fitted(pixels: Pixels, side: int = 384) -> Pixels:
    scale = side / max(pixels.shape[:2])
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    canvas = np.full((side, side, 3), 200, np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    return canvas


def resized(pixels: Pixels, factor: float) -> Pixels:
    scaled = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(scaled, np.uint8)


def cropped(pixels: Pixels, share: float) -> Pixels:
    """`share` of each side's length is gone, most of it at the left and the top."""
    height, width = pixels.shape[:2]
    top, left = round(0.7 * share * height), round(0.6 * share * width)
    return pixels[top : top + round((1 - share) * height), left : left + round((1 - share) * width)]


def tinted(pixels: Pixels) -> Pixels:
    """A warm tone curve per channel; black and white stay."""
    ramp = 255 * (np.arange(256) / 255)[:, None] ** np.array([0.88, 1.0, 1.14])
    curves = ramp.round().astype(np.uint8)
    return np.stack([curves[pixels[..., i], i] for i in range(3)], axis=2)


def captioned(pixels: Pixels) -> Pixels:
    """A black bar below with white letters."""
    height, width = pixels.shape[:2]
    bar = max(8, round(0.07 * height))
    wider = cv2.copyMakeBorder(pixels, 0, bar, 0, 0, cv2.BORDER_CONSTANT, value=(20, 20, 20))
    place = (round(0.05 * width), height + round(0.7 * bar))
    return np.asarray(cv2.putText(wider, "source: pixel.garden", place, FONT, bar / 45, (240,) * 3))


def framed(pixels: Pixels) -> Pixels:
    """A frame of one dark colour all around."""
    thick = max(2, round(0.05 * min(pixels.shape[:2])))
    sides = (thick,) * 4
    return np.asarray(cv2.copyMakeBorder(pixels, *sides, cv2.BORDER_CONSTANT, value=(40, 30, 60)))


def watermarked(pixels: Pixels) -> Pixels:
    """Letters at a third of full strength across the middle."""
    height, width = pixels.shape[:2]
    letters, thick = pixels.copy(), max(1, width // 150)
    place = (round(0.08 * width), height // 2)
    cv2.putText(letters, "SAMPLE", place, FONT, width / 160, (128,) * 3, thick, cv2.LINE_AA)
    return np.asarray(cv2.addWeighted(letters, 0.35, pixels, 0.65, 0))


# What people and sites do to a picture before it is posted again.
ALTERATIONS: dict[str, Callable[[Pixels], bytes]] = {
    "JPEG 30": lambda pixels: encode_jpeg(pixels, 30),
    "JPEG 60": lambda pixels: encode_jpeg(pixels, 60),
    "JPEG 85": lambda pixels: encode_jpeg(pixels, 85),
    "PNG": encode_png,
    "x 0.5": lambda pixels: encode_jpeg(resized(pixels, 0.5)),
    "x 0.75": lambda pixels: encode_jpeg(resized(pixels, 0.75)),
    "mirror": lambda pixels: encode_jpeg(pixels[:, ::-1]),
    "crop 5%": lambda pixels: encode_jpeg(cropped(pixels, 0.05)),
    "crop 10%": lambda pixels: encode_jpeg(cropped(pixels, 0.1)),
    "tint": lambda pixels: encode_jpeg(tinted(pixels)),
    "caption": lambda pixels: encode_jpeg(captioned(pixels)),
    "frame": lambda pixels: encode_jpeg(framed(pixels)),
    "watermark": lambda pixels: encode_jpeg(watermarked(pixels)),
}
TITLES = ("mean", "merged", "by copies")  # the last two: pairs of other pictures

if __name__ == "__main__":
    main()
