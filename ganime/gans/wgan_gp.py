"""WGAN-GP (Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville: Improved Training of Wasserstein GANs,
2017, 1704.00028): a critic of slope 1 measures how far fakes lie from reals. The networks are
DCGAN's; batch norm is left to the generator, for the penalty is on single images.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from ganime.gans import GANS, Step
from ganime.gans.convolutional import Norm, PaperRecipe
from ganime.gans.losses import wasserstein_loss
from ganime.gans.penalties import Method, between, first_share, lipschitz_penalty


@GANS.register("wgan_gp")
class WganGp(PaperRecipe):
    """Wasserstein GAN with gradient penalty; numbers are those of the paper's algorithm 1."""

    norm_critic: Literal["layer", "none"] = Field(
        "layer", description="What the critic normalises: each image's layers, or nothing."
    )
    critic_steps: int = Field(
        5, ge=1, description="Critic updates per generator update; each shows a batch of its own."
    )
    penalty_weight: float = Field(10.0, gt=0, description="Weight lambda of the gradient penalty.")
    penalty_method: Method = Field(
        "differences",
        description="Double backward, or differences along the gradient: a fifth quicker on CPUs.",
    )
    penalty_share: float = Field(
        1.0, gt=0, le=1, description="Share of the batch on which the penalty is taken."
    )
    drift: float = Field(
        0.0, ge=0, description="Weight of what keeps the critic's scores of reals near zero."
    )
    lr_generator: float = Field(1e-4, gt=0, description="Adam's learning rate, generator.")
    lr_discriminator: float = Field(1e-4, gt=0, description="The same, critic.")
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's first decay.")
    beta2: float = Field(0.9, ge=0, lt=1, description="Adam's second decay.")

    @property
    def discriminator_steps(self) -> int:
        """See `Recipe`."""
        return self.critic_steps

    @property
    def neutral_logit(self) -> float | None:
        """None: a critic's values are known up to a constant only."""
        return None

    @property
    def discriminator_norm(self) -> Norm:
        """See `PaperRecipe`."""
        return self.norm_critic

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Minus the distance (algorithm 1), with ProGAN's drift term if wanted."""
        return wasserstein_loss(real_logits, fake_logits, self.drift)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """−E D(G(z)) (algorithm 1)."""
        return -fake_logits.mean()

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: Step
    ) -> Tensor | None:
        """Slopes other than 1 between reals and fakes (equation 3)."""
        part = first_share(len(real), self.penalty_share)
        tags = None if step.tags is None else step.tags[part]
        points = between(real[part], fake[part])
        return self.penalty_weight * lipschitz_penalty(
            discriminator, points, tags, self.penalty_method
        )
