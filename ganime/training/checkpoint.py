"""Checkpoints: the whole state of a run, to resume; the last few are kept."""

import hashlib
import io
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ganime.errors import StoreError
from ganime.store.workspace import Workspace

log = logging.getLogger(__name__)
_NAME = re.compile(r"/checkpoints/(\d{9})\.pt$")
_DIGEST_BYTES = hashlib.sha256().digest_size


def checkpoint_key(model_id: str, nimg: int) -> str:
    """Where a checkpoint lies."""
    return f"models/{model_id}/checkpoints/{nimg:09d}.pt"


def checkpoints(workspace: Workspace, model_id: str) -> list[int]:
    """Images shown at each checkpoint, ascending."""
    keys = workspace.list(f"models/{model_id}/checkpoints", ".pt")
    return [int(found[1]) for key in keys if (found := _NAME.search(key))]


def save_checkpoint(
    workspace: Workspace, model_id: str, nimg: int, state: Mapping[str, Any], *, keep: int
) -> None:
    """Write a state, whole or not at all, and forget all but the last ones.

    Args:
        workspace: Where.
        model_id: Of which model.
        nimg: Real images shown.
        state: Tensors, numbers, strings, lists and dicts.
        keep: How many to keep, this one included.
    """
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    content = buffer.getvalue()
    # torch.load checks no checksum, so a digest follows; load_checkpoint strips it again.
    digest = hashlib.sha256(content).digest()
    with workspace.writing(checkpoint_key(model_id, nimg)) as path, path.open("wb") as file:
        file.write(content)
        file.write(digest)
    for old in checkpoints(workspace, model_id)[:-keep]:
        workspace.remove(checkpoint_key(model_id, old))


def load_checkpoint(workspace: Workspace, model_id: str, nimg: int) -> dict[str, Any]:
    """Read a state back.

    Raises:
        StoreError: it is missing or damaged.
    """
    key = checkpoint_key(model_id, nimg)
    content = memoryview(workspace.read_bytes(key))
    content, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise StoreError(f"{workspace.describe(key)} is damaged: its digest does not match")
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def resume(
    workspace: Workspace, model_id: str, load: Callable[[Mapping[str, Any]], None]
) -> int | None:
    """Go on from the last checkpoint that is whole.

    Args:
        workspace: Where.
        model_id: Of which model.
        load: Takes the state in.

    Returns:
        Images shown at that checkpoint; None where there is none, and training starts anew.
    """
    for nimg in reversed(checkpoints(workspace, model_id)):
        try:
            state = load_checkpoint(workspace, model_id, nimg)
        except StoreError as error:
            log.warning("train: %s; trying the checkpoint before", error)
            workspace.remove(checkpoint_key(model_id, nimg))
            continue
        load(state)
        return nimg
    return None
