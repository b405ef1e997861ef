"""What came of one post, as rows and as the text that is written ahead of the manifest."""

import dataclasses
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from ganime.rows import AttemptRow, ListingRow, PostRow, SeenPost

_TIMES = {"posted_at", "changed_at", "fetched_at", "started_at"}
_TO_JSON = json.JSONEncoder(default=datetime.isoformat)


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of one post."""

    post: PostRow
    attempts: list[AttemptRow] = field(default_factory=list)


class Columns:
    """The fields of a dataclass, for those who ask for them thousands of times.

    `dataclasses.fields` and a `getattr` for each take five times as long.

    Args:
        kind: The dataclass.
        without: Fields that do not matter; at least two do.
    """

    def __init__(self, kind: type[Any], without: Collection[str] = ()) -> None:
        names = [item.name for item in dataclasses.fields(kind)]
        self.names = tuple(name for name in names if name not in without)
        self._values = attrgetter(*self.names)

    def of(self, thing: Any) -> dict[str, Any]:
        """The fields of anything that has them all, by name."""
        return dict(zip(self.names, self._values(thing), strict=True))


SEEN = Columns(SeenPost)  # what a post and its listing have in common
_OWN = Columns(PostRow, without=SEEN.names)
_REQUEST = Columns(AttemptRow, without=("crawl_id", "source", "post_id", "attempt"))


def to_json(settled: Settled, listed: ListingRow) -> str:
    """What came of a post, but for what its listing says, for `from_json`."""
    seen, was = SEEN.of(settled.post), SEEN.of(listed)
    changed = {} if seen == was else {name: seen[name] for name in seen if seen[name] != was[name]}
    return _TO_JSON.encode(
        [_OWN.of(settled.post), changed, *(_REQUEST.of(made) for made in settled.attempts)]
    )


def from_json(text: str, listed: ListingRow) -> Settled:
    """What `to_json` wrote."""
    own, changed, *made = (_with_times(values) for values in json.loads(text))
    post = PostRow(**{**SEEN.of(listed), **changed}, **own)
    ids = {name: getattr(post, name) for name in ("crawl_id", "source", "post_id", "attempt")}
    return Settled(post, [AttemptRow(**ids, **values) for values in made])


def _with_times(values: dict[str, Any]) -> dict[str, Any]:
    times = {name for name in _TIMES if values.get(name) is not None}
    return values | {name: datetime.fromisoformat(values[name]) for name in times}
