"""Tables of mixed styles, and the picture of a model that is nearest to a given one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from torch import Tensor

from ganime.borders import border_colour
from ganime.errors import ConfigError, ImageError
from ganime.gans import StyleNetwork
from ganime.images import decode
from ganime.training.generator import Generator
from ganime.training.projection import Projection, project
from ganime.training.sheets import tile
from ganime.training.styles import for_each_layer, mix
from ganime.training.tensors import to_pixels, to_tensor

Pixels = npt.NDArray[np.uint8]
NUM_LATENTS = 512  # that tell a search where codes lie


def mixture_table(
    generator: Generator,
    sources: Sequence[int],
    destinations: Sequence[int],
    layers: Sequence[int],
    *,
    truncation: float = 1.0,
    tags: Sequence[str] | None = None,
) -> Pixels:
    """Each destination's image with some layers of each source (1812.04948, figure 3).

    Args:
        generator: With styles.
        sources: Seeds, one per row; their images stand at the left.
        destinations: Seeds, one per column; their images stand on top.
        layers: Which layers come from the source.
        truncation: See `Generator.images`.
        tags: What all shall show; None for tags of training images.

    Returns:
        uint8 sRGB [(S + 1)·R, (D + 1)·R, 3].

    Raises:
        ConfigError: the generator has no styles, or not that many layers.
    """
    network = generator.network
    if not isinstance(network, StyleNetwork):
        raise ConfigError(
            f"{generator.blueprint.recipe.component} has no styles to mix: train stylegan2"
        )
    if not all(layer < network.num_styles for layer in layers):
        raise ConfigError(
            f"layers {list(layers)}: this generator has layers 0 to {network.num_styles - 1}"
        )
    z, asked = generator.blueprint.of_seeds([*sources, *destinations], tags)
    codes = generator.codes(z, asked, truncation=truncation)
    styles = for_each_layer(codes, network.num_styles)
    rows, columns = styles[: len(sources)], styles[len(sources) :]
    mixed = generator.draw(mix(rows, columns, layers).flatten(0, 1))
    left, top = generator.draw(rows), generator.draw(columns)
    table = [np.full_like(top[:1], 255), top]
    for number, image in enumerate(left):
        table += [image[None], mixed[number * len(top) : (number + 1) * len(top)]]
    return tile(np.concatenate(table), len(top) + 1)


def project_file(
    generator: Generator,
    path: Path,
    *,
    steps: int,
    each_layer: bool = False,
    seed: int = 0,
    tags: Tensor | None = None,
) -> tuple[Pixels, Projection]:
    """The generator's image nearest to a picture.

    Args:
        generator: Any.
        path: A picture of any size; it is padded to a square.
        steps: Of the search.
        each_layer: See `ganime.training.projection.project`.
        seed: Of the search.
        tags: float32 [T], for a generator with conditions.

    Returns:
        Both side by side, uint8 sRGB [R, 2R, 3], and what the search found.

    Raises:
        ConfigError: the picture cannot be read.
    """
    wanted = _square(path, generator.resolution)
    z = generator.blueprint.latents(NUM_LATENTS, seed).to(generator.device)
    found = project(
        generator.network,
        to_tensor(wanted[None])[0].to(generator.device),
        z,
        steps=steps,
        seed=seed,
        each_layer=each_layer,
        tags=tags,
    )
    return tile(np.concatenate([wanted[None], to_pixels(found.image[None])]), 2), found


def _square(path: Path, resolution: int) -> Pixels:
    """A picture padded with its border's colour and reduced: uint8 sRGB [R, R, 3]."""
    try:
        pixels = decode(path.read_bytes(), at_least=resolution).pixels
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except ImageError as error:
        raise ConfigError(f"{path} is no image that can be used: {error}") from error
    side = (resolution, resolution)
    fill = border_colour(pixels)
    padded = ImageOps.pad(Image.fromarray(pixels), side, Image.Resampling.LANCZOS, color=fill)
    return np.array(padded)
