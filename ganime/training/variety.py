"""That a generator which is asked for tags still draws many different images of the same tags.

With few images of each tag, conditions make generators collapse (Shahbazi et al., Collapse by
Conditioning, 2201.06578): each tag becomes one image, whatever the latent, and no loss says so,
as a batch in which all tags differ looks varied. As in diversity-sensitive GANs (Yang et al.
1901.09024), two fakes of the same tags are compared in each update, and what they lack in distance
is a loss.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

SIDE = 16  # [px] at which images are compared: what is drawn and in which colours, not its noise
SAMENESS_WEIGHT = 2.0  # beside losses of about 1: pairs then reach most of the distance asked for


def in_pairs(tags: Tensor | None) -> Tensor | None:
    """Tags [B, T] -> those of the first half twice over, [B, T]; an odd one has no fellow."""
    if tags is None:
        return None
    half = (len(tags) + 1) // 2
    return torch.cat([tags[:half], tags[: len(tags) - half]])


def stacked(*tags: Tensor | None) -> Tensor | None:
    """All those that are there, one after the other; None if none is."""
    there = [one for one in tags if one is not None]
    return torch.cat(there) if there else None


def sameness(fake: Tensor, real: Tensor, share: float) -> Tensor:
    """What pairs of fakes lack of the distance that they are to have.

    Args:
        fake: [B, 3, R, R], asked for the tags of `in_pairs`.
        real: [B, 3, R, R], of any tags.
        share: Distance wanted, in mean distances of two reals.

    Returns:
        0 if all pairs are so far apart, 1 if each is one image twice; a scalar.
    """
    apart = _apart(fake)
    if not len(apart):
        return fake.new_zeros(())
    wanted = share * _apart(real).mean().clamp_min(1e-8)
    return F.relu(1 - apart / wanted).mean()


def _apart(images: Tensor) -> Tensor:
    """Mean distance of each image of the first half to its fellow in the second, [B // 2]."""
    small = F.adaptive_avg_pool2d(images, SIDE)
    half = (len(small) + 1) // 2
    return (small[: len(small) - half] - small[half:]).abs().mean(dim=(1, 2, 3))
