"""What came of one post, as rows and as the text that is written ahead of the manifest."""

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any, TypeVar

from ganime.rows import AttemptRow, PostRow

_TIMES = {"posted_at", "changed_at", "fetched_at", "started_at"}
_TO_JSON = json.JSONEncoder(default=datetime.isoformat)
RowT = TypeVar("RowT", PostRow, AttemptRow)


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of one post."""

    post: PostRow
    attempts: list[AttemptRow] = field(default_factory=list)


class Columns:
    """The fields of a dataclass, for those who ask for them thousands of times.

    `dataclasses.fields` and a `getattr` for each take five times as long.

    Args:
        kind: The dataclass, with at least two fields.
    """

    def __init__(self, kind: type[Any]) -> None:
        self.names = tuple(item.name for item in dataclasses.fields(kind))
        self._values = attrgetter(*self.names)

    def of(self, thing: Any) -> dict[str, Any]:
        """The fields of anything that has them all, by name."""
        return dict(zip(self.names, self._values(thing), strict=True))


_POST, _ATTEMPT = Columns(PostRow), Columns(AttemptRow)


def to_json(settled: Settled) -> str:
    """A line of text that `from_json` reads, also in a later version of ganime."""
    return _TO_JSON.encode([_POST.of(settled.post), *map(_ATTEMPT.of, settled.attempts)])


def from_json(text: str) -> Settled:
    """What `to_json` wrote."""
    post, *attempts = json.loads(text)
    return Settled(_row(PostRow, post), [_row(AttemptRow, item) for item in attempts])


def _row(kind: type[RowT], values: dict[str, Any]) -> RowT:
    times = {name for name in _TIMES if values.get(name) is not None}
    return kind(**values | {name: datetime.fromisoformat(values[name]) for name in times})
