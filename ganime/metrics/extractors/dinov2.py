"""DINOv2 as an extractor: distances in its features agree best with people's judgement.

Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023 (2304.07193); Stein
et al., Exposing flaws of generative model evaluation metrics and their unfair treatment of
diffusion models, 2023 (2306.04675). The network is a plain vision transformer (Dosovitskiy et al.
2010.11929) with scaled residuals; its size is read off the weights.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from ganime.backbones.backbone import normalise
from ganime.backbones.networks import digest_of_weights, read_state_dict
from ganime.device import Precision
from ganime.errors import WeightsError
from ganime.metrics.extractors import EXTRACTORS, Extractor, ExtractorConfig
from ganime.metrics.extractors.frozen import FrozenNetwork
from ganime.store.workspace import Workspace

_PATCH = 14  # [px], of all published sizes
_HEAD = 64  # dimensions per attention head, of all published sizes
_SIZES = {384: "vits14", 768: "vitb14", 1024: "vitl14"}
_OFFSET = 0.1  # patches: published weights without registers were trained with positions so scaled


class _Scaled(nn.Module):
    """A factor per feature, small at the start of training."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens * self.gamma


class _Attention(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        count, length, dim = tokens.shape
        heads = self.qkv(tokens).reshape(count, length, 3, dim // _HEAD, _HEAD)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        found: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(count, length, dim))
        return found


class _Block(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn = _Attention(dim)
        self.ls1, self.ls2 = _Scaled(dim), _Scaled(dim)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(dim, 4 * dim), "fc2": nn.Linear(4 * dim, dim)})

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        wide = F.gelu(self.mlp["fc1"](self.norm2(tokens)))
        found: torch.Tensor = tokens + self.ls2(self.mlp["fc2"](wide))
        return found


class Dinov2Network(nn.Module):
    """The transformer, up to the normalised class token.

    Args:
        dim: D, length of a token.
        depth: Blocks.
        side: Side of the grid of positions in the weights [patches].
        registers: Tokens without a place (Darcet et al. 2309.16588).
    """

    def __init__(self, dim: int, depth: int, side: int, registers: int) -> None:
        super().__init__()
        self.side = side
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.mask_token = nn.Parameter(torch.zeros(1, dim))  # of training; read with the rest
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, dim))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, dim)) if registers else None
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, dim, _PATCH, stride=_PATCH)})
        self.blocks = nn.ModuleList(_Block(dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, S, S], S a multiple of 14, to features [B, D]."""
        maps = self.patch_embed["proj"](images)
        patches = maps.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], 1)
        tokens = tokens + self._positions(maps.shape[-1]).to(tokens.dtype)
        if self.register_tokens is not None:
            registers = self.register_tokens.expand(len(images), -1, -1)
            tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], 1)
        for block in self.blocks:
            tokens = block(tokens)
        found: torch.Tensor = self.norm(tokens[:, 0])
        return found

    def _positions(self, side: int) -> torch.Tensor:
        """Of a grid of another size: bicubic, as in the published code."""
        if side == self.side:
            return self.pos_embed
        whole = self.pos_embed.float()
        grid = whole[:, 1:].reshape(1, self.side, self.side, -1).permute(0, 3, 1, 2)
        if self.register_tokens is None:
            factor = (side + _OFFSET) / self.side
            grid = F.interpolate(grid, scale_factor=(factor, factor), mode="bicubic")
        else:
            grid = F.interpolate(grid, (side, side), mode="bicubic", antialias=True)
        return torch.cat([whole[:, :1], grid.flatten(2).transpose(1, 2)], 1)


@EXTRACTORS.register("dinov2")
class Dinov2Settings(ExtractorConfig):
    """DINOv2, small, base or large, with or without registers."""

    weights: str = Field(
        min_length=1, description="Path of a published file such as dinov2_vitl14_pretrain.pth."
    )
    size: int = Field(224, ge=28, le=518, multiple_of=_PATCH, description="Side of its input [px].")
    precision: Precision = Field("fp32", description="bf16 is faster and moves features.")

    def open(self, workspace: Workspace | None) -> Extractor:
        """The network with its weights."""
        return Dinov2(self)


class Dinov2(FrozenNetwork):
    """The class token of DINOv2; its metric is for example `fd_dinov2_vitl14`.

    Raises:
        WeightsError: the file is missing or is not one of the published sizes.
    """

    def __init__(self, config: Dinov2Settings) -> None:
        path = Path(config.weights).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"{path} is no such file: give the path of dinov2_vitl14_pretrain.pth, which is "
                "published at https://github.com/facebookresearch/dinov2"
            )
        state = read_state_dict(path)
        try:
            network = network_for(state)
            network.load_state_dict(state, strict=True)
        except (KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{path} does not have the layout of dinov2_vits14, vitb14 or vitl14 "
                "(_pretrain.pth): heads, ViT-g and files converted by other libraries are others"
            ) from error
        dim = network.norm.normalized_shape[0]
        reg = "" if network.register_tokens is None else "_reg"
        self.name = f"dinov2_{_SIZES[dim]}{reg}"
        self.metric = f"fd_{self.name}"
        self.weights_digest = digest_of_weights(state)
        super().__init__(
            network, dim=dim, size=config.size, prepare=normalise, precision=config.precision
        )


def network_for(state: Mapping[str, torch.Tensor]) -> Dinov2Network:
    """A network of the size of these weights, which are not loaded yet.

    Raises:
        KeyError: they are not of a published size.
    """
    places, dim = state["pos_embed"].shape[1:]
    blocks = {found[1] for name in state if (found := re.match(r"blocks\.(\d+)\.", name))}
    registers = state["register_tokens"].shape[1] if "register_tokens" in state else 0
    if dim not in _SIZES:
        raise KeyError(dim)
    return Dinov2Network(dim, len(blocks), math.isqrt(places - 1), registers)
