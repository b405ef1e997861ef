"""The directions of a model as a package takes them along, and as they are there afterwards."""

from collections.abc import Mapping

from ganime.errors import ConfigError
from ganime.lite.directions import Carried
from ganime.store.workspace import Workspace
from ganime.studio import directions
from ganime.studio.directions import PRINCIPAL_SCALE, Named
from ganime.studio.models import Models, UnknownModelError


def carried(workspace: Workspace, model_id: str, nimg: int | None = None) -> Mapping[str, Carried]:
    """All that are known of a snapshot: without labels, of tags, and of questions that were sought.

    Args:
        workspace: Where.
        model_id: The model.
        nimg: Which snapshot; None for the last.

    Raises:
        ConfigError: there is no such model or snapshot.
        WeightsError: its file is damaged.
    """
    try:
        opened = Models(workspace).opened(model_id if nimg is None else f"{model_id}@{nimg}")
    except UnknownModelError as error:
        raise ConfigError(str(error)) from error
    found = directions.find(workspace, opened.model_id, opened.nimg, opened.engine)
    steps = {name: Carried(step) for name, step in found.steps.items()}
    if opened.attributes is None:
        return steps
    own, offered = opened.attributes.steps(), opened.attributes.sought().found
    named = {
        one.name: Carried(own[one.name], one.correlation, one.low, one.high) for one in offered
    }
    return {**steps, **named}


def offered(found: Mapping[str, Carried]) -> list[Named]:
    """Those of questions, as a page offers them."""
    return [
        Named(name, "question", PRINCIPAL_SCALE, one.correlation, one.low, one.high)
        for name, one in found.items()
        if one.correlation is not None
    ]
