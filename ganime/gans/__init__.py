"""GAN recipes: one file each, found by name. A recipe is two networks, two losses and penalties."""

from torch import Tensor, nn
from torch.optim import Optimizer

from ganime.registry import Component, Registry


class Recipe(Component):
    """Base of all recipes: what differs between them; `ganime.training` does the rest.

    The trainer seeds torch's global random numbers before every discriminator update, so a recipe
    may draw from them anywhere and still resumes exactly. Networks keep whatever else must survive
    a resume in buffers.
    """

    @property
    def separate_passes(self) -> bool:
        """Whether reals and fakes pass the discriminator apart, for batch statistics in it."""
        return False

    @property
    def generator_sees_reals(self) -> bool:
        """Whether the generator's update also judges the reals, for relativistic losses."""
        return False

    @property
    def num_latents(self) -> int:
        """Length Z of the latent vector."""
        raise NotImplementedError

    @property
    def discriminator_steps(self) -> int:
        """Discriminator updates per generator update; each shows a batch of its own."""
        return 1

    def generator(self, resolution: int) -> nn.Module:
        """A new generator: z float32 [B, Z], standard normal -> images [B, 3, R, R] in [-1, 1].

        Args:
            resolution: R, a power of two from 32 to 256.
        """
        raise NotImplementedError

    def discriminator(self, resolution: int) -> nn.Module:
        """A new discriminator: images [B, 3, R, R] in [-1, 1] -> logits [B], high for real.

        Args:
            resolution: R, a power of two from 32 to 256.
        """
        raise NotImplementedError

    def optimisers(
        self, generator: nn.Module, discriminator: nn.Module
    ) -> tuple[Optimizer, Optimizer]:
        """Optimisers of the two networks."""
        raise NotImplementedError

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Loss of the discriminator, a scalar, from logits [B] and [B]."""
        raise NotImplementedError

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """Loss of the generator, a scalar.

        Args:
            fake_logits: [B].
            real_logits: [B] where `generator_sees_reals`, else None.
        """
        raise NotImplementedError

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, nimg: int
    ) -> Tensor | None:
        """What is added to the discriminator's loss, a scalar; None where there is nothing.

        Args:
            discriminator: To differentiate.
            real: What it saw [B, 3, R, R], augmented.
            fake: The same of the generator's, cut from its graph.
            nimg: Real images shown so far, for penalties that are due only now and then.
        """
        return None

    def generator_penalty(self, generator: nn.Module, z: Tensor, nimg: int) -> Tensor | None:
        """What is added to the generator's loss, a scalar; None where there is nothing."""
        return None

    def advance(
        self, generator: nn.Module, discriminator: nn.Module, nimg: int, total: int
    ) -> None:
        """Called before every update, for schedules (growing networks, learning rates).

        Must depend on its arguments alone, so that a resumed run finds the same state.
        """


GANS: Registry[Recipe] = Registry(Recipe, "ganime.gans")
