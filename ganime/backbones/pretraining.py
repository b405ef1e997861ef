"""A backbone's weights learned from the posts' own tags, where no ImageNet weights can be had.

Predicting all common tags of an image at once is a multi-label task whose features serve any
question about the same kind of pictures. The network trains from scratch in about a minute.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from ganime.backbones.backbone import (
    Backbone,
    choose_dtype,
    load_backbone,
    normalise,
    resize_uint8,
)
from ganime.backbones.config import Architecture, BackboneConfig, PretrainingConfig
from ganime.backbones.networks import Trunk, build_trunk
from ganime.config import digest_of
from ganime.device import choose_device
from ganime.errors import WeightsError
from ganime.store.workspace import Workspace

REVISION = 1  # raise it whenever the learned weights change
log = logging.getLogger(__name__)

_MAX_SHIFT = 0.06  # of the side; characters stand near the middle after padding
_MAX_ZOOM = 0.10
_MAX_TINT = 0.15  # relative change of each channel's brightness


def weights_key(config: BackboneConfig) -> str:
    """Key of the learned weights in a workspace: one file per way of learning them.

    The images take no part in the name, so that features stay valid when posts are added.
    """
    name = digest_of(str(REVISION), str(config.seed), config.pretraining.canonical())
    return f"backbones/{config.architecture}-tags-{name}/weights.safetensors"


def open_backbone(workspace: Workspace, config: BackboneConfig) -> Backbone:
    """The backbone that a config asks for, with weights learned in this workspace if so asked.

    Raises:
        WeightsError: the weights cannot be had, or were not learned yet.
    """
    key = weights_key(config)
    learned = config.weights == "tags" and workspace.exists(key)
    return load_backbone(config, workspace.local_path(key) if learned else None)


def learned_weights(workspace: Workspace, architecture: Architecture) -> Path:
    """The weights that were last learned from tags in a workspace, as a local file.

    Raises:
        WeightsError: there are none of this architecture.
    """
    learned = workspace.list("backbones", "/weights.safetensors")
    keys = [key for key in learned if key.startswith(f"backbones/{architecture}-tags-")]
    if not keys:
        raise WeightsError(
            f"no {architecture} was learned from tags in {workspace.url}: run a crawl there "
            "with --backbone-weights tags first, or give the path of other weights"
        )
    return workspace.local_path(max(keys, key=workspace.modified))


def learnable_tags(tags: Sequence[frozenset[str]], config: PretrainingConfig) -> list[str]:
    """Tags that are neither too rare nor too common to learn from, sorted.

    Raises:
        WeightsError: there is none.
    """
    counts = Counter(tag for image in tags for tag in image)
    rare = max(config.min_frequency * len(tags), config.min_positives)
    common = config.max_frequency * len(tags)
    chosen = sorted(tag for tag, count in counts.items() if rare <= count <= common)
    if not chosen:
        raise WeightsError(
            f"no tag can be learned from: of {len(counts)} tags on {len(tags)} images none is on "
            f"at least {math.ceil(rare)} and at most {int(common)} of them; give weights with "
            "--backbone-weights PATH, or use random ones with --backbone-weights none"
        )
    return chosen


def train_on_tags(
    images: npt.NDArray[np.uint8], tags: Sequence[frozenset[str]], config: BackboneConfig
) -> dict[str, torch.Tensor]:
    """Train from scratch to predict every learnable tag; the same inputs give the same weights.

    Args:
        images: uint8 sRGB [N, H, W, 3].
        tags: Of each image [N].
        config: Architecture, seed and how to train.

    Returns:
        torchvision's state dict without the head, float32.

    Raises:
        WeightsError: no tag can be learned.
    """
    vocabulary = learnable_tags(tags, config.pretraining)
    targets = torch.tensor([[tag in image for tag in vocabulary] for image in tags])
    small = torch.cat(
        [
            resize_uint8(images[i : i + 256], config.pretraining.size)
            for i in range(0, len(images), 256)
        ]
    )
    log.info(
        "backbone: learning %d tags of %d images at %d px, %d epochs",
        *(len(vocabulary), len(images), config.pretraining.size, config.pretraining.epochs),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        trunk = _train(small, targets.float(), config)
    return {
        name: value.detach().cpu().contiguous()
        for name, value in trunk.network.state_dict().items()
    }


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Flip, shift, zoom and tint each image a little.

    Args:
        images: float [B, 3, H, W].
        generator: Source of the randomness.

    Returns:
        The same shape; what moves in from outside repeats the border.
    """
    count = len(images)

    def uniform(limit: float, *shape: int) -> torch.Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * limit

    flip = 1.0 - 2.0 * (torch.rand(count, generator=generator) < 0.5)
    zoom = 1 + uniform(_MAX_ZOOM)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = flip * zoom
    theta[:, 1, 1] = zoom
    theta[:, :, 2] = uniform(2 * _MAX_SHIFT, 2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid.to(images), padding_mode="border", align_corners=False)
    return moved * (1 + uniform(_MAX_TINT, 3, 1, 1).to(images))


def _train(images: torch.Tensor, targets: torch.Tensor, config: BackboneConfig) -> Trunk:
    settings = config.pretraining
    device = choose_device(config.device)
    dtype = choose_dtype(config, device)
    trunk = build_trunk(config.architecture, config.seed)
    model = nn.Sequential(trunk, nn.Linear(trunk.dim, targets.shape[1]))
    model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    generator = torch.Generator().manual_seed(config.seed)
    order = _batch_order(len(images), settings, generator)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=len(order), pct_start=0.15
    )
    for step, chosen in enumerate(order):
        batch = augment(images[chosen].float() / 255, generator).clamp(0, 1) * 255
        pixels = normalise(batch.to(device)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(pixels)
        loss = F.binary_cross_entropy_with_logits(logits.float(), targets[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % max(1, len(order) // 5) == 0 or step == len(order) - 1:
            log.info("backbone: step %d of %d, loss %.4f", step + 1, len(order), loss.item())
    return trunk.eval()


def _batch_order(
    count: int, settings: PretrainingConfig, generator: torch.Generator
) -> list[torch.Tensor]:
    """Indices of each step's batch; the incomplete last batch of an epoch is left out."""
    batches: list[torch.Tensor] = []
    size = min(settings.batch, count)
    for _ in range(settings.epochs):
        shuffled = torch.randperm(count, generator=generator)
        batches += torch.split(shuffled[: count - count % size], size)
    return batches
