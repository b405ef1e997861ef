"""The workspace's classifiers as judges of generated images; torch is waited for on first use."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ganime.classifiers import storage
from ganime.config import digest_of
from ganime.errors import ConfigError, StoreError, WeightsError
from ganime.store.workspace import Workspace

if TYPE_CHECKING:  # torch takes seconds to import, and most requests do without
    from ganime.backbones import Backbone

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float64]
Scorer = Callable[[Pixels], Numbers]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judge:
    """Who answers a question.

    Attributes:
        question: What is asked.
        classifier_id: Who answers.
    """

    question: str
    classifier_id: str


class Judges:
    """The last classifier of each question.

    Args:
        workspace: Where they lie.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._questions: dict[str, str | None] = {}  # by classifier; None where it is of no use

    def listed(self) -> list[Judge]:
        """Sorted by question; without those that an older ganime made, whose network is unknown."""
        keys = self._workspace.list("classifiers", "/figures.json")
        asked: dict[str, tuple[Any, str]] = {}
        for key in keys:
            identity = key.split("/")[1]
            if question := self._question(identity):
                made = (self._workspace.modified(key), identity)
                asked[question] = max(asked.get(question, made), made)
        return [Judge(question, asked[question][1]) for question in sorted(asked)]

    def _question(self, identity: str) -> str | None:
        if identity not in self._questions:
            try:
                settings = storage.load_settings(self._workspace, identity)
                question = str(settings["question"]["question"])
                self._questions[identity] = question if "backbone" in settings else None
            except (StoreError, KeyError, ValueError, TypeError):
                self._questions[identity] = None  # a damaged one hides no others
        return self._questions[identity]

    def scorers(self, judges: Sequence[Judge]) -> tuple[Sequence[Judge], Scorer]:
        """Those that can be opened, and their scores; networks are read and run once.

        Returns:
            The judges, and what makes of images, uint8 sRGB [N, R, R, 3], their scores in 0-1,
            float64 [J, N].
        """
        backbones: dict[str, Backbone] = {}
        asked: dict[Judge, tuple[str, Callable[[Any], Numbers]]] = {}
        for judge in judges:
            try:
                asked[judge] = _opened(self._workspace, judge.classifier_id, backbones)
            except (ConfigError, StoreError, WeightsError) as error:
                log.warning("the classifier of %s cannot judge: %s", judge.question, error)

        def scores(images: Pixels) -> Numbers:
            seen: dict[str, Any] = {"": images}
            seen |= {name: network.descriptions(images) for name, network in backbones.items()}
            return np.stack([ask(seen[given]) for given, ask in asked.values()])

        return list(asked), scores


def _opened(
    workspace: Workspace, identity: str, backbones: "dict[str, Backbone]"
) -> tuple[str, Callable[[Any], Numbers]]:
    """What a classifier looks at, a backbone's features or with "" the images, and its scores."""
    from ganime.backbones import BackboneConfig, open_backbone

    settings = storage.load_settings(workspace, identity)
    config = BackboneConfig.parse(settings["backbone"])
    if settings.get("finetune", {}).get("blocks"):
        return "", storage.load_tuned(workspace, identity, config).scores
    name = digest_of(config.canonical())
    backbone = backbones.get(name) or open_backbone(workspace, config)
    if not str(settings["features"]).startswith(f"{backbone.id}-"):
        raise ConfigError(
            f"it learned from features {settings['features']}, and the network is {backbone.id}: "
            "run `ganime run` again"
        )
    head = storage.load_head(workspace, identity)
    if len(head.mean) != backbone.description_dim:
        raise ConfigError(
            f"it looks at {len(head.mean)} features, and the network gives "
            f"{backbone.description_dim}: run `ganime run` again"
        )
    backbones[name] = backbone
    return name, head.scores
