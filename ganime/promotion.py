"""Which model of a workspace is the current one, and every change of it: who, when and why."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field, ValidationError

from ganime.config import Config
from ganime.errors import ConfigError, ManifestError
from ganime.store.lineage import models
from ganime.store.workspace import Workspace
from ganime.training.keys import config_key, snapshots

KEY = "models/current.json"


class Promotion(Config):
    """One change of the current model."""

    action: Literal["promote", "rollback"] = Field(description="Forth, or back to the one before.")
    model: str = Field(min_length=1, description="Id of the model that is current from then on.")
    at: datetime = Field(description="When, in UTC.")
    by: str = Field(min_length=1, description="Who: a person or a flow.")
    note: str = Field("", description="Why.")
    comparison: dict[str, Any] | None = Field(
        None, description="What spoke for it against the one before; null where none was compared."
    )


class _Book(Config):
    """The file: the current model's id for people and scripts, and all that led to it."""

    current: str
    history: tuple[Promotion, ...]


def current(workspace: Workspace) -> str | None:
    """Id of the current model; None before the first promotion.

    Raises:
        ManifestError: the file is not what this module writes.
    """
    found = history(workspace)
    return found[-1].model if found else None


def history(workspace: Workspace) -> list[Promotion]:
    """Every promotion and rollback, the first one first.

    Raises:
        ManifestError: the file is not what this module writes.
    """
    if not workspace.exists(KEY):
        return []
    try:
        return list(_Book.model_validate_json(workspace.read_bytes(KEY)).history)
    except ValidationError as error:
        raise ManifestError(
            f"{workspace.describe(KEY)} is damaged: put back an older copy of it, or remove it and "
            "promote a model anew"
        ) from error


def promote(
    workspace: Workspace,
    model: str,
    *,
    by: str,
    note: str = "",
    comparison: Mapping[str, Any] | None = None,
) -> Promotion:
    """Make a model the current one; if it is already, nothing is written.

    Args:
        workspace: Where.
        model: Its whole id.
        by: Who does it: a person or a flow.
        note: Why.
        comparison: What spoke for it against the one before, fit for JSON.

    Returns:
        The entry of the history that made it current.

    Raises:
        ConfigError: there is no such model, or it has no snapshot yet.
    """
    _check(workspace, model)
    with _one_at_a_time(workspace):
        before = history(workspace)
        if before and before[-1].model == model:
            return before[-1]
        entry = Promotion(
            action="promote",
            model=model,
            at=datetime.now(UTC),
            by=by,
            note=note,
            comparison=None if comparison is None else dict(comparison),
        )
        _write(workspace, [*before, entry])
    return entry


def rollback(workspace: Workspace, *, by: str, note: str = "") -> str:
    """Make the model current that was so before; several in a row go back further and further.

    Args:
        workspace: Where.
        by: Who does it.
        note: Why.

    Returns:
        Id of the model that is current now.

    Raises:
        ConfigError: none was current before, or it was deleted since.
    """
    with _one_at_a_time(workspace):
        before = history(workspace)
        standing = _standing(before)
        if len(standing) < 2:
            said = f"{standing[0]} is the first" if standing else "none was ever promoted"
            raise ConfigError(f"no current model to go back to: {said}")
        model = standing[-2]
        _check(workspace, model)
        entry = Promotion(action="rollback", model=model, at=datetime.now(UTC), by=by, note=note)
        _write(workspace, [*before, entry])
    return model


def _standing(entries: list[Promotion]) -> list[str]:
    """Models that a rollback can still reach, the current one last."""
    standing: list[str] = []
    for entry in entries:
        if entry.action == "promote":
            standing.append(entry.model)
        else:
            standing.pop()
    return standing


def _check(workspace: Workspace, model: str) -> None:
    if not model or "/" in model or not workspace.exists(config_key(model)):
        raise ConfigError(
            f"no model is {model!r}; {workspace.describe('models')} holds: "
            f"{', '.join(models(workspace)) or 'none yet'}"
        )
    if not snapshots(workspace, model):
        raise ConfigError(
            f"model {model} has no snapshot yet: train it to its first one before it is promoted"
        )


@contextmanager
def _one_at_a_time(workspace: Workspace) -> Iterator[None]:
    """Read, add, write: nobody else of this machine in between.

    On an object store that two machines promote in at the same moment, the later one's file stays,
    whole; stores offer no lock to take.
    """
    folder = workspace.shared_folder("promotion")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _write(workspace: Workspace, entries: list[Promotion]) -> None:
    book = _Book(current=entries[-1].model, history=tuple(entries))
    workspace.write_text(KEY, book.model_dump_json(indent=2))
