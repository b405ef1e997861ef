"""What another threshold of one rule would change, told from columns alone; and saving it."""

import json
import threading

import numpy as np

from ganime.errors import ConfigError
from ganime.recurate import with_changes
from ganime.review.answers import Answers
from ganime.review.cache import Scores, Snapshot
from ganime.review.digests import Rows
from ganime.review.items import items
from ganime.review.query import NotThereError, find_scores
from ganime.review.schemas import ThresholdPreview, ThresholdSaved
from ganime.stages.curate import CurateConfig
from ganime.store.manifest import read_footer
from ganime.store.workspace import Workspace

_SHOWN = 12  # images on each side of the line
_SAVING = threading.Lock()  # proposals are read, changed and written


def preview(snapshot: Snapshot, answers: Answers, rule: str, value: float) -> ThresholdPreview:
    """How many images flip, and those nearest to the new threshold.

    Args:
        snapshot: All images.
        answers: What people said.
        rule: A rule that holds a score against a threshold.
        value: Its new threshold.

    Raises:
        NotThereError: there is no such rule.
    """
    scores = _of_rule(snapshot, rule)
    decisions = snapshot.groups["decisions"]
    bit = np.uint64(1 << (scores.order or 0))
    drops = decisions["drops"]
    values = scores.values
    new = values > np.float32(value) if scores.above else values < np.float32(value)
    was = (drops & bit) != 0
    # A person's answer stands, and so does the verdict on an image without a score.
    changed = (new != was) & ~np.isnan(values) & ((decisions["people"] & bit) == 0)
    by_others = (drops & ~bit) != 0
    to_drop = np.flatnonzero(changed & new & ~by_others)
    released = changed & was
    to_keep = np.flatnonzero(released & ~by_others)
    return ThresholdPreview(
        rule=rule,
        threshold=scores.threshold,
        value=value,
        drops_above=scores.above,
        num_dropped=len(to_drop),
        num_kept=len(to_keep),
        num_still_dropped=int((released & by_others).sum()),
        dropped=items(snapshot, answers, _nearest(scores, to_drop, value)),
        kept=items(snapshot, answers, _nearest(scores, to_keep, value)),
    )


def save(workspace: Workspace, snapshot: Snapshot, rule: str, value: float) -> ThresholdSaved:
    """Keep a proposal, beside those of other rules; no dataset changes until a run obeys it.

    Raises:
        NotThereError: there is no such rule.
        ConfigError: the rule does not take this value.
    """
    threshold = _of_rule(snapshot, rule).threshold
    footer = read_footer(workspace, f"datasets/{snapshot.dataset}/decisions/decisions.parquet")
    config = CurateConfig.parse(footer["config"])
    option, whole = _option(config, rule, threshold)
    value = round(value) if whole else value
    with_changes(config, {rule: {option: value}})  # refuses what the rule does not take
    name = snapshot.dataset.partition("/")[0]
    key = f"datasets/{name}/proposed_thresholds.json"
    with _SAVING:
        changes = json.loads(workspace.read_bytes(key)) if workspace.exists(key) else {}
        changes[rule] = {option: value}
        workspace.write_text(key, json.dumps(changes, indent=1, sort_keys=True))
    sets = [
        f"--set {one}.{setting}={number:g}"
        for one, settings in sorted(changes.items())
        for setting, number in settings.items()
    ]
    return ThresholdSaved(changes=changes, command=f"ganime curate {name} {' '.join(sets)}")


def _of_rule(snapshot: Snapshot, rule: str) -> Scores:
    scores = find_scores(snapshot, rule)
    if scores.order is None:
        raise NotThereError(f"no rule holds {rule!r} against a threshold yet")
    return scores


def _option(config: CurateConfig, rule: str, threshold: float) -> tuple[str, bool]:
    """The setting of a rule that is its threshold, and whether it takes whole numbers only.

    Raises:
        ConfigError: no setting is.
    """
    for found in config.rules:
        if found.rule == rule:
            settings = found.model_dump(mode="json")
            if "threshold" in settings:
                return "threshold", False
            for name, value in settings.items():
                if isinstance(value, int | float) and float(value) == threshold:
                    return name, isinstance(value, int)
    raise ConfigError(f"no setting of {rule!r} is its threshold {threshold:g}")


def _nearest(scores: Scores, rows: Rows, value: float) -> list[int]:
    distance = np.abs(scores.values[rows] - np.float32(value))
    if len(rows) > _SHOWN:
        best = np.argpartition(distance, _SHOWN)[:_SHOWN]
        rows, distance = rows[best], distance[best]
    nearest: list[int] = rows[np.argsort(distance, kind="stable")].tolist()
    return nearest
