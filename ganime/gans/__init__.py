"""GAN recipes: one file each, found by name. A recipe is two networks, two losses and penalties."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from torch import Tensor, nn
from torch.optim import Optimizer

from ganime.registry import Component, Registry
from ganime.store.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Step:
    """Where training stands in an update, and what its images were asked to show.

    Attributes:
        nimg: Real images shown before it.
        total: Real images that the run shows in all.
        batch: Real images per update, those of all processes together.
        tags: Tag vectors float32 [B, T] of the reals at hand, of which fakes share the first half
            at least; None without conditions.
    """

    nimg: int
    total: int
    batch: int
    tags: Tensor | None = None

    @property
    def progress(self) -> float:
        """Share of the run that lies behind, 0-1."""
        return min(1.0, self.nimg / self.total)

    def every(self, updates: int) -> bool:
        """Whether something due once in so many updates is due now; depends on `nimg` alone."""
        return (self.nimg // self.batch) % updates == 0


@runtime_checkable
class StyleNetwork(Protocol):
    """A generator in two halves, whose styles can be averaged, mixed and searched."""

    num_styles: int
    """How many layers L take a style of their own."""
    average_style: Tensor
    """Mean style [W]: what truncation pulls towards."""

    def mapping(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """Latents z [B, Z] -> styles w [B, W]."""
        ...

    def synthesis(self, styles: Tensor) -> Tensor:
        """Styles [B, L, W], one for each layer -> images [B, 3, R, R] in [-1, 1]."""
        ...


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
    def counts_mismatches(self) -> bool:
        """Whether reals with the tags of others count as fakes; not where a loss wants pairs."""
        return True

    @property
    def generator_sees_reals(self) -> bool:
        """Whether the generator's update also judges the reals, for relativistic losses."""
        return False

    @property
    def neutral_logit(self) -> float | None:
        """Logit at which the discriminator is undecided; None where logits mean nothing alone.

        What adaptive augmentation compares with.
        """
        return 0.0

    @property
    def num_latents(self) -> int:
        """Length Z of the latent vector."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Fetch what must come from elsewhere, so that a run that cannot have it ends at once.

        Raises:
            WeightsError: it cannot be had; says how to give it.
        """

    def located(self, workspace: Workspace) -> Self:
        """This recipe, the files that it wants of a workspace named by their paths.

        Raises:
            WeightsError: one of them is not there.
        """
        return self

    def digest_of_inputs(self) -> str:
        """Of files that decide what is trained beside the settings; empty where there are none.

        Raises:
            WeightsError: one of them is not there.
        """
        return ""

    @property
    def discriminator_steps(self) -> int:
        """Discriminator updates per generator update; each shows a batch of its own."""
        return 1

    def latents(self, normal: Tensor) -> Tensor:
        """Latents from standard normal numbers [B, Z], for recipes with another distribution."""
        return normal

    def generator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """A new generator: (z float32 [B, Z], tags [B, T]) -> images [B, 3, R, R] in [-1, 1].

        Args:
            resolution: R, a power of two from 32 to 512.
            num_tags: T; 0 for one without conditions, which is called with z alone.
        """
        raise NotImplementedError

    def discriminator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """A new discriminator: (images [B, 3, R, R] in [-1, 1], tags [B, T]) -> logits [B].

        Logits are high for real. One that judges K parts of an image gives [B, K]; losses are
        means over all of them.

        Args:
            resolution: R, a power of two from 32 to 512.
            num_tags: T; 0 for one without conditions, which is called with images alone.
        """
        raise NotImplementedError

    def optimisers(
        self, generator: nn.Module, discriminator: nn.Module
    ) -> tuple[Optimizer, Optimizer]:
        """Optimisers of the two networks."""
        raise NotImplementedError

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Loss of the discriminator, a scalar, from logits [B] or [B, K] of both.

        Where `counts_mismatches`, there can be more fakes than reals.
        """
        raise NotImplementedError

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """Loss of the generator, a scalar.

        Args:
            fake_logits: [B] or [B, K].
            real_logits: The same where `generator_sees_reals`, else None.
        """
        raise NotImplementedError

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: Step
    ) -> Tensor | None:
        """What is added to the discriminator's loss, a scalar; None where there is nothing.

        Args:
            discriminator: To differentiate.
            real: What it saw [B, 3, R, R], augmented.
            fake: The same of the generator's, cut from its graph.
            step: Where training stands; its tags are those of reals and fakes alike.
        """
        return None

    def generator_penalty(self, generator: nn.Module, z: Tensor, step: Step) -> Tensor | None:
        """What is added to the generator's loss, a scalar; None where there is nothing."""
        return None

    def advance(self, generator: nn.Module, discriminator: nn.Module, step: Step) -> None:
        """Called before every update, for schedules (growing networks, fading noise).

        Must depend on its arguments alone, so that a resumed run finds the same state. Not called
        for samples: what they need of it stands in the networks' buffers.
        """


def conditions(tags: Tensor | None) -> Sequence[Tensor]:
    """Further arguments of a network: the tags where there are any."""
    return () if tags is None else (tags,)


GANS: Registry[Recipe] = Registry(Recipe, "ganime.gans")
