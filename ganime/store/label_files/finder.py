"""Which image a label means: by id, post, or the bytes of a file."""

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ganime.rows import PostRow
from ganime.store.label_files.entries import Entry, Unmatched
from ganime.store.lineage import crawls
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

_DIGITS = re.compile(r"[0-9a-f]{6,64}")
# Many people name files by post id, a number of up to 9 digits: as the first digits of an image id
# it would match strangers by accident.
_STEM_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Said:
    """One label whose image was found."""

    entry: Entry
    image_id: str

    @property
    def about(self) -> tuple[str, str]:
        """Which image was asked what."""
        return self.image_id, self.entry.question

    @property
    def key(self) -> tuple[str, str, bool | None, str]:
        """What makes two labels the same."""
        return *self.about, self.entry.answer, self.entry.by


class Finder:
    """Which image a label means, by what the crawls of a workspace brought."""

    def __init__(self, workspace: Workspace, path: Path) -> None:
        self._folder = path
        self._bases = (path.parent, Path())
        self._posts: dict[str, set[str]] = {}  # by source/post_id
        self._numbers: dict[str, set[str]] = {}  # by post_id alone
        for scope in crawls(workspace):
            table = Table(workspace, PostRow, scope).read(["source", "post_id", "image_id"])
            for row in table.to_pylist():
                found = {row["image_id"]} - {None}
                post_id = row["post_id"]
                self._posts.setdefault(f"{row['source']}/{post_id}", set()).update(found)
                self._numbers.setdefault(post_id, set()).update(found)
        self._ids = sorted(set().union(*self._posts.values()))

    def by_reference(self, reference: str) -> set[str] | None:
        """Images that the `image` of a file means; None if nothing is known by that name."""
        if reference in self._posts:
            return self._posts[reference]
        if found := self._starting_with(reference):
            return found
        for base in self._bases:
            if content_id := _digest_of_file(base / reference):
                return self._starting_with(content_id)
        return None

    def by_file(self, name: str) -> set[str] | None:
        """Images that a file in a folder means; None if nothing is known by its bytes or name."""
        stem = Path(name).stem
        return (
            self._starting_with(_digest_of_file(self._folder / name) or "")
            or self._numbers.get(stem)
            or (self._starting_with(stem) if len(stem) >= _STEM_DIGITS else None)
        )

    def _starting_with(self, digits: str) -> set[str] | None:
        digits = digits.lower()
        if not _DIGITS.fullmatch(digits):
            return None
        start = bisect_left(self._ids, digits)
        following = islice(self._ids, start, bisect_left(self._ids, digits + "g"))
        return set(following) or None


def _digest_of_file(path: Path) -> str | None:
    try:
        if not path.is_file():  # a pipe or a device would never end
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # unreadable, or nothing that could name a file
        return None


def match(
    entries: Iterable[Entry], find: Callable[[str], set[str] | None]
) -> tuple[list[Said], list[Unmatched]]:
    """Labels whose image was found, and those that mean none or several."""
    said, unmatched = [], []
    for entry in entries:
        found = find(entry.reference)
        if found and len(found) == 1:
            said.append(Said(entry, *found))
            continue
        if found is None:
            reason = "no image of this workspace"
        else:
            reason = f"means {len(found)} images" if found else "the post has no image here"
        unmatched.append(Unmatched(entry.where, entry.reference, reason))
    return said, unmatched
