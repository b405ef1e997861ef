"""A trained generator drawn by onnxruntime: images under seeds, tags, truncation and styles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError, WeightsError
from ganime.lite.archive import GENERATOR_GRAPH, MAPPING_GRAPH, SYNTHESIS_GRAPH
from ganime.lite.latents import BLOCK, torch_normal
from ganime.lite.package import AVERAGE_STYLE, Package, open_package
from ganime.lite.wishes import drawn_tags, wish_vector

if TYPE_CHECKING:
    import onnxruntime

Floats = npt.NDArray[np.float32]
Images = npt.NDArray[np.uint8]
BATCH = 16  # images at a time: bounds the memory, not the result


class OnnxGenerator:
    """What `ganime.training.generator.Generator` is, without torch.

    Latents of a seed are torch's to 1e-6, pixels to 1 of 255.

    Args:
        package: With graphs: `ganime models export --onnx` puts them in.
        num_threads: That onnxruntime may use; 0 for one per core.

    Attributes:
        description: What it is.
        num_styles: Layers L that take a style of their own; 0 without styles.

    Raises:
        ConfigError: onnxruntime is not installed, or the package has no graphs.
        WeightsError: a graph cannot be read.
    """

    def __init__(self, package: Package, num_threads: int = 0) -> None:
        self.description = package.description
        self.num_styles = package.description.num_styles
        self._examples = package.tag_examples
        names = [MAPPING_GRAPH, SYNTHESIS_GRAPH] if self.num_styles else [GENERATOR_GRAPH]
        if self.description.latents is None or not all(name in package.entries for name in names):
            raise ConfigError(
                f"{package.path} has no graphs that onnxruntime could draw with: export it anew "
                "with --onnx"
            )
        self._graphs = {name: _session(package, name, num_threads) for name in names}
        if self.num_styles:
            self._average = package.weights[AVERAGE_STYLE]

    @classmethod
    def open(cls, path: Path, num_threads: int = 0) -> "OnnxGenerator":
        """Read a package; see there and in the class for what can be wrong with it."""
        return cls(open_package(path), num_threads)

    @property
    def resolution(self) -> int:
        """R [px]."""
        return self.description.resolution

    @property
    def nimg(self) -> int:
        """Real images shown when it was taken."""
        return self.description.nimg

    @property
    def tag_names(self) -> tuple[str, ...]:
        """The T tags that it can be asked for."""
        return self.description.tag_names

    def latents(self, num: int, seed: int) -> Floats:
        """Latents float32 [N, Z] under a seed; latent i depends on the seed and i alone."""
        length = self.description.num_latents
        if num == 0:
            return np.empty((0, length), np.float32)
        normal = torch_normal(num, max(length, BLOCK), seed)[:, :length]
        if self.description.latents == "binary":
            return np.where(normal > 0, np.float32(1), np.float32(-1))
        return normal

    def tags(self, num: int, seed: int) -> Floats | None:
        """Tag vectors float32 [N, T] of training images under a seed; None without conditions."""
        return drawn_tags(self._examples, num, seed) if self.tag_names else None

    def vector(self, wanted: Sequence[str]) -> Floats:
        """The tag vector float32 [T] that asks for these tags and no other.

        Raises:
            ConfigError: the generator knows no such tag; names the nearest that it knows.
        """
        return wish_vector(self.tag_names, wanted)

    def of_seeds(
        self, seeds: Sequence[int], tags: Sequence[str] | None = None
    ) -> tuple[Floats, Floats | None]:
        """Latents and tags of single images, each under a seed of its own.

        Args:
            seeds: One per image; its image does not depend on the others.
            tags: What all of them shall show; None for tags of training images.

        Returns:
            float32 [N, Z], and float32 [N, T] or None without conditions.

        Raises:
            ConfigError: the generator does not know a tag.
        """
        z = np.concatenate([self.latents(1, seed) for seed in seeds])
        if tags is not None:
            wish = self.vector(tags)
            return z, np.tile(wish, (len(seeds), 1)) if self.tag_names else None
        drawn = [vector for seed in seeds if (vector := self.tags(1, seed)) is not None]
        return z, np.concatenate(drawn) if drawn else None

    def sample(self, num: int, seed: int = 0, *, tags: Sequence[str] | None = None) -> Images:
        """Images uint8 sRGB [N, R, R, 3]; the same seed makes the same ones.

        Args:
            num: How many, N.
            seed: Of the latents, and of the tags where none are asked for.
            tags: What all of them shall show; None for tags of training images.
        """
        asked = self.tags(num, seed)
        if tags is not None and self.tag_names:
            asked = np.tile(self.vector(tags), (num, 1))
        return self.images(self.latents(num, seed), asked)

    def images(self, z: Floats, tags: Floats | None = None, *, truncation: float = 1.0) -> Images:
        """Images uint8 sRGB [N, R, R, 3] of latents.

        Args:
            z: float32 [N, Z].
            tags: float32 [N, T] for a generator with conditions.
            truncation: From 0, the average image, to 1, all that was learnt.
        """
        return self.draw(self.codes(z, tags, truncation=truncation), tags)

    def codes(self, z: Floats, tags: Floats | None = None, *, truncation: float = 1.0) -> Floats:
        """Styles float32 [N, W], or latents where there are no styles.

        Args:
            z: float32 [N, Z].
            tags: float32 [N, T] for a generator with conditions.
            truncation: See `images`.
        """
        found, average = z, np.zeros(z.shape[1], np.float32)
        if self.num_styles:
            found, average = self._run(MAPPING_GRAPH, z, tags), self._average
        if truncation == 1.0:
            return found
        pulled: Floats = average + np.float32(truncation) * (found - average)
        return pulled

    def draw(self, codes: Floats, tags: Floats | None = None) -> Images:
        """Images uint8 sRGB [N, R, R, 3] of codes.

        Args:
            codes: float32 [N, W], or styles for each layer [N, L, W].
            tags: float32 [N, T] for a generator with conditions and without styles.
        """
        images = np.empty((len(codes), self.resolution, self.resolution, 3), np.uint8)
        for start in range(0, len(codes), BATCH):
            part = slice(start, start + BATCH)
            if self.num_styles:
                made = self._run(SYNTHESIS_GRAPH, self.for_each_layer(codes[part]), None)
            else:
                asked = None if tags is None else tags[part]
                made = self._run(GENERATOR_GRAPH, codes[part], asked)
            scaled = np.clip(np.rint((made + np.float32(1)) * np.float32(127.5)), 0, 255)
            images[part] = scaled.astype(np.uint8).transpose(0, 2, 3, 1)
        return images

    def for_each_layer(self, styles: Floats) -> Floats:
        """Styles [N, W] -> [N, L, W], all layers alike; those of each layer stay as they are."""
        return styles if styles.ndim == 3 else np.repeat(styles[:, None], self.num_styles, axis=1)

    def mix(self, sources: Floats, destinations: Floats, layers: Sequence[int]) -> Floats:
        """Mixtures of styles: each destination with some layers of each source (1812.04948, 3.1).

        Args:
            sources: float32 [S, W], or [S, L, W].
            destinations: float32 [D, W], or [D, L, W].
            layers: Which layers come from the source, 0 to L - 1.

        Returns:
            float32 [S·D, L, W] for `draw`, all of the first source first.

        Raises:
            ConfigError: the generator has no styles, or not that many layers.
        """
        if not self.num_styles:
            raise ConfigError(f"{self.description.recipe} has no styles to mix: train stylegan2")
        if not all(0 <= layer < self.num_styles for layer in layers):
            raise ConfigError(
                f"layers {list(layers)}: this generator has layers 0 to {self.num_styles - 1}"
            )
        taken, changed = self.for_each_layer(sources), self.for_each_layer(destinations)
        table = np.repeat(changed[None], len(taken), axis=0)
        chosen = list(layers)
        table[:, :, chosen] = taken[:, None, chosen]
        return table.reshape(-1, *table.shape[2:])

    def _run(self, name: str, first: Floats, tags: Floats | None) -> Floats:
        graph = self._graphs[name]
        wanted = [item.name for item in graph.get_inputs()]
        given: list[Floats] = [first] if tags is None else [first, tags]
        if len(wanted) != len(given):
            has = "asks for tags" if len(wanted) > len(given) else "takes no tags"
            raise ConfigError(f"this generator {has}: see its `tag_names`")
        (made,) = graph.run(None, dict(zip(wanted, given, strict=True)))
        found: Floats = made
        return found


def _session(package: Package, name: str, num_threads: int) -> "onnxruntime.InferenceSession":
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            "drawing without torch wants a package that is missing (onnxruntime): "
            "pip install onnxruntime"
        ) from error
    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(
            package.entries[name], options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise WeightsError(
            f"{package.path}: {name} is no graph that onnxruntime can read ({_line(error)})"
        ) from error


def _line(error: Exception) -> str:
    return f"{error}".strip().partition("\n")[0][:200]
