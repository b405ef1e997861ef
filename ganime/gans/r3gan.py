"""R3GAN (Huang, Gokaslan, Kuleshov, Tompkin: The GAN is Dead; Long Live the GAN! A Modern GAN
Baseline, 2024, 2501.05441): a relativistic loss that cannot drop modes, penalties on reals and
fakes that make it converge, and residual networks without any normalisation or other trick.

The published block (1x1, grouped 3x3, 1x1) is there with `groups`. By default convolutions are
dense, widths taper towards large sides, and both networks begin and end at half the resolution:
on a CPU, where grouped convolutions leave the fast path, that is twenty times as fast at 64 px.
Penalties are estimated by finite differences on a share of the batch, without double backward.
"""

import math
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam, Optimizer

from ganime.gans import GANS, Recipe, Step
from ganime.gans.layers import TagEmbedding, TagProjection, with_fit, with_tags
from ganime.gans.penalties import Method, first_share, gradient_penalty
from ganime.gans.products import Conv2d

SLOPE = 0.2  # of the leaky ReLUs
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # keeps the variance through them (1502.01852, equation 15)
LAYERS_PER_BLOCK = 3
COARSEST = 4  # side [px] at which the networks meet the latent and the logit


@GANS.register("r3gan")
class R3gan(Recipe):
    """Relativistic GAN with R1 and R2 penalties on plain residual networks."""

    latent: int = Field(64, ge=1, description="Length of the latent vector.")
    width: int = Field(32, ge=4, description="Channels at half the resolution.")
    widest: int = Field(256, ge=4, description="No stage has more channels.")
    blocks: int = Field(1, ge=1, le=64, description="Residual blocks per side.")
    expansion: float = Field(
        1.0, gt=0, description="Channels inside a block, of those outside it; 2 in the paper."
    )
    groups: int | None = Field(
        None, ge=1, description="Channels per group of the 3x3 convolutions; null for dense ones."
    )
    stem: Literal[1, 2, 4] = Field(
        2, description="How many times smaller than the image the networks' largest side is."
    )
    gamma: float = Field(0.1, ge=0, description="Weight of both penalties at the end of the run.")
    gamma_start: float = Field(
        1.0, ge=0, description="Their weight at the start; falls over the first `burn_in`."
    )
    burn_in: float = Field(0.2, ge=0, le=1, description="Share of the run for gamma to fall in.")
    penalty_method: Method = Field(
        "differences", description="How gradients are measured; exact needs double backward."
    )
    penalty_share: float = Field(
        0.25, gt=0, le=1, description="Share of the batch on which they are measured."
    )
    lr: float = Field(2e-4, gt=0, description="Adam's learning rate, both networks.")
    beta2: float = Field(0.99, ge=0, lt=1, description="Adam's second decay; the first is 0.")

    @model_validator(mode="after")
    def _groups_divide(self) -> "R3gan":
        if self.groups is not None and self.width % self.groups:
            raise ValueError(
                f"groups is {self.groups}, which does not divide the width {self.width}: "
                "give a divisor, or null for dense convolutions"
            )
        return self

    @property
    def num_latents(self) -> int:
        """See `Recipe`."""
        return self.latent

    @property
    def counts_mismatches(self) -> bool:
        """The loss compares each real with one fake."""
        return False

    @property
    def generator_sees_reals(self) -> bool:
        """The loss is about pairs of a real and a fake."""
        return True

    @property
    def neutral_logit(self) -> float | None:
        """None: only differences between a real and a fake are learnt."""
        return None

    def widths(self, resolution: int) -> list[int]:
        """Channels at 4 px, 8 px, … up to the largest side of the networks."""
        num = int(math.log2(resolution // self.stem)) - 1
        return [min(self.width * 2**level, self.widest) for level in reversed(range(num))]

    def generator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return Generator(self, resolution, num_tags)

    def discriminator(self, resolution: int, num_tags: int = 0) -> nn.Module:
        """See `Recipe`."""
        return Discriminator(self, resolution, num_tags)

    def optimisers(
        self, generator: nn.Module, discriminator: nn.Module
    ) -> tuple[Optimizer, Optimizer]:
        """See `Recipe`."""
        betas = (0.0, self.beta2)
        return (
            Adam(generator.parameters(), self.lr, betas, fused=True),
            Adam(discriminator.parameters(), self.lr, betas, fused=True),
        )

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Reals shall look more real than fakes (1807.00734; 2501.05441, equation 3)."""
        return F.softplus(fake_logits - real_logits).mean()

    def generator_loss(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """Fakes shall look more real than reals."""
        assert real_logits is not None
        return F.softplus(real_logits - fake_logits).mean()

    def weight_of_penalties(self, progress: float) -> float:
        """Gamma at a share of the run: cosine from its start to its end over the burn-in."""
        if progress >= self.burn_in:
            return self.gamma
        falling = 0.5 * (1 + math.cos(math.pi * progress / self.burn_in))
        return self.gamma + (self.gamma_start - self.gamma) * falling

    def discriminator_penalty(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: Step
    ) -> Tensor | None:
        """gamma/2 · (E‖∇D(real)‖² + E‖∇D(fake)‖²) (2501.05441, equation 4)."""
        gamma = self.weight_of_penalties(step.progress)
        if gamma == 0:
            return None
        part = first_share(len(real), self.penalty_share)
        images = torch.cat([real[part], fake[part]])
        tags = None if step.tags is None else torch.cat([step.tags[part], step.tags[part]])
        # The mean over reals and fakes together is half of the sum of both means.
        return gamma * gradient_penalty(discriminator, images, tags, self.penalty_method)


class Block(nn.Module):
    """Residual block without normalisation: 1x1, 3x3, 1x1, or 3x3, 3x3 where it is dense.

    Args:
        width: Channels C.
        settings: The recipe.
        num_blocks: Residual blocks in the whole network: their sum must not blow up (Fixup,
            Zhang et al. 1901.09321).
    """

    def __init__(self, width: int, settings: R3gan, num_blocks: int) -> None:
        super().__init__()
        inner = max(round(width * settings.expansion), 1)
        if settings.groups is None:
            shapes = [(width, inner, 3, 1), (inner, width, 3, 1)]
        else:
            inner = max(inner // settings.groups, 1) * settings.groups
            middle = (inner, inner, 3, inner // settings.groups)
            shapes = [(width, inner, 1, 1), middle, (inner, width, 1, 1)]
        gain = GAIN * num_blocks ** (-1 / (2 * len(shapes) - 2))
        layers = [
            _init(Conv2d(c_in, c_out, kernel, padding=kernel // 2, groups=groups), gain)
            for c_in, c_out, kernel, groups in shapes
        ]
        nn.init.zeros_(layers[-1].weight)
        self.layers = nn.ModuleList(layers)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        change = features
        for layer in self.layers:
            change = layer(F.leaky_relu(change, SLOPE))
        return features + change


class Generator(nn.Module):
    """From a learned 4x4 image, weighted by the latent, up through residual stages.

    Args:
        settings: The recipe.
        resolution: R [px].
        num_tags: T; 0 without conditions.
    """

    def __init__(self, settings: R3gan, resolution: int, num_tags: int) -> None:
        super().__init__()
        widths = settings.widths(resolution)
        num_blocks = settings.blocks * len(widths)
        self.stem = settings.stem
        self.embedding = TagEmbedding(num_tags, settings.latent) if num_tags else None
        num_inputs = settings.latent * (2 if num_tags else 1)
        self.basis = nn.Parameter(torch.randn(widths[0], COARSEST, COARSEST))
        self.weights = nn.Linear(num_inputs, widths[0], bias=False)
        nn.init.normal_(self.weights.weight, std=1 / math.sqrt(num_inputs))
        self.widening = nn.ModuleList(
            nn.Identity() if before == after else _init(Conv2d(before, after, 1, bias=False))
            for before, after in zip(widths[:1] + widths, widths, strict=False)
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, settings, num_blocks) for _ in range(settings.blocks)))
            for width in widths
        )
        self.to_rgb = _init(Conv2d(widths[-1], 3 * self.stem**2, 3, padding=1))
        _alike_in_groups(self.to_rgb, self.stem**2)

    def forward(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """z [B, Z], tags [B, T] -> images [B, 3, R, R], about [-1, 1]."""
        inputs = with_tags(z, self.embedding, tags)
        features = self.basis * self.weights(inputs)[:, :, None, None]
        for number, (widen, stage) in enumerate(zip(self.widening, self.stages, strict=True)):
            if number:
                # Blocks begin as the identity: by nearest neighbour the first images would be the
                # 4x4 basis in squares, whose edges take long to unlearn.
                features = F.interpolate(widen(features), scale_factor=2, mode="bilinear")
            features = stage(features)
        images: Tensor = self.to_rgb(F.leaky_relu(features, SLOPE))
        return images if self.stem == 1 else F.pixel_shuffle(images, self.stem)


class Discriminator(nn.Module):
    """The generator's mirror image.

    Args:
        settings: The recipe.
        resolution: R [px].
        num_tags: T; 0 without conditions.
    """

    def __init__(self, settings: R3gan, resolution: int, num_tags: int) -> None:
        super().__init__()
        widths = settings.widths(resolution)[::-1]
        num_blocks = settings.blocks * len(widths)
        stem = settings.stem
        self.from_rgb = _init(Conv2d(3, widths[0], 3 + stem - 1, stem, padding=1))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, settings, num_blocks) for _ in range(settings.blocks)))
            for width in widths
        )
        self.widening = nn.ModuleList(
            nn.Identity() if before == after else _init(Conv2d(before, after, 1, bias=False))
            for before, after in zip(widths, widths[1:] + widths[-1:], strict=True)
        )
        num_features = widths[-1]
        self.basis = _init(Conv2d(num_features, num_features, COARSEST, groups=num_features))
        self.logit = nn.Linear(num_features, 1, bias=False)
        nn.init.normal_(self.logit.weight, std=1 / math.sqrt(num_features))
        self.projection = TagProjection(num_tags, num_features) if num_tags else None

    def forward(self, images: Tensor, tags: Tensor | None = None) -> Tensor:
        """Images [B, 3, R, R] in [-1, 1], tags [B, T] -> logits [B]."""
        features = self.from_rgb(images)
        last = len(self.stages) - 1
        for number, (stage, widen) in enumerate(zip(self.stages, self.widening, strict=True)):
            features = stage(features)
            if number < last:
                features = widen(F.avg_pool2d(features, 2))
        # Only differences of logits count, in the loss and in the penalty's finite differences:
        # rounded to bfloat16 they would be noise.
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.logit.weight.dtype)
            features = self.basis(F.leaky_relu(features, SLOPE)).flatten(1)
            return with_fit(self.logit(features).flatten(), features, self.projection, tags)


def _alike_in_groups(layer: nn.Conv2d, size: int) -> None:
    """Let pixels that are shuffled side by side begin alike (ICNR, Aitken et al. 1707.02937)."""
    with torch.no_grad():
        layer.weight.copy_(layer.weight[::size].repeat_interleave(size, dim=0))


def _init(layer: nn.Conv2d, gain: float = 1.0) -> nn.Conv2d:
    """Weights that keep the variance of what comes in, times gain² (1502.01852)."""
    fan_in = layer.weight[0].numel()
    nn.init.normal_(layer.weight, std=gain / math.sqrt(fan_in))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
