"""How far a dataset has grown since a generator was last trained anew on it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import Field, ValidationError

from ganime.config import Config
from ganime.errors import ManifestError
from ganime.promotion import history
from ganime.rows import MemberRow
from ganime.store.labels import LabelLog
from ganime.store.lineage import models
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace


class Retrained(Config):
    """What the last retraining on a dataset knew."""

    version: str = Field(min_length=1, description="The dataset's version.")
    last_label: int = Field(ge=0, description="Id of the last label of that moment; 0 for none.")
    at: datetime = Field(description="When it began, in UTC.")
    run_id: str = Field(description="The run.")


@dataclass(frozen=True, slots=True)
class Growth:
    """What came since.

    Attributes:
        since: Version that is counted from; empty where no generator learned from the dataset yet.
        added: Images that were not in it.
        labels: Answers that people gave since.
    """

    since: str
    added: int
    labels: int


def key(dataset: str) -> str:
    """Where it is noted what the last retraining on a dataset knew."""
    return f"datasets/{dataset}/retrained.json"


def note_retraining(workspace: Workspace, dataset: str, version: str, run_id: str) -> None:
    """Note what a retraining begins with, so that growth is counted from there.

    At its beginning, since images that one training fails on are no reason for the next.

    Args:
        workspace: Where.
        dataset: Name of the dataset.
        version: Its version.
        run_id: The run.
    """
    events = LabelLog(workspace).events()
    last = max((event.label_id for event in events), default=0)
    now = datetime.now(UTC)
    noted = Retrained(version=version, last_label=last, at=now, run_id=run_id)
    workspace.write_text(key(dataset), noted.model_dump_json(indent=2))


def growth(workspace: Workspace, dataset: str, version: str) -> Growth:
    """Count what a version has beyond the last retraining's, or else the current model's.

    Args:
        workspace: Where.
        dataset: Name of the dataset.
        version: The version to look at.

    Raises:
        ManifestError: the note of the last retraining is damaged.
    """
    events = LabelLog(workspace).events()
    if (noted := _noted(workspace, dataset)) is not None:
        since, labels = noted.version, sum(event.label_id > noted.last_label for event in events)
    elif (found := _of_current_model(workspace, dataset)) is not None:
        since, labels = found[0], sum(event.at > found[1] for event in events)
    else:
        since, labels = "", len(events)
    before = _members(workspace, dataset, since) if since else set()
    return Growth(since, len(_members(workspace, dataset, version) - before), labels)


def _noted(workspace: Workspace, dataset: str) -> Retrained | None:
    if not workspace.exists(key(dataset)):
        return None
    try:
        return Retrained.model_validate_json(workspace.read_bytes(key(dataset)))
    except ValidationError as error:
        raise ManifestError(
            f"{workspace.describe(key(dataset))} is damaged: remove it, and growth is counted from "
            "the current model's dataset"
        ) from error


def _of_current_model(workspace: Workspace, dataset: str) -> tuple[str, datetime] | None:
    """Version that the current model learned from, and when it became current."""
    entries = history(workspace)
    if not entries:
        return None
    settings = models(workspace).get(entries[-1].model, {})
    name, _, version = str(settings.get("dataset_version", "")).partition("/")
    return (version, entries[-1].at) if name == dataset and version else None


def _members(workspace: Workspace, dataset: str, version: str) -> set[str]:
    return set(Table(workspace, MemberRow, root=f"datasets/{dataset}/{version}").column("image_id"))
