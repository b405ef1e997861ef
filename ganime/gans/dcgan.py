"""DCGAN (Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks, 2015, 1511.06434), with what has since made it train in minutes.

Networks, batch norm, initialisation and loss are the paper's. By default the generator doubles its
side by nearest neighbour and a 3x3 convolution: transposed convolutions leave a chequered ground
(Odena et al., Deconvolution and Checkerboard Artifacts, Distill 2016) that takes longer to unlearn
than the characters take to learn. Without batch norm in the discriminator it sees reals and fakes
in one pass and takes an R1 penalty.
"""

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from ganime.gans import GANS
from ganime.gans.convolutional import BatchNormOrR1Recipe
from ganime.gans.losses import non_saturating_loss


@GANS.register("dcgan")
class Dcgan(BatchNormOrR1Recipe):
    """Deep convolutional GAN with the non-saturating loss."""

    label_smoothing: float = Field(
        0.1, ge=0, lt=0.5, description="Reals count as 1 minus this (one-sided, 1606.03498)."
    )
    label_smoothing_fake: float = Field(
        0.0, ge=0, lt=0.5, description="Fakes count as this: with the one above, two-sided."
    )
    label_flips: float = Field(
        0.0, ge=0, lt=0.5, description="Share of images whose label is swapped, at random."
    )

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Cross entropy of real against fake (Goodfellow et al. 1406.2661, equation 1)."""
        high, low = 1.0 - self.label_smoothing, self.label_smoothing_fake
        real = F.binary_cross_entropy_with_logits(real_logits, self._labels(real_logits, high, low))
        fake = F.binary_cross_entropy_with_logits(fake_logits, self._labels(fake_logits, low, high))
        return real + fake

    def _labels(self, logits: Tensor, label: float, other: float) -> Tensor:
        labels = torch.full_like(logits, label)
        if self.label_flips:
            labels[torch.rand_like(logits) < self.label_flips] = other
        return labels

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """Non-saturating: −log D(G(z)) (Goodfellow et al. 1406.2661, section 3)."""
        return non_saturating_loss(fake_logits)
