"""LSGAN (Mao, Li, Xie, Lau, Wang, Smolley: Least Squares Generative Adversarial Networks, 2016,
1611.04076): logits are drawn to targets, so a fake that is judged real but lies far off still gets
a gradient. The networks are DCGAN's.
"""

from pydantic import Field
from torch import Tensor

from ganime.gans import GANS
from ganime.gans.convolutional import BatchNormOrR1Recipe


@GANS.register("lsgan")
class Lsgan(BatchNormOrR1Recipe):
    """Least squares GAN; a = 0, b = c = 1 as in the paper's equation 9."""

    fake_target: float = Field(0.0, description="a: where the discriminator wants fakes.")
    real_target: float = Field(1.0, description="b: where the discriminator wants reals.")
    generator_target: float = Field(1.0, description="c: where the generator wants its fakes.")

    @property
    def neutral_logit(self) -> float | None:
        """Half way between what fakes and reals shall get."""
        return (self.fake_target + self.real_target) / 2

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """½E(D(x) − b)² + ½E(D(G(z)) − a)² (equation 2)."""
        real = (real_logits - self.real_target).square().mean()
        fake = (fake_logits - self.fake_target).square().mean()
        return 0.5 * (real + fake)

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """½E(D(G(z)) − c)² (equation 2)."""
        return 0.5 * (fake_logits - self.generator_target).square().mean()
