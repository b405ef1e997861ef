"""What a snapshot says of its generator before its weights are read; needs no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from ganime.errors import WeightsError
from ganime.lite.package import AVERAGE_STYLE, METADATA, TAG_EXAMPLES
from ganime.store.workspace import Workspace
from ganime.studio.directions import MOST_TAGS
from ganime.training.keys import snapshot_key

_FIRST_BITS = 2  # log2 of the first maps' side, 4 px


@dataclass(frozen=True, slots=True)
class Outline:
    """What a generator is besides its weights.

    Attributes:
        recipe: Name of the recipe.
        resolution: R [px].
        tag_names: What it can be asked for.
        tag_shares: Of the training images, how many have each.
        num_styles: L; 0 without styles.
        code_length: W or Z.
        num_principal: Directions that can be found without labels, at most.
    """

    recipe: str
    resolution: int
    tag_names: tuple[str, ...]
    tag_shares: tuple[float, ...]
    num_styles: int
    code_length: int
    num_principal: int

    @property
    def telling_tags(self) -> list[str]:
        """Tags with a slider, those that split the training images most evenly first.

        What all images have or none, the generator never saw go or come.
        """
        shares = zip(self.tag_names[:MOST_TAGS], self.tag_shares, strict=False)
        rarer = {tag: min(share, 1 - share) for tag, share in shares}
        return sorted((tag for tag in rarer if rarer[tag]), key=lambda tag: -rarer[tag])


def shares_of(examples: npt.NDArray[np.uint8]) -> tuple[float, ...]:
    """Share of each tag [T] in tag vectors of training images, uint8 [M, T]."""
    return tuple(examples.mean(axis=0).tolist()) if len(examples) else ()


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
            style = file.get_slice(AVERAGE_STYLE).get_shape()[0] if AVERAGE_STYLE in names else None
            shares = shares_of(file.get_tensor(TAG_EXAMPLES)) if TAG_EXAMPLES in names else ()
        return _outline(origin, style, shares)
    except (SafetensorError, KeyError, ValueError, TypeError, OSError) as error:
        raise WeightsError(
            f"{path} is no generator that this ganime can use ({error}): delete it and train again"
        ) from error


def _outline(origin: Mapping[str, Any], style: int | None, shares: tuple[float, ...]) -> Outline:
    """Of a snapshot's metadata, the length of its styles, None without any, and tags' shares."""
    resolution = int(origin["resolution"])
    # Two styles for each side of the maps from 4 px on: one per layer, and the last colours'.
    styles = 0 if style is None else 2 * (resolution.bit_length() - _FIRST_BITS)
    code_length = int(origin["recipe"]["latent"]) if style is None else style
    return Outline(
        recipe=str(origin["recipe"]["name"]),
        resolution=resolution,
        tag_names=tuple(map(str, origin["tags"])),
        tag_shares=shares,
        num_styles=styles,
        code_length=code_length,
        num_principal=code_length,
    )
