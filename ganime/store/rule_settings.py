"""Settings of single rules that people saved for a dataset: who, when, why; obeyed until undone.

One file per event, `settings/<dataset>/<time>-<name>.json`, written once and never changed: two
people who save at once lose nothing, on a disk as on an object store, and the history is whole.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, ValidationError

from ganime.config import Config
from ganime.errors import ConfigError, ManifestError
from ganime.store.workspace import Workspace

_PARENT = "settings/"  # how a dataset version's footer names them


class RuleSetting(Config):
    """One option of one rule, as a person saved it."""

    rule: str = Field(min_length=1, max_length=60, description="Name of the rule.")
    option: str = Field(min_length=1, max_length=60, description="Which of its options.")
    value: float = Field(allow_inf_nan=False, description="What it is from then on.")
    by: str = Field(min_length=1, max_length=60, description="Who.")
    at: datetime = Field(description="When, in UTC.")
    note: str = Field("", max_length=500, description="Why.")
    instead_of: float | None = Field(
        None, description="What the settings of a run said; null where no run has obeyed yet."
    )

    @property
    def number(self) -> float | int:
        """The value as people write it: a whole number without a point."""
        return int(self.value) if self.value.is_integer() else self.value

    def told(self) -> str:
        """Who set it, when and why."""
        note = f": {self.note}" if self.note else ""
        return f"{self.by} set {self.option} to {self.number:g} on {self.at:%Y-%m-%d}{note}"


class _Event(Config):
    """A file: something saved, or by whom the last of an option was undone."""

    setting: RuleSetting
    undone: bool = False


def save(
    workspace: Workspace,
    dataset: str,
    *,
    rule: str,
    option: str,
    value: float,
    by: str,
    note: str = "",
) -> RuleSetting:
    """Write a setting down; every later decision about the dataset obeys it.

    Args:
        workspace: Where.
        dataset: Name of the dataset, without a version.
        rule: Name of the rule.
        option: Which of its options.
        value: What it is from now on; checked by who knows the rule.
        by: Who says so.
        note: Why.

    Raises:
        ConfigError: the value is no number, or a name is empty or too long.
    """
    setting = RuleSetting.parse(
        {
            "rule": rule,
            "option": option,
            "value": value,
            "by": by,
            "at": datetime.now(UTC).isoformat(),
            "note": note,
        }
    )
    _write(workspace, dataset, _Event(setting=setting))
    return setting


def undo(workspace: Workspace, dataset: str, *, rule: str, by: str) -> RuleSetting:
    """Take the last setting of a rule back: the one before stands again, or what the run says.

    Returns:
        What was taken back.

    Raises:
        ConfigError: nothing is set.
    """
    found = [one for one in current(workspace, dataset) if one.rule == rule]
    if not found:
        raise ConfigError(f"no setting of {rule!r} is saved for {dataset}, so none can be undone")
    last = max(found, key=lambda one: one.at)
    now = last.model_copy(update={"by": by, "at": datetime.now(UTC)})
    _write(workspace, dataset, _Event(setting=now, undone=True))
    return last


def current(workspace: Workspace, dataset: str) -> list[RuleSetting]:
    """What holds now, one for each option that somebody set, by rule and option.

    Raises:
        ManifestError: a file is not what this module writes.
    """
    stacks: dict[tuple[str, str], list[RuleSetting]] = {}
    for event in _events(workspace, dataset):
        stack = stacks.setdefault((event.setting.rule, event.setting.option), [])
        if not event.undone:
            stack.append(event.setting)
        elif stack:  # else two people undid the same one
            stack.pop()
    return [stack[-1] for _, stack in sorted(stacks.items()) if stack]


def as_parents(settings: Sequence[RuleSetting]) -> dict[str, str]:
    """What a dataset version made under these settings says in its footer."""
    return {f"{_PARENT}{one.rule}.{one.option}": one.model_dump_json() for one in settings}


def of_parents(parents: Mapping[str, Any]) -> list[RuleSetting]:
    """The settings that a dataset version was made under, from its footer's parents."""
    return [
        RuleSetting.model_validate_json(text)
        for name, text in parents.items()
        if name.startswith(_PARENT)
    ]


def _write(workspace: Workspace, dataset: str, event: _Event) -> None:
    # Keys sort by time; the rest of the name keeps two events of one microsecond apart.
    name = f"{event.setting.at:%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:8]}"
    workspace.write_text(f"settings/{dataset}/{name}.json", event.model_dump_json(indent=1))


def _events(workspace: Workspace, dataset: str) -> list[_Event]:
    found = []
    for key in workspace.list(f"settings/{dataset}", ".json"):
        try:
            found.append(_Event.model_validate(json.loads(workspace.read_bytes(key))))
        except (ValueError, ValidationError) as error:
            raise ManifestError(
                f"{workspace.describe(key)} is no saved setting of a rule: remove it, and save the "
                "setting again"
            ) from error
    return found
