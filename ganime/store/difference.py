"""What changed from one dataset version to another, and why."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ganime.errors import ManifestError
from ganime.rows import DecisionRow, MemberRow
from ganime.store.manifest import Table, read_footer
from ganime.store.workspace import Workspace

Verdict = tuple[str, str]  # of one rule on one image: the verdict and who decided


@dataclass(frozen=True, slots=True)
class Difference:
    """Two dataset versions compared.

    Attributes:
        before: Images in the first version.
        after: Images in the second.
        added: Ids of images only in the second, by reason.
        removed: Ids of images only in the first, by reason.
        settings: Lines of settings that differ; `-` was, `+` is.
    """

    before: int
    after: int
    added: Mapping[str, Sequence[str]]
    removed: Mapping[str, Sequence[str]]
    settings: Sequence[str]

    def lines(self) -> list[str]:
        """For people to read."""
        lines = [f"{self.before} -> {self.after} images"]
        for sign, groups in (("+", self.added), ("-", self.removed)):
            for reason, ids in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
                lines.append(f"{sign}{len(ids)} {reason}, for example {ids[0][:12]}")
        return [*lines, *(f"setting {line}" for line in self.settings)]


def difference(workspace: Workspace, before: str, after: str) -> Difference:
    """Compare two dataset versions, each given as `name/version`.

    Raises:
        ManifestError: there is no such version, or it is not complete.
    """
    old, new = (_members(workspace, version) for version in (before, after))
    changed = sorted(old ^ new)
    was, now = (_decisions(workspace, version, changed) for version in (before, after))
    added: dict[str, list[str]] = {}
    removed: dict[str, list[str]] = {}
    for image_id in changed:
        first, second = was.get(image_id, {}), now.get(image_id, {})
        if image_id in new:
            added.setdefault(_why_added(first, second), []).append(image_id)
        else:
            removed.setdefault(_why_removed(second), []).append(image_id)
    return Difference(len(old), len(new), added, removed, _settings(workspace, before, after))


def _members(workspace: Workspace, version: str) -> set[str]:
    ids = set(Table(workspace, MemberRow, root=f"datasets/{version}").column("image_id"))
    if not ids:
        raise ManifestError(
            f"{workspace.describe(f'datasets/{version}')} holds no dataset: give name/version of "
            "one that curate finished"
        )
    return ids


def _decisions(
    workspace: Workspace, version: str, image_ids: Sequence[str]
) -> dict[str, dict[str, Verdict]]:
    """By image, its rules in order: columns are filtered first, few rows become objects."""
    columns = ["image_id", "rule", "order", "verdict", "decided_by"]
    table = Table(workspace, DecisionRow, root=f"datasets/{version}").read(columns)
    ours = table.filter(pc.is_in(table["image_id"], pa.array(image_ids, pa.string())))
    found: dict[str, dict[str, Verdict]] = {}
    for row in ours.sort_by("order").to_pylist():
        verdict = (row["verdict"], row["decided_by"])
        found.setdefault(row["image_id"], {})[row["rule"]] = verdict
    return found


def _why_added(was: Mapping[str, Verdict], now: Mapping[str, Verdict]) -> str:
    if not was:
        return "newly crawled"
    rule = next((rule for rule, (verdict, _) in was.items() if verdict == "drop"), None)
    if rule is None:
        return "was kept but not packed"
    if now.get(rule, ("", ""))[1] == "person":
        return f"a person keeps what {rule} dropped"
    return f"no longer dropped by {rule}"


def _why_removed(now: Mapping[str, Verdict]) -> str:
    if not now:
        return "not in these crawls"
    for rule, (verdict, by) in now.items():
        if verdict == "drop":
            return f"dropped by a person ({rule})" if by == "person" else f"now dropped by {rule}"
    return "kept but not packed"


def _settings(workspace: Workspace, before: str, after: str) -> list[str]:
    was, now = (_config(workspace, version) for version in (before, after))
    gone = [f"- {line}" for line in was if line not in now]
    came = [f"+ {line}" for line in now if line not in was]
    return gone + came or (["the order of the rules"] if was != now else [])


def _config(workspace: Workspace, version: str) -> list[str]:
    key = f"datasets/{version}/decisions/decisions.parquet"
    config: dict[str, Any] = dict(read_footer(workspace, key)["config"])
    rules = [f"rule {json.dumps(rule, sort_keys=True)}" for rule in config.pop("rules", [])]
    return [f"{name} = {json.dumps(value)}" for name, value in sorted(config.items())] + rules
