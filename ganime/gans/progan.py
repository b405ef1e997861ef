"""ProGAN (Karras, Aila, Laine, Lehtinen: Progressive Growing of GANs for Improved Quality,
Stability, and Variation, 2017, 1710.10196): both networks begin at 4 px and gain a level at a time.

Equalised learning rates, pixel norm, minibatch deviation and the critic's loss are the paper's, and
so are the numbers of channels at width 16 and widest 512. Two things differ. Levels are counted in
shares of the run instead of images, so that a short run ends at the full side too. Adam keeps its
moments where the paper starts it anew with each level: its reset would hide in the trainer's state.
"""

from typing import Literal

from pydantic import Field, field_validator
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganime.gans import GANS, Recipe, Step
from ganime.gans.growth import Growing, GrowingDiscriminator, GrowingGenerator, stage_at
from ganime.gans.layers import widths_between
from ganime.gans.losses import logistic_loss, non_saturating_loss, wasserstein_loss
from ganime.gans.penalties import Method, between, lipschitz_penalty, r1_penalty

Loss = Literal["wasserstein", "logistic"]


@GANS.register("progan")
class ProGan(Recipe):
    """Growing networks."""

    latent: int = Field(256, ge=1, description="Length of the latent vector.")
    tag_width: int = Field(
        64, ge=1, description="Length of the vector that tags become, beside the latent."
    )
    width: int = Field(32, ge=4, description="Channels of both networks at full resolution.")
    widest: int = Field(256, ge=4, description="No layer has more channels.")
    shares: tuple[float, ...] = Field(
        (1.0, 1.0, 1.0, 2.0, 3.0),
        min_length=1,
        description="Relative lengths of the levels 4, 8, 16, … px; the last goes on for the rest.",
    )
    fade: float = Field(
        0.5, ge=0, le=1, description="Share of its time in which a level is faded in."
    )
    loss: Loss = Field(
        "wasserstein", description="The paper's with gradient penalty, or logistic with R1."
    )
    penalty_weight: float = Field(10.0, ge=0, description="Weight lambda of wasserstein's penalty.")
    penalty_method: Method = Field(
        "differences",
        description="Double backward, or differences along the gradient: a fifth quicker on CPUs.",
    )
    drift: float = Field(
        0.001, ge=0, description="Weight of what keeps wasserstein's scores of reals near zero."
    )
    r1: float = Field(1.0, ge=0, description="Weight gamma of R1, with the logistic loss.")
    r1_share: float = Field(
        0.25, gt=0, le=1, description="Share of the batch on which R1 is estimated."
    )
    lr: float = Field(1e-3, gt=0, description="Adam's learning rate, both networks.")
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's first decay.")
    beta2: float = Field(0.99, ge=0, lt=1, description="Adam's second decay.")

    @field_validator("shares")
    @classmethod
    def _levels_take_time(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if min(shares) <= 0:
            raise ValueError("wanted a length above 0 for every level")
        return shares

    @property
    def neutral_logit(self) -> float | None:
        """None for the critic of the Wasserstein loss, whose values mean nothing alone."""
        return None if self.loss == "wasserstein" else 0.0

    @property
    def num_latents(self) -> int:
        """See `Recipe`."""
        return self.latent

    def generator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return GrowingGenerator(self.latent, self._widths(resolution), num_tags, self.tag_width)

    def discriminator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return GrowingDiscriminator(self._widths(resolution), num_tags)

    def _widths(self, resolution: int) -> list[int]:
        return widths_between(self.width, self.widest, 2 * resolution)

    def optimisers(
        self, generator: nn.Module, discriminator: nn.Module
    ) -> tuple[Optimizer, Optimizer]:
        """See `Recipe`."""
        betas = (self.beta1, self.beta2)
        return (
            Adam(generator.parameters(), self.lr, betas, fused=True),
            Adam(discriminator.parameters(), self.lr, betas, fused=True),
        )

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """The critic's with drift (appendix A.1), or the logistic one."""
        if self.loss == "wasserstein":
            return wasserstein_loss(real_logits, fake_logits, self.drift)
        return logistic_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """−E D(G(z)), or the non-saturating one."""
        if self.loss == "wasserstein":
            return -fake_logits.mean()
        return non_saturating_loss(fake_logits)

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: Step
    ) -> Tensor | None:
        """The penalty of the loss, on images of the side in use as in the paper."""
        assert isinstance(discriminator, GrowingDiscriminator)  # nothing else is made here
        real, fake = discriminator.shrunk(real), discriminator.shrunk(fake)
        if self.loss == "logistic":
            return r1_penalty(discriminator, real, step.tags, self.r1, self.r1_share)
        points = between(real, fake)
        return self.penalty_weight * lipschitz_penalty(
            discriminator, points, step.tags, self.penalty_method
        )

    def advance(self, generator: nn.Module, discriminator: nn.Module, step: Step) -> None:
        """Grow both networks."""
        for network in (generator, discriminator):
            assert isinstance(network, Growing)  # nothing else is made here
            network.grow(stage_at(step.progress, network.num_levels, self.shares, self.fade))
