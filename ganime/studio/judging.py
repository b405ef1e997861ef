"""What a workspace knows as judges of generated images; torch is waited for on first use.

These are its classifiers, and the tags of a model's dataset that no classifier was asked for.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ganime.classifiers import storage
from ganime.config import digest_of
from ganime.errors import ConfigError, GanimeError, StoreError, WeightsError
from ganime.store.workspace import Workspace
from ganime.studio.tag_judging import (
    Tagged,
    Taught,
    backbone_settings,
    last_scope,
    tags_worth_asking,
)

if TYPE_CHECKING:  # torch takes seconds to import, and most requests do without
    from ganime.backbones import Backbone

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float64]
Ask = Callable[[Any], Numbers]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judge:
    """Who answers a question.

    Attributes:
        question: What is asked.
        classifier_id: Who answers; for a tag a digest of what its head is learned from.
        dataset: Whose tags the answers are learned from; empty for a classifier.
        scope: Of the features that they are learned from; empty for a classifier.
    """

    question: str
    classifier_id: str
    dataset: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who can be asked now, whatever model is judged.

    Attributes:
        judges: The last classifier of each question, sorted by question; without those that an
            older ganime made, whose network is unknown.
        scope: Of the features that were measured last; empty without any.
    """

    judges: Sequence[Judge] = ()
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Bench:
    """Judges at work.

    Attributes:
        asked: By judge, the name of the backbone whose features it looks at, "" for the image
            itself, and what makes scores of these.
        backbones: By name.
    """

    asked: "Mapping[Judge, tuple[str, Ask]]"
    backbones: "Mapping[str, Backbone]"

    @property
    def judges(self) -> list[Judge]:
        """Those that can be opened."""
        return list(self.asked)

    def alone(self, judge: Judge) -> "Bench":
        """With one judge."""
        return Bench({judge: self.asked[judge]}, self.backbones)

    def scores(self, images: Pixels) -> Numbers:
        """In 0-1, float64 [J, N], of uint8 sRGB [N, R, R, 3]; each network is run once."""
        names = {name for name, _ in self.asked.values() if name}
        seen = {name: self.backbones[name].descriptions(images) for name in sorted(names)}
        return np.stack([ask(seen.get(name, images)) for name, ask in self.asked.values()])


class Judges:
    """Who there is to ask.

    Args:
        workspace: Where classifiers and datasets lie.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._questions: dict[str, str | None] = {}  # by classifier; None where it is of no use
        self._tags: dict[Taught, list[str]] = {}  # a version of a dataset never changes

    def asked(self) -> Asked:
        """As the workspace is now."""
        found: dict[str, tuple[Any, str]] = {}
        for key in self._workspace.list("classifiers", "/figures.json"):
            identity = key.split("/")[1]
            if question := self._question(identity):
                made = (self._workspace.modified(key), identity)
                found[question] = max(found.get(question, made), made)
        judges = [Judge(question, found[question][1]) for question in sorted(found)]
        return Asked(judges, last_scope(self._workspace))

    def of(self, taught: Taught, asked: Asked) -> list[Judge]:
        """All for one model: classifiers, and the tags of its dataset that are no question."""
        if not asked.scope:
            return list(asked.judges)
        if taught not in self._tags:
            self._tags[taught] = tags_worth_asking(self._workspace, taught)
        questions = {one.question for one in asked.judges}
        origin = (taught.dataset, asked.scope)
        tags = [
            Judge(tag, digest_of("tag", *origin, tag), *origin)
            for tag in self._tags[taught]
            if tag not in questions
        ]
        return [*asked.judges, *tags]

    def _question(self, identity: str) -> str | None:
        if identity not in self._questions:
            try:
                settings = storage.load_settings(self._workspace, identity)
                question = str(settings["question"]["question"])
                self._questions[identity] = question if "backbone" in settings else None
            except (StoreError, KeyError, ValueError, TypeError):
                self._questions[identity] = None  # a damaged one hides no others
        return self._questions[identity]

    def bench(self, judges: Sequence[Judge]) -> Bench:
        """Those that can be opened; networks and features are read once."""
        backbones: dict[str, Backbone] = {}
        tagged: dict[tuple[str, str], tuple[str, Tagged]] = {}
        asked: dict[Judge, tuple[str, Ask]] = {}
        for judge in judges:
            try:
                asked[judge] = (
                    _of_tag(self._workspace, judge, backbones, tagged)
                    if judge.dataset
                    else _of_classifier(self._workspace, judge.classifier_id, backbones)
                )
            except GanimeError as error:
                log.warning("%s cannot be judged: %s", judge.question, error)
        return Bench(asked, backbones)


def _of_classifier(
    workspace: Workspace, identity: str, backbones: "dict[str, Backbone]"
) -> tuple[str, Ask]:
    """What a classifier looks at, a backbone's features or with "" the images, and its scores."""
    from ganime.backbones import BackboneConfig

    settings = storage.load_settings(workspace, identity)
    if settings.get("finetune", {}).get("blocks"):
        config = BackboneConfig.parse(settings["backbone"])
        return "", storage.load_tuned(workspace, identity, config).scores
    name = _opened(workspace, settings["backbone"], str(settings["features"]), backbones)
    head = storage.load_head(workspace, identity)
    _check(len(head.mean), backbones[name])
    return name, head.scores


def _of_tag(
    workspace: Workspace,
    judge: Judge,
    backbones: "dict[str, Backbone]",
    tagged: dict[tuple[str, str], tuple[str, Tagged]],
) -> tuple[str, Ask]:
    """The same of a tag; where features do not tell it, all images score alike."""
    origin = (judge.dataset, judge.scope)
    if origin not in tagged:
        settings = backbone_settings(workspace, judge.scope)
        name = _opened(workspace, settings, judge.scope, backbones)
        images = Tagged(workspace, *origin)
        _check(images.features.shape[1], backbones[name])
        tagged[origin] = name, images
    name, images = tagged[origin]
    head = images.head(judge.question)
    return name, head.scores if head else lambda features: np.full(len(features), 0.5)


def _opened(
    workspace: Workspace, settings: Any, scope: str, backbones: "dict[str, Backbone]"
) -> str:
    """The name of the network that measured the features of a scope, opened once.

    Raises:
        ConfigError: the network is another one now.
    """
    from ganime.backbones import BackboneConfig, open_backbone

    config = BackboneConfig.parse(settings)
    name = digest_of(config.canonical())
    backbone = backbones.get(name) or open_backbone(workspace, config)
    if not scope.startswith(f"{backbone.id}-"):
        raise ConfigError(
            f"it learned from features {scope}, and the network is {backbone.id}: "
            "run `ganime run` again"
        )
    backbones[name] = backbone
    return name


def _check(num: int, backbone: "Backbone") -> None:
    if num != backbone.description_dim:
        raise WeightsError(
            f"it looks at {num} features, and the network gives {backbone.description_dim}: "
            "run `ganime run` again"
        )
