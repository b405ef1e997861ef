"""The models of a workspace: listed by the heads of their snapshots, opened when asked for."""

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from ganime import promotion
from ganime.errors import GanimeError, WeightsError
from ganime.rows import EvaluationRow
from ganime.store.lineage import models as configs
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
from ganime.studio import directions
from ganime.studio.attributes import Attributes, Sought, is_name
from ganime.studio.characters import Character
from ganime.studio.directions import Directions
from ganime.studio.engine import Engine, Point
from ganime.studio.judging import Asked, Judges
from ganime.studio.outlines import Outline, outline
from ganime.studio.points import point_of
from ganime.studio.tag_judging import Taught
from ganime.training.keys import snapshots

KEPT = 3  # networks in memory at a time
# For so long a name without a snapshot means the same one: to look takes many requests' time, and
# where the workspace is a bucket, that of hundreds.
FRESH_S = 1.0
RIGHTS = (
    "The rights in the training images stay with their artists, and this model comes with no "
    "licence to them. Its images may resemble some: look at the nearest training images before "
    "you publish any, and say that they were generated."
)


class UnknownModelError(GanimeError):
    """No model is called that, or several are."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as far as it can be told without its weights.

    Attributes:
        model_id: Its id in the workspace.
        nimg: Real images shown at its last snapshot.
        is_current: Whether it is drawn from where no other is named.
        dataset: `name/version` that it was trained on, where that is known.
        metrics: The last value of each.
        outline: What the snapshot says.
        sought: Directions towards what classifiers say yes to, as far as they were looked for.
    """

    model_id: str
    nimg: int
    is_current: bool
    dataset: str | None
    metrics: Mapping[str, float]
    outline: Outline
    sought: Sought = field(default_factory=Sought)

    @property
    def reference(self) -> str:
        """What to ask for: the snapshot as well, for images that stay while training goes on."""
        return f"{self.model_id}@{self.nimg}"


class Opened:
    """One snapshot, ready to draw.

    Args:
        model_id: Of the model.
        nimg: Of the snapshot.
        engine: It.
        dataset: What it was trained on.
        find_directions: Finds the snapshot's directions; called once they are wished for.
        attributes: Directions of its questions, as far as they were looked for; None for a model
            without classifiers.
    """

    def __init__(
        self,
        model_id: str,
        nimg: int,
        engine: Engine,
        dataset: str | None,
        find_directions: Callable[[], Directions],
        attributes: Attributes | None = None,
    ) -> None:
        self.model_id, self.nimg, self.engine, self.dataset = model_id, nimg, engine, dataset
        self._find_directions = find_directions
        self.attributes = attributes
        self._directions: Directions | None = None

    @property
    def reference(self) -> str:
        """See `Listed.reference`."""
        return f"{self.model_id}@{self.nimg}"

    def point(self, wanted: Character) -> Point:
        """The point of a character; on the drawing thread alone.

        Raises:
            ConfigError: the model cannot do what is wished.
        """
        names = [*wanted.shift, *wanted.hold]
        if names and self._directions is None:
            self._directions = self._find_directions()
        known = self._directions or Directions({})
        unknown = [name for name in names if is_name(name) and name not in known.steps]
        if self.attributes and unknown:  # found since, here or by another process
            known = self._directions = Directions({**known.steps, **self.attributes.steps()})
        return point_of(self.engine, known, wanted)


class Catalogue(Protocol):
    """What the studio serves models from."""

    def listed(self) -> list[Listed]:
        """All models, the usual one first."""
        ...

    def opened(self, reference: str) -> Opened:
        """A model ready to draw; raises UnknownModelError, or WeightsError if it is damaged."""
        ...

    def at_hand(self, reference: str) -> Opened | None:
        """`opened` at once, without waiting for a store; None where that cannot be."""
        ...


def _of_torch(workspace: Workspace, model_id: str, nimg: int) -> Engine:
    from ganime.studio.torch_engine import load  # torch is waited for by who draws with it alone

    return load(workspace, model_id, nimg)


class Models:
    """The models of a workspace, a `Catalogue`.

    Args:
        workspace: Where they lie.
        default: Id, or its first digits, of the one to use where none is named; empty for the
            current one, else the newest.
        open_engine: What makes a snapshot ready.
    """

    def __init__(
        self,
        workspace: Workspace,
        default: str = "",
        open_engine: Callable[[Workspace, str, int], Engine] = _of_torch,
    ) -> None:
        self._workspace, self._default, self._open_engine = workspace, default, open_engine
        self._reading = threading.Lock()  # held while weights are read
        self._lock = threading.Lock()  # of what follows; never held for long
        self._outlines: dict[tuple[str, int], Outline | None] = {}
        self._opened: OrderedDict[tuple[str, int], Opened] = OrderedDict()
        self._judges = Judges(workspace)
        self._attributes: dict[tuple[str, int], Attributes] = {}
        self._meant: dict[str, tuple[tuple[str, int], float]] = {}  # snapshots, and until when

    def listed(self) -> list[Listed]:
        """All models that have a snapshot which can be read, the usual one first."""
        settings = configs(self._workspace)
        usual, asked = self._usual(settings), self._judges.asked()
        found = [
            self._list(name, settings[name], name == usual, asked) for name in sorted(settings)
        ]
        return sorted((one for one in found if one), key=lambda one: not one.is_current)

    def opened(self, reference: str) -> Opened:
        """A model ready to draw; reads its weights unless they are in memory.

        Args:
            reference: `id@nimg`; an id, or its first digits, for its last snapshot; empty for the
                usual one.

        Raises:
            UnknownModelError: there is no such model or snapshot.
            WeightsError: its file is damaged.
        """
        with self._reading:
            if found := self.at_hand(reference):
                return found
            settings = configs(self._workspace)
            head, _, shown = reference.partition("@")
            model_id = self._identity(head, settings)
            key = (model_id, self._snapshot(model_id, shown))
            opened = self._opened.get(key) or self._open(*key, settings[model_id])
            with self._lock:
                self._opened[key] = opened
                self._opened.move_to_end(key)
                while len(self._opened) > KEPT:
                    self._opened.popitem(last=False)
                self._meant[reference] = (key, time.monotonic() + FRESH_S)
            return opened

    def at_hand(self, reference: str) -> Opened | None:
        """See `Catalogue`: what is in memory, named whole or looked for a moment ago."""
        head, _, shown = reference.partition("@")
        key = (head, int(shown)) if shown.isascii() and shown.isdigit() else None
        with self._lock:
            if key not in self._opened:
                key, until = self._meant.get(reference, (None, 0.0))
                key = key if time.monotonic() < until else None
            if key is None or key not in self._opened:
                return None
            self._opened.move_to_end(key)
            return self._opened[key]

    def _open(self, model_id: str, nimg: int, settings: Mapping[str, Any]) -> Opened:
        engine = self._open_engine(self._workspace, model_id, nimg)
        find = partial(directions.find, self._workspace, model_id, nimg, engine)
        dataset = settings.get("dataset_version")
        attributes = self._attributes_of(model_id, nimg, settings)
        return Opened(model_id, nimg, engine, dataset, find, attributes)

    def _attributes_of(self, model_id: str, nimg: int, settings: Mapping[str, Any]) -> Attributes:
        new = Attributes(self._workspace, model_id, nimg, self._judges, _taught(settings))
        return self._attributes.setdefault((model_id, nimg), new)

    def _identity(self, head: str, settings: Mapping[str, Any]) -> str:
        wanted = head or self._usual(settings)
        fitting = [name for name in settings if wanted and name.startswith(wanted)]
        if wanted in settings or len(fitting) == 1:
            return wanted if wanted in settings else fitting[0]
        if not settings:
            raise UnknownModelError(
                f"{self._workspace.describe('models')} holds no model yet: train one first"
            )
        found = f"{len(fitting)} models begin with" if fitting else "no model is called"
        raise UnknownModelError(f"{found} {wanted!r:.80}; there are {', '.join(sorted(settings))}")

    def _usual(self, settings: Mapping[str, Any]) -> str:
        """Id of the model to use where none is named: as said, promoted, or the newest."""
        if self._default:
            return self._identity(self._default, settings)
        promoted = promotion.current(self._workspace)
        if promoted in settings:
            return promoted or ""
        with_snapshots = [name for name in settings if snapshots(self._workspace, name)]
        return max(with_snapshots, key=self._begun, default="")

    def _begun(self, model_id: str) -> datetime:
        return self._workspace.modified(f"models/{model_id}/config.json")

    def _snapshot(self, model_id: str, shown: str) -> int:
        known = snapshots(self._workspace, model_id)
        if not known:
            raise UnknownModelError(f"model {model_id} has no snapshots: train it first")
        if not shown:
            return known[-1]
        fitting = [nimg for nimg in known if str(nimg) == shown]
        if not fitting:
            raise UnknownModelError(
                f"model {model_id} has no snapshot at {shown:.80} images shown; it has {known}"
            )
        return fitting[0]

    def _list(
        self, model_id: str, settings: Mapping[str, Any], usual: bool, asked: Asked
    ) -> Listed | None:
        known = snapshots(self._workspace, model_id)
        if not known:
            return None
        key = (model_id, known[-1])
        if key not in self._outlines:
            try:
                self._outlines[key] = outline(self._workspace, *key)
            except WeightsError:
                self._outlines[key] = None  # a damaged one hides no others
        found = self._outlines[key]
        if found is None:
            return None
        metrics = _metrics(self._workspace, model_id)
        sought = self._attributes_of(*key, settings).sought(asked)
        return Listed(*key, usual, settings.get("dataset_version"), metrics, found, sought)


def _taught(settings: Mapping[str, Any]) -> Taught:
    """Of a model's config.json; older ones say less."""
    dataset, num_images = settings.get("dataset_version"), settings.get("num_images")
    tags = settings.get("tags") or ()
    return Taught(str(dataset or ""), int(num_images or 0), tuple(map(str, tags)))


def _metrics(workspace: Workspace, model_id: str) -> Mapping[str, float]:
    rows = Table(workspace, EvaluationRow, root=f"models/{model_id}").rows()
    return {row.metric: row.value for row in sorted(rows, key=lambda row: row.nimg)}


def provenance(models: Sequence[Opened], characters: Sequence[Character]) -> str:
    """A card for who is handed images: what made them, from what, and whose rights to mind."""
    seeds = ", ".join("code" if one.seed is None else str(one.seed) for one in characters)
    made_by = [
        f"- model: {one.model_id}, after {one.nimg} training images shown; "
        f"dataset: {one.dataset or 'unknown'}"
        for one in {model.reference: model for model in models}.values()
    ]
    lines = [
        "# Where these images come from",
        "",
        "They were generated by ganime; no person drew them.",
        "",
        *made_by,
        f"- seeds: {seeds}",
        "",
        "## Rights",
        "",
        RIGHTS,
        "",
        "## Settings",
        "",
        "Each line draws one image again, as a body for `POST /v1/images`:",
        "",
        "```json",
        *(json.dumps(one.plain(), sort_keys=True, ensure_ascii=False) for one in characters),
        "```",
        "",
    ]
    return "\n".join(lines)
