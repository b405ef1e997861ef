"""Decide anew about a dataset: other thresholds or new labels, without touching a pixel.

Facts and scores were measured once; what is left is a pure function of them, so that a dataset of
many thousand images is decided again in seconds, and one sees which images flip before training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ganime.config import overlay
from ganime.decide import Judged, statuses, summary
from ganime.errors import ConfigError, ManifestError
from ganime.filters import FILTERS, Filter
from ganime.rows import DecisionRow, LabelRow
from ganime.stages import curate
from ganime.stages.curate import CurateConfig, DatasetRef, Inputs
from ganime.store.lineage import crawled_images, crawls_of, datasets, latest
from ganime.store.manifest import Table, read_footer
from ganime.store.workspace import Workspace

_EXAMPLES = 3
KEPT = "kept"


@dataclass(frozen=True)
class Redecision:
    """What a new decision would change, or has changed.

    Attributes:
        before: The dataset version that was decided about.
        after: The new version; None if nothing was written.
        summary: In, kept and dropped now, in one line.
        flips: Image ids by status before and now: `kept`, or the first rule that drops.
    """

    before: DatasetRef
    after: DatasetRef | None
    summary: str
    flips: Mapping[tuple[str, str], Sequence[str]]

    def lines(self) -> list[str]:
        """For people to read."""
        shown = sorted(self.flips.items(), key=lambda item: (-len(item[1]), item[0]))
        lines = [f"{self.before}: {self.summary}"]
        for (was, now), ids in shown:
            examples = ", ".join(image_id[:12] for image_id in ids[:_EXAMPLES])
            lines.append(f"{len(ids):6} {was} -> {now}, for example {examples}")
        if not shown:
            lines.append("nothing flips")
        return [*lines, f"new version: {self.after}" if self.after else "nothing was written"]


def recurate(
    workspace: Workspace,
    dataset: str,
    changes: Mapping[str, Mapping[str, Any]],
    *,
    labels: Sequence[LabelRow],
    run_id: str,
    write: bool = True,
) -> Redecision:
    """Decide again with other settings of single rules, and with today's labels.

    Args:
        workspace: Where.
        dataset: `name/version`, or a name alone for its latest version; empty for the only one.
        changes: New options by rule, for example `{"chibi": {"threshold": 0.7}}`.
        labels: People's current answers.
        run_id: Of this run.
        write: Whether to make the new version; otherwise it is only said what would flip.

    Raises:
        ConfigError: there is no such dataset, rule or option, or no image would be left.
    """
    before = find_dataset(workspace, dataset)
    footer = read_footer(workspace, f"datasets/{before}/decisions/decisions.parquet")
    config = with_changes(CurateConfig.parse(footer["config"]), changes)
    crawl_ids = crawls_of(workspace, before.name, before.version)
    inputs = Inputs(
        crawled_images(workspace, crawl_ids),
        _classifiers(workspace, footer["parents"]),
        footer["parents"]["padded"],
        crawl_ids,
    )
    judged = curate.judge(workspace, config, inputs, labels)
    flips = _flips(workspace, before, inputs.images.ids, judged)
    after = curate.pack(workspace, config, inputs, judged, run_id) if write else None
    return Redecision(before, after, summary(judged), flips)


def find_dataset(workspace: Workspace, reference: str) -> DatasetRef:
    """A dataset version by `name/version`, by name (its latest), or the only one (empty).

    Raises:
        ConfigError: there is none, or more than one; lists them.
    """
    known = datasets(workspace)
    newest = dict(latest(workspace))
    name, _, version = reference.partition("/")
    if not name and len(newest) == 1:
        (name,) = newest
    version = version or newest.get(name, "")
    if (name, version) not in known:
        there = ", ".join(f"{one}/{other}" for one, other in known) or "none yet"
        asked = f"no dataset is {reference!r}" if reference else "which dataset?"
        raise ConfigError(f"{asked}; {workspace.describe()} holds: {there}")
    return DatasetRef(name, version, 0)


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


def _classifiers(workspace: Workspace, parents: Mapping[str, str]) -> dict[str, tuple[str, float]]:
    """Those that the version obeyed, with their own thresholds."""
    # Here, since it brings torch, which takes seconds: who only looks for a dataset does not wait.
    from ganime.classifiers.storage import load_figures

    scored = {
        key.removeprefix("scores/"): value for key, value in parents.items() if "scores/" in key
    }
    return {
        question: (classifier, float(load_figures(workspace, classifier)["threshold"]))
        for question, classifier in scored.items()
    }


def _flips(
    workspace: Workspace,
    before: DatasetRef,
    image_ids: pa.Array,
    judged: Sequence[Judged],
) -> dict[tuple[str, str], list[str]]:
    """Images whose status changes; those that were not decided about before are `new`."""
    was = _statuses_of(workspace, before)
    rules = np.array([KEPT, *(decision.rule for decision in judged)])
    now = rules[statuses(judged) + 1].tolist()
    flips: dict[tuple[str, str], list[str]] = {}
    for image_id, status in zip(image_ids.to_pylist(), now, strict=True):
        earlier = was.get(image_id, "new")
        if earlier != status:
            flips.setdefault((earlier, status), []).append(image_id)
    return flips


def _statuses_of(workspace: Workspace, dataset: DatasetRef) -> dict[str, str]:
    """Status of each image of a version, from its decisions, rule by rule as they were written."""
    table = Table(workspace, DecisionRow, root=f"datasets/{dataset}").read(
        ["image_id", "rule", "order", "verdict"]
    )
    if table.num_rows == 0:
        raise ManifestError(f"{dataset} has no decisions: run the pipeline again")
    orders = np.asarray(table["order"])
    dropped = np.asarray(table["verdict"].to_numpy(zero_copy_only=False) == "drop")
    found = dict.fromkeys(table["image_id"].to_pylist(), KEPT)
    places = np.flatnonzero(dropped)
    # The first rule counts: later ones are put in first, to be overwritten.
    for place in places[np.argsort(-orders[places], kind="stable")].tolist():
        found[table["image_id"][place].as_py()] = table["rule"][place].as_py()
    return found
