"""Where the files of a model lie in a workspace; needs no torch, so that listings start quickly."""

import re
from datetime import datetime

from ganime.store.workspace import Workspace

_NAME = re.compile(r"/snapshots/(\d{9})\.safetensors$")


def snapshot_key(model_id: str, nimg: int) -> str:
    """Where a snapshot lies."""
    return f"models/{model_id}/snapshots/{nimg:09d}.safetensors"


def snapshots(workspace: Workspace, model_id: str) -> list[int]:
    """Images shown at each snapshot, ascending."""
    keys = workspace.list(f"models/{model_id}/snapshots", ".safetensors")
    return [int(found[1]) for key in keys if (found := _NAME.search(key))]


def grid_key(model_id: str, nimg: int) -> str:
    """Where the sample grid of a snapshot lies."""
    return f"models/{model_id}/samples/{nimg:09d}.png"


def config_key(model_id: str) -> str:
    """Where a model's settings lie, and what it was trained on."""
    return f"models/{model_id}/config.json"


def finished_key(model_id: str) -> str:
    """What exists once a model is finished."""
    return f"models/{model_id}/finished.json"


def trained_at(workspace: Workspace, model_id: str) -> datetime:
    """When a model's training ended, or began if it has not; UTC."""
    ended = finished_key(model_id)
    return workspace.modified(ended if workspace.exists(ended) else config_key(model_id))
