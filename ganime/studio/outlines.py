"""What a snapshot says of its generator before its weights are read; needs no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safetensors import SafetensorError, safe_open

from ganime.errors import WeightsError
from ganime.lite.package import METADATA, PREFIX
from ganime.store.workspace import Workspace
from ganime.training.keys import snapshot_key

_AVERAGE = f"{PREFIX}average_style"  # which every generator with styles has (1812.04948, B)
_FIRST_BITS = 2  # log2 of the first maps' side, 4 px


@dataclass(frozen=True, slots=True)
class Outline:
    """What a generator is besides its weights.

    Attributes:
        recipe: Name of the recipe.
        resolution: R [px].
        tag_names: What it can be asked for.
        num_styles: L; 0 without styles.
        code_length: W or Z.
        num_principal: Directions that can be found without labels, at most.
    """

    recipe: str
    resolution: int
    tag_names: tuple[str, ...]
    num_styles: int
    code_length: int
    num_principal: int


def outline(workspace: Workspace, model_id: str, nimg: int) -> Outline:
    """Read the head of a snapshot.

    Raises:
        WeightsError: the file is damaged.
    """
    path = workspace.local_path(snapshot_key(model_id, nimg))
    try:
        with safe_open(str(path), "np") as file:
            origin = json.loads((file.metadata() or {})[METADATA])
            names = set(file.keys())
            style = file.get_slice(_AVERAGE).get_shape()[0] if _AVERAGE in names else None
        return _outline(origin, style)
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise WeightsError(
            f"{path} is no generator that this ganime can use ({error}): delete it and train again"
        ) from error


def _outline(origin: Mapping[str, Any], style: int | None) -> Outline:
    """Of a snapshot's metadata and the length of its styles, None without any."""
    resolution = int(origin["resolution"])
    # Two styles for each side of the maps from 4 px on: one per layer, and the last colours'.
    styles = 0 if style is None else 2 * (resolution.bit_length() - _FIRST_BITS)
    code_length = int(origin["recipe"]["latent"]) if style is None else style
    return Outline(
        recipe=str(origin["recipe"]["name"]),
        resolution=resolution,
        tag_names=tuple(map(str, origin["tags"])),
        num_styles=styles,
        code_length=code_length,
        num_principal=code_length,
    )
