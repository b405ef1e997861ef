"""Generated pictures as files that say what they are."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import ganime
from ganime.errors import ConfigError
from ganime.images import encode_png
from ganime.store.lineage import models
from ganime.store.workspace import Workspace

_RANGE = re.compile(r"^(\d+)(?:-(\d+))?$")
MOST_SEEDS = 100_000


def find_model(workspace: Workspace, reference: str) -> str:
    """The id of the model that a person means.

    Args:
        workspace: Where.
        reference: Its id or the first digits of it; empty where there is only one.

    Raises:
        ConfigError: none or several fit; lists those there are.
    """
    known = sorted(models(workspace))
    fitting = [identity for identity in known if identity.startswith(reference)]
    if len(fitting) == 1:
        return fitting[0]
    if not known:
        raise ConfigError(f"{workspace.describe('models')} holds no model yet: train one first")
    found = f"{len(fitting)} models begin with {reference!r};" if reference else "which model?"
    raise ConfigError(f"{found} {workspace.describe('models')} has {', '.join(known)}")


def parse_seeds(text: str) -> list[int]:
    """Seeds as people write them, `0-63` or `1,5,20-29`.

    Raises:
        ConfigError: it is written otherwise, or asks for more than 100,000.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = _RANGE.match(part.strip())
        if found is None:
            raise ConfigError(f"seeds {text!r}: wanted numbers and ranges, for example 0-63 or 1,5")
        first, last = int(found[1]), int(found[2] or found[1])
        if last - first + len(seeds) >= MOST_SEEDS:
            raise ConfigError(f"seeds {text!r}: at most {MOST_SEEDS} at a time")
        seeds += range(first, last + 1)
    if not seeds:
        raise ConfigError(f"seeds {text!r}: the second number of a range is smaller than the first")
    return seeds


def described_png(
    pixels: npt.NDArray[np.uint8], settings: Mapping[str, Any], *, level: int = 6
) -> bytes:
    """A PNG whose text entries say how it was made.

    Args:
        pixels: uint8 sRGB [H, W, 3 or 4].
        settings: By name; each becomes an entry `ganime:name`.
        level: See `encode_png`.
    """
    texts = {"Software": f"ganime {ganime.__version__}"}
    for name, value in settings.items():
        if value not in (None, "", (), []):
            texts[f"ganime:{name}"] = _text(value)
    return encode_png(pixels, level=level, texts=texts)


def _text(value: Any) -> str:
    listed = isinstance(value, Sequence) and not isinstance(value, str)
    return " ".join(str(item) for item in value) if listed else str(value)
