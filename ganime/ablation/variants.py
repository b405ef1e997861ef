"""Variants of a dataset: the same facts decided by other rules, without touching a pixel."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from ganime.config import Config, parse_sets
from ganime.decide import Judged, kept_images, summary
from ganime.errors import ConfigError
from ganime.filters import Filter
from ganime.filters.decodable import Decodable
from ganime.recurate import classifiers_of
from ganime.rows import LabelRow
from ganime.stages import curate
from ganime.stages.curate import CurateConfig, DatasetRef, Inputs, with_changes
from ganime.store.difference import difference
from ganime.store.lineage import crawled_images, crawls_of, mark_variant
from ganime.store.manifest import read_footer
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace

BASE = "base"  # what the dataset as it is goes by
OFF = "off"
_NO_LETTER = re.compile(r"[^a-z0-9]+")


class Variant(Config):
    """Other rules, under a name."""

    name: str = Field(min_length=1, max_length=60, description="What tables and pages call it.")
    settings: tuple[str, ...] = Field(
        min_length=1,
        description="curate.rules=[…], RULE.OPTION=VALUE or RULE=off, each for one rule.",
    )

    @property
    def label(self) -> str:
        """The name as part of a dataset's name: `chibi.threshold=0.7` is `chibi-threshold-0-7`."""
        return _NO_LETTER.sub("-", self.name.lower()).strip("-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of the datasets that are trained on.

    Attributes:
        name: `base`, or the variant's.
        settings: What it changes; nothing for the base.
        dataset: name/version; empty where it was only planned.
        summary: In, kept and dropped, in one line.
        num_images: Images in it.
        changes: What it has and lacks beside the base, for people to read.
    """

    name: str
    settings: tuple[str, ...]
    dataset: str
    summary: str
    num_images: int
    changes: tuple[str, ...] = ()


def read_variant(text: str) -> Variant:
    """A variant as the command line has it: `NAME: SETTING; SETTING`, or settings alone.

    Args:
        text: For example `no-filters: curate.rules=[]` or `chibi.threshold=0.7; cut_off=off`.

    Raises:
        ConfigError: it changes nothing.
    """
    before, _, _ = text.partition("=")
    name, colon, rest = text.partition(":") if ":" in before else ("", "", text)
    settings = tuple(part.strip() for part in rest.split(";") if part.strip())
    if not settings or (colon and not name.strip()):
        raise ConfigError(
            f"--variant {text!r}: wanted NAME: SETTING; SETTING, for example "
            "'no-filters: curate.rules=[]' or 'chibi.threshold=0.7'"
        )
    return Variant.parse({"name": name.strip() or "; ".join(settings), "settings": settings})


def settings_of(base: CurateConfig, variant: Variant) -> CurateConfig:
    """The base's settings with the variant's rules, under a name of their own.

    Files that do not decode have no pixels, so `decodable` stays first whatever the variant says.

    Raises:
        ConfigError: no such rule or option, or a setting that decides more than which images.
    """
    changes = parse_sets(variant.settings)
    whole = changes.pop("curate", {})
    if not isinstance(whole, Mapping) or set(whole) - {"rules"}:
        raise ConfigError(
            f"variant {variant.name!r} sets {', '.join(variant.settings)}: of curate only rules "
            "may differ, since models compare only at one resolution and one split"
        )
    plain = base.model_dump(mode="json")
    plain["name"] = f"{base.name}-{variant.label}"
    plain["rules"] = whole.get("rules", plain["rules"])
    config = _without(CurateConfig.parse(plain), [name for name in changes if changes[name] == OFF])
    changed = with_changes(config, _options(variant, changes))
    return _with_decodable(changed)


def _options(variant: Variant, changes: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    options = {rule: given for rule, given in changes.items() if given != OFF}
    for rule, given in options.items():
        if not isinstance(given, Mapping):
            raise ConfigError(
                f"variant {variant.name!r}: {rule}={given} is no setting; wanted RULE.OPTION=VALUE "
                "or RULE=off"
            )
    return options


def _without(config: CurateConfig, names: Sequence[str]) -> CurateConfig:
    rules: Sequence[Filter] = config.rules
    with_changes(config, {name: {} for name in names})  # says which of them is no rule
    return config.model_copy(update={"rules": tuple(r for r in rules if r.rule not in names)})


def _with_decodable(config: CurateConfig) -> CurateConfig:
    rules: Sequence[Filter] = config.rules
    if any(isinstance(rule, Decodable) for rule in rules):
        return config
    return config.model_copy(update={"rules": (Decodable(), *rules)})


def decide_arms(
    workspace: Workspace,
    base: DatasetRef,
    variants: Sequence[Variant],
    *,
    labels: Sequence[LabelRow],
    run_id: str,
    write: bool = True,
) -> list[Arm]:
    """The base, and each variant decided from the facts that are there.

    Args:
        workspace: Where.
        base: The dataset version that the variants are of.
        variants: Each becomes a dataset of its own, `<name>-<variant>`.
        labels: People's current answers.
        run_id: Of this run.
        write: Whether to make the datasets; otherwise they are only planned.

    Returns:
        The base first, then the variants in order.

    Raises:
        ConfigError: a wrong setting; the base would be decided otherwise today; or a variant keeps
            what the base keeps.
    """
    footer = read_footer(workspace, f"datasets/{base}/decisions/decisions.parquet")
    asked = CurateConfig.parse(footer["config"])
    configs = [settings_of(asked, variant) for variant in variants]
    crawl_ids = crawls_of(workspace, base.name, base.version)
    images = crawled_images(workspace, crawl_ids)
    inputs = Inputs(images, classifiers_of(workspace, base), footer["parents"]["padded"], crawl_ids)
    judged = curate.judge(workspace, asked, inputs, labels)
    ours = _kept(inputs, judged)
    _check_unmoved(workspace, base, ours)
    num_kept = len(ours)
    arms = [
        Arm(name=BASE, settings=(), dataset=str(base), summary=summary(judged), num_images=num_kept)
    ]
    for variant, config in zip(variants, configs, strict=True):
        judged = curate.judge(workspace, config, inputs, labels)
        kept = _kept(inputs, judged)
        if kept == ours:
            raise ConfigError(
                f"variant {variant.name!r} keeps the same {num_kept} images as {base}, so that "
                "both would train the same model: leave it out or change more"
            )
        arms.append(_arm(workspace, base, variant, config, inputs, judged, run_id, write=write))
    return arms


def _arm(
    workspace: Workspace,
    base: DatasetRef,
    variant: Variant,
    config: CurateConfig,
    inputs: Inputs,
    judged: Sequence[Judged],
    run_id: str,
    *,
    write: bool,
) -> Arm:
    made = None
    if write:
        mark_variant(workspace, config.name, str(base))
        made = curate.pack(workspace, config, inputs, judged, run_id)
    return Arm(
        name=variant.name,
        settings=variant.settings,
        dataset=str(made or ""),
        summary=summary(judged),
        num_images=int(kept_images(judged).sum()),
        changes=tuple(difference(workspace, str(base), str(made)).lines()) if made else (),
    )


def _kept(inputs: Inputs, judged: Sequence[Judged]) -> set[str]:
    places = pa.array(np.flatnonzero(kept_images(judged)))
    return set(inputs.images.ids.take(places).to_pylist())


def _check_unmoved(workspace: Workspace, base: DatasetRef, kept: set[str]) -> None:
    """Variants obey today's labels: the base must, too, or two things would differ at once."""
    members = {row.image_id for row in Dataset(workspace, base.name, base.version).members}
    if members != kept:
        raise ConfigError(
            f"{base} has {len(members)} images, of which {len(members - kept)} would go and beside "
            f"which {len(kept - members)} would come if it were decided today: labels or rules "
            f"have changed since; run `ganime curate {base.name}` and ablate the new version"
        )
