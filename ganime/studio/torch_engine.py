"""The studio's engine on torch: snapshots of a workspace."""

from collections.abc import Sequence

import numpy as np
import torch

from ganime.gans import StyleNetwork
from ganime.store.workspace import Workspace
from ganime.studio.engine import GPU_BATCH, Floats, Pixels, sizes_for, tags_under
from ganime.studio.folding import folded
from ganime.training.generator import Generator
from ganime.training.snapshot import load_generator
from ganime.training.styles import principal_directions, render

NUM_LATENTS = 512  # that directions are found from; the decomposition of more takes seconds


class TorchEngine:
    """See `ganime.studio.engine.Engine`."""

    def __init__(self, generator: Generator) -> None:
        on_cpu = generator.device.type == "cpu"
        if on_cpu:
            network = folded(generator.network)
            generator = Generator(network, generator.blueprint, generator.nimg)
        self._generator = generator
        self._blueprint = generator.blueprint
        network = generator.network
        self.resolution = generator.resolution
        self.tag_names: Sequence[str] = self._blueprint.tag_names
        self.num_styles = network.num_styles if isinstance(network, StyleNetwork) else 0
        self.code_length = (
            len(network.average_style)
            if isinstance(network, StyleNetwork)
            else self._blueprint.recipe.num_latents
        )
        self.num_principal = self.code_length
        self.batches: Sequence[int] = self._equal_sizes() if on_cpu else (GPU_BATCH,)

    def latents(self, seed: int) -> Floats:
        """See `Engine`."""
        return np.asarray(self._blueprint.latents(1, seed)[0])

    def tags(self, seed: int, wanted: Sequence[str] | None, unwanted: Sequence[str]) -> Floats:
        """See `Engine`."""
        return tags_under(self.tag_names, self._blueprint.tag_examples, seed, wanted, unwanted)

    @torch.no_grad()
    def codes(self, z: Floats, tags: Floats, truncation: float) -> Floats:
        """See `Engine`."""
        found = self._generator.codes(
            torch.from_numpy(z), self._tensor(tags), truncation=truncation
        )
        return np.asarray(found.cpu())

    def draw(self, codes: Floats, tags: Floats) -> Pixels:
        """See `Engine`."""
        return self._generator.draw(torch.from_numpy(codes), self._tensor(tags), batch=len(codes))

    def principal(self, num: int) -> tuple[Floats, Floats]:
        """See `Engine`; GANSpace, Härkönen et al. 2020, 2004.02546."""
        z, tags = self._blueprint.latents(NUM_LATENTS, 0), self._blueprint.tags(NUM_LATENTS, 0)
        device = self._generator.device
        found = principal_directions(
            self._generator.network,
            num,
            z.to(device),
            None if tags is None else tags.to(device),
        )
        return np.asarray(found.vectors.cpu()), np.asarray(found.deviations.cpu())

    @torch.no_grad()
    def _equal_sizes(self) -> list[int]:
        """Sizes of batches that draw the same bits as one image alone.

        One person who moves a slider is who waits, so one alone is always among them. Kernels are
        chosen by shape and add in an order of their own: one that differs shows in every fourth
        number, so a few images tell.
        """
        sizes = sizes_for(self.resolution)
        num = sizes[-1]
        tags = self._blueprint.tags(num, 0)
        codes = self._generator.codes(self._blueprint.latents(num, 0), tags, truncation=1.0)

        def drawn(size: int) -> torch.Tensor:
            parts = [slice(start, start + size) for start in range(0, num, size)]
            network = self._generator.network
            return torch.cat(
                [render(network, codes[at], None if tags is None else tags[at]) for at in parts]
            )

        expected = drawn(1)
        return [size for size in sizes if size == 1 or torch.equal(drawn(size), expected)]

    def _tensor(self, tags: Floats) -> torch.Tensor | None:
        return torch.from_numpy(tags) if self.tag_names else None


def load(workspace: Workspace, model_id: str, nimg: int) -> TorchEngine:
    """The engine of a snapshot; on a GPU where there is one.

    Raises:
        ConfigError: there is no such snapshot.
        WeightsError: the file is damaged.
    """
    generator = load_generator(workspace, model_id, nimg)
    return TorchEngine(generator.to("cuda" if torch.cuda.is_available() else "cpu"))
