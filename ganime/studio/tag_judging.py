"""A dataset's tags as judges of generated images, where no classifier was asked for them.

Classifying left features of all images, so that a head for a tag (`ganime.classifiers.head`) is
learned in a third of a second. Many tags name what no feature tells at the size of the images, a
smile say: a tag that its head does not tell on held-out images is no judge.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from ganime.classifiers.figures import roc_auc
from ganime.classifiers.folds import neighbour_groups
from ganime.classifiers.head import Examples, Features, Head, HeadConfig, fit_head
from ganime.classifiers.storage import feature_scopes, load_features
from ganime.errors import StoreError
from ganime.rows import MemberRow
from ganime.store.manifest import Table, read_footer
from ganime.store.pixels import TAGS
from ganime.store.workspace import Workspace

LEAST_EXAMPLES = 40  # with the tag and without it: a held-out AUC of 0.8 is then sure to 0.1
LEAST_AUC = 0.8  # held out; at 64 px dresses and armour reach 0.99, smiles and eyes 0.5
MOST_TAGS = 32  # a third of a second of a core each
MOST_IMAGES = 4000  # more images make a head little better, and each tag's search longer
# Tags are many and seldom checked by people, so that what is slow about a question is left out.
_HEAD = HeadConfig(kind="linear", folds=3, l2=(0.1, 0.01), clean_rounds=0)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taught:
    """What a model was trained on, and what it was told of it.

    Attributes:
        dataset: `name/version`; empty where it is not known.
        num_images: Images in it.
        tag_names: Tags that the model itself takes: it has directions of them already.
    """

    dataset: str = ""
    num_images: int = 0
    tag_names: tuple[str, ...] = ()


def last_scope(workspace: Workspace) -> str:
    """Scope of the features that were measured last; empty without any."""
    keys = feature_scopes(workspace)
    return max(keys, key=lambda scope: workspace.modified(keys[scope]), default="")


def backbone_settings(workspace: Workspace, scope: str) -> Mapping[str, object]:
    """What measured the features of a scope, as `BackboneConfig` reads it.

    Raises:
        StoreError: there are no such features any more, or the file is damaged.
    """
    key = feature_scopes(workspace).get(scope)
    if key is None:
        raise StoreError(f"{workspace.describe()} holds no features {scope} any more")
    settings: Mapping[str, object] = read_footer(workspace, key)["config"]
    return settings


def tags_worth_asking(workspace: Workspace, taught: Taught) -> list[str]:
    """Tags of a model's dataset that it does not take itself, with images enough of both kinds.

    Of too many those that split the images most evenly; in alphabetical order.
    """
    key = f"datasets/{taught.dataset}/{TAGS}"
    if not taught.dataset or not workspace.exists(key):
        return []  # unknown, gone, or made before datasets told their tags
    try:
        counts = {str(one["tag"]): int(one["images"]) for one in _listed(workspace, key)}
    except (StoreError, ValueError, KeyError, TypeError) as error:
        log.warning("%s is not used: %s", workspace.describe(key), error)
        return []
    rarer = {
        tag: min(num, taught.num_images - num)
        for tag, num in counts.items()
        if tag not in taught.tag_names
    }
    enough = [tag for tag, num in rarer.items() if num >= LEAST_EXAMPLES]
    return sorted(sorted(enough, key=lambda tag: (-rarer[tag], tag))[:MOST_TAGS])


def _listed(workspace: Workspace, key: str) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = json.loads(workspace.read_bytes(key))["tags"]
    return found


class Tagged:
    """Images of a dataset with their features and tags: what heads of tags learn from.

    Args:
        workspace: Where.
        dataset: `name/version`.
        scope: Of the features.

    Raises:
        StoreError: none of its images has such features, or its members are gone.
    """

    def __init__(self, workspace: Workspace, dataset: str, scope: str) -> None:
        members = Table(workspace, MemberRow, root=f"datasets/{dataset}").read(["image_id", "tags"])
        # Ids are hashes, so that taking them in order is as good as drawing lots.
        first = members.take(pc.sort_indices(members["image_id"])[:MOST_IMAGES])
        tags = dict(zip(first["image_id"].to_pylist(), first["tags"].to_pylist(), strict=True))
        self._ids, self._features = load_features(workspace, scope, tags)
        if not self._ids:
            raise StoreError(f"no image of the dataset {dataset} has features {scope}")
        groups = neighbour_groups(workspace)
        self._groups = [groups.get(one, one) for one in self._ids]
        self._tags = [frozenset(tags[one] or ()) for one in self._ids]

    @property
    def features(self) -> Features:
        """Of all images, float32 [N, D]."""
        return self._features

    def head(self, tag: str) -> Head | None:
        """Says whether an image has the tag; None where features do not tell."""
        answers: npt.NDArray[np.bool_] = np.array([tag in own for own in self._tags])
        if min(int(answers.sum()), int((~answers).sum())) < LEAST_EXAMPLES:
            return None
        sure = np.zeros(len(answers), bool)
        examples = Examples(self._ids, self._features, answers, sure, self._groups)
        fitted = fit_head(examples, _HEAD, seed=0)
        told = roc_auc(fitted.held_out, answers)
        return fitted.head if told is not None and told >= LEAST_AUC else None
