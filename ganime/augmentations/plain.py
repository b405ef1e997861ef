"""No augmentation at all."""

from torch import Tensor

from ganime.augmentations import AUGMENTATIONS, Augmentation, Augmenter


@AUGMENTATIONS.register("none")
class Plain(Augmentation):
    """The discriminator sees images as they are: for sets of 50,000 images and more."""

    def augmenter(self) -> Augmenter:
        """See `Augmentation`."""
        return _Untouched()


class _Untouched(Augmenter):
    def forward(self, images: Tensor) -> Tensor:
        return images
