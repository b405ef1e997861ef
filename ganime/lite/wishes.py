"""What a picture shall show: tags by name, as the vector that a generator takes."""

import difflib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError


def wish_vector(known: Sequence[str], wanted: Sequence[str]) -> npt.NDArray[np.float32]:
    """The tag vector float32 [T] that asks for these tags and no other.

    Args:
        known: The T tags of the generator.
        wanted: Names among them.

    Raises:
        ConfigError: the generator knows no such tag; names the nearest that it knows.
    """
    vector = np.zeros(len(known), np.float32)
    for name in wanted:
        if name not in known:
            raise ConfigError(_unknown(known, name))
        vector[known.index(name)] = 1.0
    return vector


def drawn_tags(examples: npt.NDArray[np.uint8], num: int, seed: int) -> npt.NDArray[np.float32]:
    """Tag vectors float32 [N, T] of training images under a seed.

    Args:
        examples: Tag vectors to draw from, uint8 [M, T].
        num: How many, N.
        seed: Of the choice.
    """
    chosen = np.random.default_rng(seed).integers(len(examples), size=num)
    return examples[chosen].astype(np.float32)


def _unknown(known: Sequence[str], name: str) -> str:
    if not known:
        return f"tag {name!r}: this generator was trained without tags; train with train.tags"
    near = difflib.get_close_matches(name, known, n=3) or list(known[:10])
    return f"this generator knows no tag {name!r}; it knows {', '.join(near)}"
