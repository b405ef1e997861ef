"""Losses that recipes share: scalars from logits [B], or [B, K] of K parts of each image."""

import torch
from torch import Tensor
from torch.nn import functional as F


def wasserstein_loss(real_logits: Tensor, fake_logits: Tensor, drift: float = 0.0) -> Tensor:
    """Loss of a critic (Arjovsky et al. 1701.07875, equation 2): minus the distance it sees.

    Args:
        real_logits: [B].
        fake_logits: [B].
        drift: Weight of E[D(x)²], which keeps the reals' scores near zero; the distance alone says
            nothing of where they lie (ProGAN, 1710.10196, A.1).
    """
    loss = fake_logits.mean() - real_logits.mean()
    return loss + drift * real_logits.square().mean() if drift else loss


def logistic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Cross entropy of real against fake (Goodfellow et al. 1406.2661, equation 1)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def smoothed_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float) -> Tensor:
    """The same, but reals count as 1 minus `smoothing` (one-sided, Salimans et al. 1606.03498)."""
    labels = torch.full_like(real_logits, 1.0 - smoothing)
    real = F.binary_cross_entropy_with_logits(real_logits, labels)
    return real + F.softplus(fake_logits).mean()


def non_saturating_loss(fake_logits: Tensor) -> Tensor:
    """Loss of the generator, −log D(G(z)) (Goodfellow et al. 1406.2661, section 3)."""
    return F.softplus(-fake_logits).mean()
