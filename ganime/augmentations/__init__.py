"""Augmentations of what a discriminator sees, reals and fakes alike; one file each.

They keep a discriminator from learning a small dataset by heart. All of them let gradients through,
so the generator is judged by what it would look like changed, and does not learn the changes.
"""

from torch import Tensor, nn

from ganime.registry import Component, Registry


class Augmenter(nn.Module):
    """Changes images at random; what must survive a resume stands in buffers."""

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, R, R] in [-1, 1] -> the same shape; colours may leave [-1, 1]."""
        raise NotImplementedError

    def observe(self, real_logits: Tensor, shown: int) -> None:
        """Take note of what the discriminator said of a batch; the next may be changed otherwise.

        Args:
            real_logits: [B], above zero for what it takes for real.
            shown: Real images in the batch, of all processes.
        """

    def report(self) -> dict[str, Tensor]:
        """What to write into the metrics, scalars by name."""
        return {}


class Augmentation(Component):
    """Base of all augmentations: their settings."""

    @property
    def listens(self) -> bool:
        """Whether it follows what the discriminator says of reals (`Augmenter.observe`)."""
        return False

    def augmenter(self) -> Augmenter:
        """A new augmenter with these settings."""
        raise NotImplementedError


AUGMENTATIONS: Registry[Augmentation] = Registry(Augmentation, "ganime.augmentations")
