"""Decide: facts, labels and rules in; one decision per image and rule, and a dataset, out.

Nothing here touches a network or decodes an image, so a new threshold or a new label costs seconds.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from ganime.config import Config, digest_of, overlay
from ganime.decide import (
    Judged,
    decide,
    digest,
    doubles,
    kept_images,
    summary,
    tallies,
    to_table,
)
from ganime.errors import ConfigError
from ganime.filters import FILTERS, Filter
from ganime.filters.aspect import Aspect
from ganime.filters.background import Background
from ganime.filters.classified import Classified
from ganime.filters.decodable import Decodable
from ganime.filters.duplicate import DuplicateOf
from ganime.filters.min_side import MinSide
from ganime.filters.tags import Tags
from ganime.gather import gather
from ganime.rows import DecisionRow, LabelRow, PostRow
from ganime.store import packing, rule_settings
from ganime.store.card import Story, card
from ganime.store.lineage import CrawledImages, point_to_latest
from ganime.store.lookup import refresh_all
from ganime.store.manifest import Provenance, Table
from ganime.store.packing import Members, VocabularyConfig, split_of, vocabulary
from ganime.store.pixels import CARD
from ganime.store.rule_settings import RuleSetting
from ganime.store.workspace import Workspace

REVISION = 2
log = logging.getLogger(__name__)


class CurateConfig(Config):
    """Which images make the dataset."""

    name: str = Field(
        "characters", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the dataset."
    )
    rules: tuple[FILTERS.field(), ...] = Field(  # type: ignore[valid-type]
        (
            Decodable(),
            Tags(),
            MinSide(),
            Aspect(),
            Background(),
            Classified(ask="multiple"),
            Classified(ask="chibi"),
            Classified(ask="viewpoint"),
            DuplicateOf(),
        ),
        description="In this order; the first that drops an image is its status.",
    )
    resolution: int = Field(
        64, ge=32, le=512, description="Side of the training images [px], a power of two."
    )
    holdout: float = Field(
        0.05, ge=0, lt=0.5, description="Share of the images kept out of training."
    )
    vocabulary: VocabularyConfig = VocabularyConfig()


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """One dataset version, as tasks hand it on."""

    name: str
    version: str
    num_images: int

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def run(
    workspace: Workspace,
    config: CurateConfig,
    *,
    images: CrawledImages,
    classifiers: Mapping[str, tuple[str, float]],
    labels: Sequence[LabelRow],
    pad_scope: str,
    crawl_ids: Sequence[str],
    run_id: str,
) -> DatasetRef:
    """Decide on every image and pack those that stay.

    Args:
        workspace: Where.
        config: The rules; settings that people saved for this dataset stand in their place.
        images: What the crawls brought.
        classifiers: By question, the classifier's id and its own threshold.
        labels: People's current answers.
        pad_scope: Which padded pixels to pack.
        crawl_ids: The crawls that brought them.
        run_id: Of this run.

    Returns:
        The dataset version: the same facts, labels and rules give the same version.

    Raises:
        ConfigError: no image is left, or the padded pixels are smaller than the resolution.
    """
    config, settings = obey(workspace, config)
    inputs = Inputs(images, classifiers, pad_scope, crawl_ids, settings)
    judged = judge(workspace, config, inputs, labels)
    return pack(workspace, config, inputs, judged, run_id)


def obey(workspace: Workspace, config: CurateConfig) -> tuple[CurateConfig, list[RuleSetting]]:
    """The settings with what people saved for the dataset, and what of that was obeyed.

    A saved setting of a rule that these settings lack, or that it no longer takes, is passed over
    with a warning: the rules of a dataset may change after somebody looked at them.
    """
    obeyed = []
    for setting in rule_settings.current(workspace, config.name):
        before = {rule.rule: rule.model_dump(mode="json") for rule in config.rules}
        try:
            changes = {setting.rule: {setting.option: setting.number}}
            config = with_changes(config, changes)
        except ConfigError as error:
            log.warning("curate: %s, which cannot be obeyed: %s", setting.told(), error)
            continue
        instead_of = before[setting.rule][setting.option]
        obeyed.append(setting.model_copy(update={"instead_of": instead_of}))
        log.info("curate: %s: %s", setting.rule, setting.told())
    return config, obeyed


def with_changes(config: CurateConfig, changes: Mapping[str, Mapping[str, Any]]) -> CurateConfig:
    """The settings with other options of single rules.

    Raises:
        ConfigError: no such rule, or a wrong option.
    """
    rules: Sequence[Filter] = config.rules
    known = [rule.rule for rule in rules]
    for name in changes:
        if name not in known:
            raise ConfigError(f"no rule is called {name!r}; this dataset has {', '.join(known)}")
    plain = config.model_dump(mode="json")
    plain["rules"] = [
        _changed(rule.rule, overlay(settings, changes.get(rule.rule, {})))
        for rule, settings in zip(rules, plain["rules"], strict=True)
    ]
    return CurateConfig.parse(plain)


def _changed(rule: str, settings: Mapping[str, Any]) -> Filter:
    try:
        changed: Filter = FILTERS.build(settings)
    except ValueError as error:
        raise ConfigError(f"{rule}: {error}") from error
    return changed


@dataclass(frozen=True)
class Inputs:
    """What a dataset is made from.

    Attributes:
        images: What the crawls brought.
        classifiers: By question, the classifier's id and its own threshold.
        pad_scope: Which padded pixels to pack.
        crawl_ids: The crawls.
        settings: What people saved and the rules obey.
    """

    images: CrawledImages
    classifiers: Mapping[str, tuple[str, float]]
    pad_scope: str
    crawl_ids: Sequence[str]
    settings: Sequence[RuleSetting] = ()


def judge(
    workspace: Workspace, config: CurateConfig, inputs: Inputs, labels: Sequence[LabelRow]
) -> list[Judged]:
    """The first half of `run`: decide on every image, in the order of `inputs.images`."""
    facts = gather(workspace, inputs.images, config.rules, inputs.classifiers, inputs.pad_scope)
    judged = decide(facts, config.rules, labels)
    log.info("curate: %s", summary(judged))
    return judged


def pack(
    workspace: Workspace,
    config: CurateConfig,
    inputs: Inputs,
    judged: Sequence[Judged],
    run_id: str,
) -> DatasetRef:
    """The second half of `run`: write the decisions down, and the images that stay."""
    kept = _members(config, inputs.images, judged)
    version = _version(config, kept, judged, inputs)
    reference = DatasetRef(config.name, version, len(kept.ids))
    folder = f"datasets/{reference}"
    if workspace.exists(f"{folder}/{CARD}"):
        point_to_latest(workspace, config.name, reference.version)
        return reference
    provenance = Provenance(
        stage="curate",
        revision=REVISION,
        config=config,
        run_id=run_id,
        parents=_parents(workspace, inputs),
    )
    decisions = to_table(inputs.images.ids, judged)
    Table(workspace, DecisionRow, root=folder).write("decisions", decisions, provenance)
    point_to_latest(workspace, config.name, reference.version)
    if not len(kept.ids):
        raise ConfigError(
            f"curate: no image is left, {summary(judged)}: loosen the rule that dropped most "
            "with --set, or crawl more"
        )
    words = vocabulary(kept.tags, inputs.images.special, config.vocabulary)
    packing.pack(workspace, folder, kept, words, inputs.pad_scope, config.resolution, provenance)
    refresh_all(workspace)  # so that a question about an image finds it at once
    # The card comes last: a version with a card is complete.
    told = Story(
        reference=str(reference),
        revision=REVISION,
        config=config,
        tallies=tallies(judged),
        crawl_ids=inputs.crawl_ids,
        pad_scope=inputs.pad_scope,
        classifiers=inputs.classifiers,
        num_images=len(inputs.images),
        doubles=list(doubles(judged).values()),
        settings=inputs.settings,
    )
    workspace.write_text(f"{folder}/{CARD}", card(workspace, told, kept))
    return reference


def _parents(workspace: Workspace, inputs: Inputs) -> dict[str, str]:
    posts = {
        f"posts/{scope}": Table(workspace, PostRow, scope).digest() for scope in inputs.crawl_ids
    }
    scores = {f"scores/{question}": found for question, (found, _) in inputs.classifiers.items()}
    people = rule_settings.as_parents(inputs.settings)
    return {**posts, **scores, "padded": inputs.pad_scope, **people}


def _members(config: CurateConfig, images: CrawledImages, judged: Sequence[Judged]) -> Members:
    """The images that stay, each with the tags and posts of the duplicates it stands for."""
    places = np.flatnonzero(kept_images(judged))
    splits = [
        split_of(image_id, config.holdout)
        for image_id in images.ids.take(pa.array(places)).to_pylist()
    ]
    order = np.argsort([split == "holdout" for split in splits], kind="stable")
    ids = images.ids.take(pa.array(places[order]))
    groups = np.full(len(images), -1, np.int64)  # the member that each image becomes part of
    groups[places[order]] = np.arange(len(ids))
    best = doubles(judged)
    found = pc.index_in(pa.array(best.values(), pa.string()), value_set=ids)
    groups[list(best)] = np.asarray(pc.fill_null(found, -1))
    posts = images.posts.take(pa.array(np.flatnonzero(groups >= 0))).flatten()
    sources = pc.list_element(pc.split_pattern(posts, "/", max_splits=1), 0).value_counts()
    return Members(
        ids,
        [splits[i] for i in order],
        images.tags.united(groups, len(ids)),
        Counter({item["values"]: item["counts"] for item in sources.to_pylist()}),
    )


def _version(config: CurateConfig, kept: Members, judged: Sequence[Judged], inputs: Inputs) -> str:
    members = hashlib.sha256()
    for column in (pa.array(kept.tags.words, pa.string()), kept.ids):
        members.update("\n".join(column.to_pylist()).encode())
    for numbers in (kept.tags.codes, kept.tags.starts):
        members.update(numbers.tobytes())
    parts = (config.canonical(), inputs.pad_scope, digest(judged), members.hexdigest())
    # Who set a threshold stands in the version's footer: another person's is another version.
    people = (one.model_dump_json() for one in inputs.settings)
    return digest_of(str(REVISION), *parts, *people)
