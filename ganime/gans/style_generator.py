"""The generator of StyleGAN2: latents become styles, and styles steer every layer.

Mapping, style mixing and truncation: Karras, Laine, Aila: A Style-Based Generator Architecture for
Generative Adversarial Networks, 2018, 1812.04948. Modulation, noise after the style and colours
summed over the sides: 1912.04958. Conditions: Karras et al.: Training Generative Adversarial
Networks with Limited Data, 2020, 2006.06676.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans.layers import EqualisedLinear, TagEmbedding, pixel_norm, with_tags
from ganime.gans.modulated import GAIN, SLOPE, StyledLayer, ToRgb, Upsampling

MAPPING_PACE = 0.01  # its layers' learning rate next to the others' (1812.04948, appendix C)
AVERAGE_PACE = 0.005  # share of a batch in the average style (1912.04958's code: beta 0.995)


class Mapping(nn.Module):
    """Fully connected layers, computed in float32 whatever surrounds them.

    Args:
        inputs: I.
        width: Length W of what comes out.
        num_layers: How many layers.
    """

    def __init__(self, inputs: int, width: int, num_layers: int) -> None:
        super().__init__()
        sizes = [inputs, *[width] * num_layers]
        self.layers = nn.ModuleList(
            EqualisedLinear(size_in, size_out, gain=GAIN, lr_multiplier=MAPPING_PACE)
            for size_in, size_out in itertools.pairwise(sizes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, I] -> [B, W]."""
        with torch.autocast(x.device.type, enabled=False):
            for layer in self.layers:
                x = F.leaky_relu(layer(x), SLOPE)
        return x


class StyleBlock(nn.Module):
    """The layers of one side, and the colours that they add.

    Args:
        inputs: Channels that come in, I.
        outputs: Channels that go out, O.
        style: Length W of a style.
        side: H, of what goes out [px].
        upsampling: How the side doubles; None for the first block, which has one layer less.
    """

    def __init__(
        self, inputs: int, outputs: int, style: int, side: int, upsampling: Upsampling | None
    ) -> None:
        super().__init__()
        layers = [StyledLayer(outputs, outputs, style, side, None)]
        if upsampling is not None:
            layers.insert(0, StyledLayer(inputs, outputs, style, side, upsampling))
        self.layers = nn.ModuleList(layers)
        self.to_rgb = ToRgb(outputs, style)

    def forward(
        self, x: Tensor, image: Tensor | None, styles: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Maps [B, I, h, h], image [B, 3, h, h], a style [B, W] for each layer and the colours.

        Returns:
            Maps [B, O, H, H] and image [B, 3, H, H].
        """
        for layer, style in zip(self.layers, styles, strict=False):
            x = layer(x, style)
        colours: Tensor = self.to_rgb(x, styles[len(self.layers)])
        if image is None:
            return x, colours
        return x, colours + F.interpolate(image, scale_factor=2, mode="bilinear")


class StyleGenerator(nn.Module):
    """z -> styles -> image; implements `ganime.gans.StyleNetwork`.

    The last layer is linear, as in the paper: images lie in [-1, 1] as far as training taught it.

    Args:
        latent: Length Z of a latent vector, and of a style, W.
        channels: Of the maps at 4 px, 8 px, … up to the resolution.
        mapping_layers: Depth of the mapping network.
        num_tags: T; 0 without conditions.
        mixing: Share of images in training that take their finer layers' styles from a second z.
        upsampling: How sides double.

    Attributes:
        num_styles: L: one for each layer, and one for the last colours.
        average_style: Mean style of the training's forward passes [W].
        path_length: Moving mean of path lengths; see `ganime.gans.path_length`.
    """

    average_style: Tensor
    path_length: Tensor

    def __init__(
        self,
        latent: int,
        channels: Sequence[int],
        mapping_layers: int,
        num_tags: int = 0,
        mixing: float = 0.9,
        upsampling: Upsampling = "bilinear",
    ) -> None:
        super().__init__()
        self.embedding = TagEmbedding(num_tags, latent) if num_tags else None
        inputs = 2 * latent if num_tags else latent
        self.mapper = Mapping(inputs, latent, mapping_layers)
        self.constant = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        blocks = [StyleBlock(channels[0], channels[0], latent, 4, None)]
        for level, (narrow, wide) in enumerate(itertools.pairwise(channels), start=3):
            blocks.append(StyleBlock(narrow, wide, latent, 2**level, upsampling))
        self.blocks = nn.ModuleList(blocks)
        self.num_styles, self.mixing = 2 * len(blocks), mixing
        self.register_buffer("average_style", torch.zeros(latent))
        self.register_buffer("path_length", torch.zeros(()))

    def forward(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """z [B, Z], tags [B, T] -> images [B, 3, R, R]; mixes styles in training mode."""
        w = self.mapping(z, tags)
        styles = w[:, None].expand(-1, self.num_styles, -1)
        if self.training:
            with torch.no_grad():
                self.average_style.lerp_(w.mean(dim=0), AVERAGE_PACE)
            styles = self._mixed(styles, tags)
        return self.synthesis(styles)

    def mapping(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """z [B, Z], tags [B, T] -> styles [B, W]."""
        styles: Tensor = self.mapper(with_tags(pixel_norm(z), self.embedding, tags))
        return styles

    def synthesis(self, styles: Tensor) -> Tensor:
        """Styles [B, L, W] -> images [B, 3, R, R]; a function of them alone outside training."""
        x = self.constant.expand(styles.shape[0], -1, -1, -1)  # len() would fix an export to it
        image: Tensor | None = None
        each = styles.unbind(dim=1)
        for number, block in enumerate(self.blocks):
            # A block's colours share their style with the next block's first layer.
            first = max(0, 2 * number - 1)
            x, image = block(x, image, each[first : 2 * number + 2])
        assert image is not None  # there is always a block
        return image

    def _mixed(self, styles: Tensor, tags: Tensor | None) -> Tensor:
        """Styles [B, L, W], some with another z's from a random layer on (1812.04948, 3.1)."""
        batch, num, width = styles.shape
        other = self.mapping(torch.randn((batch, width), device=styles.device), tags)
        crossover = torch.randint(1, num, (batch, 1, 1), device=styles.device)
        mixes = torch.rand((batch, 1, 1), device=styles.device) < self.mixing
        layers = torch.arange(num, device=styles.device)[:, None]
        return torch.where(mixes & (layers >= crossover), other[:, None], styles)
