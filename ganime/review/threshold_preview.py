"""What another threshold of one rule would change, told from columns alone; and saving it."""

import numpy as np

from ganime.errors import ConfigError
from ganime.review.answers import Answers
from ganime.review.cache import Scores, Snapshot
from ganime.review.digests import Rows
from ganime.review.items import items
from ganime.review.query import NotThereError, find_scores
from ganime.review.schemas import SavedThreshold, ThresholdPreview, ThresholdsSaved
from ganime.stages.curate import CurateConfig, with_changes
from ganime.store import rule_settings
from ganime.store.manifest import read_footer
from ganime.store.rule_settings import of_parents
from ganime.store.workspace import Workspace

_SHOWN = 12  # images on each side of the line


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


def save(
    workspace: Workspace, snapshot: Snapshot, rule: str, value: float, *, by: str, note: str
) -> ThresholdsSaved:
    """Save a threshold with the workspace: every later decision about the dataset obeys it.

    Raises:
        NotThereError: there is no such rule, or no dataset yet.
        ConfigError: the rule does not take this value.
    """
    threshold = _of_rule(snapshot, rule).threshold
    footer = read_footer(workspace, f"datasets/{snapshot.dataset}/decisions/decisions.parquet")
    config = CurateConfig.parse(footer["config"])
    option, whole = _option(config, rule, threshold)
    value = round(value) if whole else value
    with_changes(config, {rule: {option: value}})  # refuses what the rule does not take
    name = _name(snapshot)
    rule_settings.save(workspace, name, rule=rule, option=option, value=value, by=by, note=note)
    return saved(workspace, snapshot)


def take_back(workspace: Workspace, snapshot: Snapshot, rule: str, *, by: str) -> ThresholdsSaved:
    """Undo the last that was saved of a rule; what was saved before it stands again.

    Raises:
        ConfigError: nothing is saved of it.
    """
    rule_settings.undo(workspace, _name(snapshot), rule=rule, by=by)
    return saved(workspace, snapshot)


def saved(workspace: Workspace, snapshot: Snapshot) -> ThresholdsSaved:
    """What is saved of all rules, and which of it the version under review was made by."""
    if not snapshot.dataset:
        return ThresholdsSaved(settings=[], command="")
    footer = read_footer(workspace, f"datasets/{snapshot.dataset}/decisions/decisions.parquet")
    obeyed = {(one.rule, one.option): one.at for one in of_parents(footer["parents"])}
    settings = [
        SavedThreshold(
            rule=one.rule,
            option=one.option,
            value=one.value,
            by=one.by,
            at=one.at.isoformat(),
            note=one.note,
            is_obeyed=obeyed.get((one.rule, one.option)) == one.at,
        )
        for one in rule_settings.current(workspace, _name(snapshot))
    ]
    return ThresholdsSaved(settings=settings, command=f"ganime curate {_name(snapshot)}")


def _name(snapshot: Snapshot) -> str:
    if not snapshot.dataset:
        raise NotThereError("no dataset was made yet, so there is nothing to set")
    return snapshot.dataset.partition("/")[0]


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
