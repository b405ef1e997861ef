"""What the studio needs of a generator, be it torch's or another runtime's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ganime.lite.wishes import wish_vector

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
BATCH_PIXELS = 65_536  # drawn at a time on a CPU: 4 images of 128 px; more gains nothing there
# Where all batches have one size, on a CPU: who asks for one image waits for as many.
LARGEST_BATCH = 4
# Where batches of several sizes draw the same: an image of 64 px in one of 32 takes half the time
# of one alone, and all 32 are there before a person sees that they were waited for.
LARGEST_PIXELS = 131_072
LARGEST_SIZE = 32
GPU_BATCH = 16  # a GPU draws as many about as fast as one


class Engine(Protocol):
    """A generator as plain arrays. One thread uses it at a time."""

    @property
    def resolution(self) -> int:
        """R, side of its images [px]."""
        ...

    @property
    def tag_names(self) -> Sequence[str]:
        """The T tags that it can be asked for; none without conditions."""
        ...

    @property
    def num_styles(self) -> int:
        """L, layers that take a style of their own; 0 where it has no styles."""
        ...

    @property
    def code_length(self) -> int:
        """W, length of a style, or Z of a latent where it has no styles."""
        ...

    @property
    def num_principal(self) -> int:
        """K, how many directions `principal` can find at most."""
        ...

    @property
    def batches(self) -> Sequence[int]:
        """How many images `draw` takes, ascending; it draws one the same bit for bit in all."""
        ...

    def latents(self, seed: int) -> Floats:
        """The latent of a seed, float32 [Z]."""
        ...

    def tags(self, seed: int, wanted: Sequence[str] | None, unwanted: Sequence[str]) -> Floats:
        """The tag vector float32 [T] of a seed under wishes.

        Raises:
            ConfigError: the generator knows no such tag.
        """
        ...

    def codes(self, z: Floats, tags: Floats, truncation: float) -> Floats:
        """Codes float32 [N, W] of latents [N, Z] and tags [N, T]: styles, or z without styles."""
        ...

    def draw(self, codes: Floats, tags: Floats) -> Pixels:
        """Images uint8 sRGB [B, R, R, 3] of codes, [B, W] or of each layer [B, L, W]."""
        ...

    def principal(self, num: int) -> tuple[Floats, Floats]:
        """The strongest directions of codes: unit vectors [K, W] and deviations [K].

        Args:
            num: How many, K, at most `num_principal`.
        """
        ...


def tags_under(
    names: Sequence[str],
    examples: npt.NDArray[np.uint8],
    seed: int,
    wanted: Sequence[str] | None,
    unwanted: Sequence[str],
) -> Floats:
    """The tags of a training image that has those wanted and none unwanted.

    Where no training image is like that, those wanted and no others.

    Args:
        names: The T tags of a generator.
        examples: Tag vectors of training images, uint8 [M, T].
        seed: Of the choice among those that fit.
        wanted: What to show; None for whatever that training image shows.
        unwanted: What not to show.

    Returns:
        float32 [T].

    Raises:
        ConfigError: the generator knows no such tag.
    """
    with_them, without = wish_vector(names, wanted or ()) > 0, wish_vector(names, unwanted) > 0
    if not names:
        return np.empty(0, np.float32)
    given = examples > 0
    fitting = examples[given[:, with_them].all(1) & ~given[:, without].any(1)]
    if not len(fitting):
        return with_them.astype(np.float32)
    place = int(np.random.default_rng(seed).integers(len(fitting), size=1)[0])
    return np.asarray(fitting[place] > 0, np.float32)


@dataclass(frozen=True, slots=True)
class Point:
    """What one image is drawn from.

    Attributes:
        code: float32 [W], or a style for each layer [L, W].
        tags: float32 [T].
    """

    code: Floats
    tags: Floats


def draw(engine: Engine, points: Sequence[Point]) -> list[Pixels]:
    """Images of points, each the same bit for bit whatever it is drawn together with.

    The kernels of a CPU differ with the size of a batch, in the last bits, which now and then
    rounds a pixel otherwise. So batches have sizes that are known to draw the same; what is
    missing is drawn twice.

    Args:
        engine: Who draws.
        points: Any number.

    Returns:
        uint8 sRGB [R, R, 3] of each.
    """
    found: list[Pixels] = []
    while left := points[len(found) :]:
        size = batch_for(len(left), engine.batches)
        part = left[:size]
        filled = [*part, *[part[-1]] * (size - len(part))]
        codes = np.stack([_each_layer(engine, point.code) for point in filled])
        images = engine.draw(codes, np.stack([point.tags for point in filled]))
        found += list(images[: len(part)])
    return found


def batch_for(num: int, sizes: Sequence[int]) -> int:
    """The size of the next batch where some images wait: little is drawn in vain.

    Args:
        num: How many wait.
        sizes: To choose from, ascending.
    """
    holding = [size for size in sizes if size >= num]
    if holding and 4 * num >= 3 * holding[0]:
        return holding[0]
    return max((size for size in sizes if size <= num), default=sizes[0])


def _each_layer(engine: Engine, code: Floats) -> Floats:
    """Styles as [L, W]; latents as they are."""
    if not engine.num_styles or code.ndim == 2:
        return code
    return np.broadcast_to(code, (engine.num_styles, len(code)))


def batch_of(resolution: int) -> int:
    """How many images of a resolution to draw at a time on a CPU."""
    return max(1, min(LARGEST_BATCH, BATCH_PIXELS // resolution**2))


def sizes_for(resolution: int) -> list[int]:
    """Sizes of batches on a CPU that may draw the same: powers of two."""
    most = max(1, min(LARGEST_SIZE, LARGEST_PIXELS // resolution**2))
    return [2**power for power in range(most.bit_length())]
