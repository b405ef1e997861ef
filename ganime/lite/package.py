"""A model package, opened and checked as far as that goes without torch."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

from ganime.errors import ConfigError
from ganime.lite.archive import DIRECTIONS, MODEL, WEIGHTS, read_archive, refused
from ganime.lite.description import Description
from ganime.lite.directions import Carried, unpack

PREFIX = "generator."  # what the names of weights begin with, to tell them from the tags
AVERAGE_STYLE = f"{PREFIX}average_style"  # which every generator with styles has
TAG_EXAMPLES = "tag_examples"  # beside the weights of a generator with conditions
METADATA = "ganime"  # where a snapshot tells what it is
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # would command the terminal that shows them


@dataclass(frozen=True, eq=False)
class Package:
    """A package in memory.

    Attributes:
        path: Where it lies.
        description: What it says of its model.
        entries: Content by name.
        weights: Tensors by name, as snapshots hold them.
        directions: Ways to change a character, by name; packages may come without any.
    """

    path: Path
    description: Description
    entries: Mapping[str, bytes]
    weights: Mapping[str, npt.NDArray[Any]]
    directions: Mapping[str, Carried] = field(default_factory=dict)

    @property
    def tag_examples(self) -> npt.NDArray[np.uint8]:
        """Tag vectors of training images, uint8 [M, T]; empty without conditions."""
        empty = np.empty((0, 0), np.uint8)
        return self.weights.get(TAG_EXAMPLES, empty)


def open_package(path: Path) -> Package:
    """Read a package and check all that can be checked without torch.

    Raises:
        ConfigError: there is no such file.
        WeightsError: an entry is not what it should be; names it.
    """
    entries = read_archive(path)
    description = _described(path, entries[MODEL])
    content = entries[WEIGHTS]
    try:
        weights = safetensors.numpy.load(content)
        blueprint = blueprint_in(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise refused(path, WEIGHTS, f"holds no weights ({error})") from error
    if blueprint != description.blueprint:
        raise refused(path, WEIGHTS, f"is of another generator than {MODEL} says")
    for name, tensor in weights.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise refused(path, WEIGHTS, f"has numbers in {name!r:.80} that are not finite")
    _check_examples(path, description, weights)
    directions = _directions(path, description, entries, weights)
    return Package(path, description, entries, weights, directions)


def _described(path: Path, content: bytes) -> Description:
    try:
        found: Any = json.loads(content)
        if not isinstance(found, dict):
            raise refused(path, MODEL, "is no JSON object")
        if _has_control_characters(found):
            raise refused(path, MODEL, "holds control characters")
        description = Description.parse(found)
    except (ValueError, RecursionError) as error:
        raise refused(path, MODEL, "is no JSON") from error
    except ConfigError as error:
        raise refused(path, MODEL, f"does not describe a model ({error})") from error
    if description.blueprint.get("nimg") != description.nimg:
        raise refused(path, MODEL, "names two snapshots")
    return description


def blueprint_in(snapshot: bytes) -> dict[str, Any]:
    """What a snapshot says of its generator: recipe, resolution, tags, nimg.

    It stands in safetensors' header, whose length is in the first 8 bytes, little-endian.

    Raises:
        ValueError, KeyError, TypeError: it says nothing of the kind.
    """
    length = int.from_bytes(snapshot[:8], "little")
    header = json.loads(snapshot[8 : 8 + length])
    found: dict[str, Any] = json.loads(header["__metadata__"][METADATA])
    return found


def _directions(
    path: Path,
    description: Description,
    entries: Mapping[str, bytes],
    weights: Mapping[str, npt.NDArray[Any]],
) -> Mapping[str, Carried]:
    if DIRECTIONS not in entries:
        return {}
    style = weights.get(AVERAGE_STYLE)
    length = description.num_latents if style is None else len(style)
    try:
        return unpack(entries[DIRECTIONS], tag_names=description.tag_names, length=length)
    except ValueError as error:
        raise refused(path, DIRECTIONS, str(error)) from error


def _has_control_characters(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_control_characters, (*value, *value.values())))
    if isinstance(value, list):
        return any(map(_has_control_characters, value))
    return isinstance(value, str) and _CONTROL.search(value) is not None


def _check_examples(
    path: Path, description: Description, weights: Mapping[str, npt.NDArray[Any]]
) -> None:
    num_tags, found = len(description.tag_names), weights.get(TAG_EXAMPLES)
    if found is None:
        if num_tags:
            raise refused(path, WEIGHTS, f"has {num_tags} tags but no examples of them")
        return
    if found.dtype != np.uint8 or found.shape[1:] != (num_tags,) or len(found) == 0:
        raise refused(
            path,
            WEIGHTS,
            f"has examples of tags {found.dtype} {list(found.shape)}, wanted uint8 [M, {num_tags}]",
        )
