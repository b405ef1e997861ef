"""The studio's engine without torch: a model package, drawn by onnxruntime."""

from collections.abc import Sequence

import numpy as np

from ganime.lite.generator import OnnxGenerator
from ganime.lite.package import AVERAGE_STYLE, Package
from ganime.studio.engine import Floats, Pixels, batch_of, tags_under

NUM_LATENTS = 512  # that directions are found from, as torch's engine does


class OnnxEngine:
    """See `ganime.studio.engine.Engine`.

    Args:
        package: With graphs.

    Raises:
        ConfigError: onnxruntime is not installed, or the package has no graphs.
        WeightsError: a graph cannot be read.
    """

    def __init__(self, package: Package) -> None:
        self._generator = OnnxGenerator(package)
        self._examples = package.tag_examples
        described = package.description
        self.resolution = described.resolution
        self.tag_names: Sequence[str] = described.tag_names
        self.num_styles = described.num_styles
        self.code_length = (
            len(package.weights[AVERAGE_STYLE]) if self.num_styles else described.num_latents
        )
        # Without styles, directions are carried over from the first layer, which no graph shows.
        self.num_principal = self.code_length if self.num_styles else 0
        self.batches = (batch_of(self.resolution),)

    def latents(self, seed: int) -> Floats:
        """See `Engine`."""
        return np.asarray(self._generator.latents(1, seed)[0])

    def tags(self, seed: int, wanted: Sequence[str] | None, unwanted: Sequence[str]) -> Floats:
        """See `Engine`."""
        return tags_under(self.tag_names, self._examples, seed, wanted, unwanted)

    def codes(self, z: Floats, tags: Floats, truncation: float) -> Floats:
        """See `Engine`."""
        return self._generator.codes(z, self._asked(tags), truncation=truncation)

    def draw(self, codes: Floats, tags: Floats) -> Pixels:
        """See `Engine`."""
        return self._generator.draw(codes, self._asked(tags))

    def principal(self, num: int) -> tuple[Floats, Floats]:
        """See `Engine`; GANSpace, Härkönen et al. 2020, 2004.02546, section 2.1.

        The components of styles, with the signs that torch's engine gives them: a direction's
        name means the same, whoever draws.
        """
        if num == 0:
            return np.empty((0, self.code_length), np.float32), np.empty(0, np.float32)
        z, tags = self._generator.latents(NUM_LATENTS, 0), self._generator.tags(NUM_LATENTS, 0)
        styles = self._generator.codes(z, tags).astype(np.float64)
        _, values, vectors = np.linalg.svd(styles - styles.mean(axis=0), full_matrices=False)
        largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
        units = (vectors * np.sign(largest))[:num]
        deviations = values[:num] / np.sqrt(NUM_LATENTS - 1)
        return units.astype(np.float32), deviations.astype(np.float32)

    def _asked(self, tags: Floats) -> Floats | None:
        return tags if self.tag_names else None
