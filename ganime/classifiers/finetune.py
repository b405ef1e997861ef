"""The last blocks of a backbone learned too, for one question.

Slower than heads by far: every image passes the network again for each question, and each fold
learns a network of its own. It pays where a question is far from what the backbone was trained on
and some hundred labels are there; heads do better with few.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from ganime.backbones import Architecture, BackboneConfig
from ganime.backbones.backbone import normalise, resize_uint8
from ganime.backbones.networks import Trunk, build_trunk
from ganime.backbones.pretraining import augment
from ganime.classifiers.head import Examples, calibrated
from ganime.classifiers.logistic import Answers, Numbers, balanced_weights, fit_platt
from ganime.classifiers.selection import Folds
from ganime.config import Config
from ganime.device import choose_device

Images = npt.NDArray[np.uint8]
_HEAD_RATE = 10.0  # times the blocks' rate: the head starts from nothing, they do not
_LEAST_REACH = 1e-3  # between yes and no: a network that learned nothing is not blown up
_WARM_UP = 0.2  # of the steps, before which the head's gradients say nothing to the blocks
# Where each of the last blocks begins in the list of layers: at a halving of the map.
_STARTS = {"vgg16": (24, 17, 10), "mobilenet_v2": (14, 7, 4)}
_LAYERS = ("layer2", "layer3", "layer4")  # of a ResNet


class FineTuneConfig(Config):
    """Learning the last blocks too, for each question."""

    blocks: int = Field(
        0,
        ge=0,
        le=3,
        description="Last blocks of the backbone that learn too, each up to a halving of the map; "
        "0 learns heads alone, which is faster by far.",
    )
    epochs: int = Field(8, ge=1, description="How often each image is shown.")
    batch: int = Field(16, ge=2, description="Images per step.")
    learning_rate: float = Field(
        2e-4, gt=0, description="Peak, of AdamW under a cosine; the head's is ten times it."
    )
    weight_decay: float = Field(0.01, ge=0, description="Decoupled, of AdamW.")
    folds: int = Field(3, ge=2, le=10, description="Parts of the cross-validation.")


@dataclass(frozen=True)
class Tuned:
    """A network that answers one question.

    Attributes:
        trunk: The network.
        head: From its features to a score.
        slope: Of the calibration.
        offset: Of the calibration.
        backbone: Its architecture, input size and batch.
    """

    trunk: Trunk
    head: nn.Linear
    slope: float
    offset: float
    backbone: BackboneConfig

    def scores(self, images: Images) -> Numbers:
        """Calibrated probabilities of yes [N] in 0-1, of uint8 sRGB [N, H, W, 3]."""
        return calibrated(
            logits(self.trunk, self.head, images, self.backbone), self.slope, self.offset
        )

    def state(self) -> dict[str, torch.Tensor]:
        """The network, the head and the calibration, to store."""
        parts = {"trunk": self.trunk.network, "head": self.head}
        found = {
            f"{name}.{key}": value.detach().cpu().contiguous()
            for name, part in parts.items()
            for key, value in part.state_dict().items()
        }
        return found | {"calibration": torch.tensor([self.slope, self.offset], dtype=torch.float64)}


@dataclass(frozen=True)
class TunedFit:
    """A network and how it did on examples while they were held out.

    Attributes:
        tuned: The network, learned from all examples.
        held_out: Score of each example by a network that learned without its fold [N], calibrated
            on the scores of the other folds.
        folds: Fold of each example [N].
    """

    tuned: Tuned
    held_out: Numbers
    folds: Folds


def restore(state: dict[str, torch.Tensor], backbone: BackboneConfig) -> Tuned:
    """What `Tuned.state` gave, as a network.

    Raises:
        KeyError, RuntimeError: the state is not that of this architecture.
    """
    trunk = build_trunk(backbone.architecture, 0)
    head = nn.Linear(trunk.dim, 1)
    for name, part in (("trunk.", trunk.network), ("head.", head)):
        own = {key.removeprefix(name): v for key, v in state.items() if key.startswith(name)}
        part.load_state_dict(own)
    slope, offset = (float(value) for value in state["calibration"])
    device = choose_device(backbone.device)
    return Tuned(trunk.to(device).eval(), head.to(device), slope, offset, backbone)


def fine_tune(
    examples: Examples,
    folds: Folds,
    images: Images,
    start: Callable[[], Trunk],
    backbone: BackboneConfig,
    config: FineTuneConfig,
    seed: int,
) -> TunedFit:
    """Learn the last blocks from all examples, and once more for each fold to judge it by.

    No setting is chosen by the held-out scores, and weak answers count as the sure ones do.

    Args:
        examples: Whose answers and keys; their features are not looked at.
        folds: Fold of each, from 0 [N].
        images: uint8 sRGB [N, H, W, 3].
        start: Makes the pretrained trunk afresh.
        backbone: Its settings.
        config: How to learn.
        seed: Of the order and the augmentation.
    """
    order = np.argsort(np.array(examples.keys), kind="stable")
    answers, parts = examples.answers[order], folds[order]
    pixels = resized(images[order], backbone.size)
    raw = np.empty(len(order))
    for fold in range(int(parts.max()) + 1):
        out = parts == fold
        trunk, head = learn_blocks(pixels[~out], answers[~out], start(), backbone, config, seed)
        raw[out] = logits(trunk, head, images[order][out], backbone)
    held_out = np.empty(len(order))
    for fold in range(int(parts.max()) + 1):
        out = parts == fold
        held_out[out] = calibrated(raw[out], *fit_platt(raw[~out], answers[~out]))
    trunk, head = learn_blocks(pixels, answers, start(), backbone, config, seed)
    slope, offset = fit_platt(raw, answers)
    back = np.argsort(order)
    return TunedFit(Tuned(trunk, head, slope, offset, backbone), held_out[back], folds)


def learn_blocks(
    pixels: torch.Tensor,
    answers: Answers,
    trunk: Trunk,
    backbone: BackboneConfig,
    config: FineTuneConfig,
    seed: int,
) -> tuple[Trunk, nn.Linear]:
    """Train a new head and the last blocks; the same inputs give the same weights.

    Batch norms keep the statistics they came with: those of a few small batches would be worse.

    Args:
        pixels: uint8 [N, 3, S, S].
        answers: Yes or no [N].
        trunk: Pretrained; it is changed.
        backbone: Device and architecture.
        config: How.
        seed: Of the order and the augmentation.
    """
    device = choose_device(backbone.device)
    head = nn.Linear(trunk.dim, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    trunk.to(device).eval().requires_grad_(False)
    head.to(device)
    blocks = last_blocks(trunk, backbone.architecture, config.blocks)
    for block in blocks:
        block.requires_grad_(True)
    rates = [config.learning_rate, config.learning_rate * _HEAD_RATE]
    learned = [[p for b in blocks for p in b.parameters()], list(head.parameters())]
    groups = [{"params": p, "lr": r} for p, r in zip(learned, rates, strict=True)]
    optimizer = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    steps = config.epochs * math.ceil(len(pixels) / config.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=max(steps, 2), pct_start=_WARM_UP
    )
    generator = torch.Generator().manual_seed(seed)
    weights = torch.tensor(balanced_weights(answers), dtype=torch.float32, device=device)
    targets = torch.tensor(answers, dtype=torch.float32, device=device)
    for chosen in _order(len(pixels), config, generator):
        batch = augment(pixels[chosen].float() / 255, generator).clamp(0, 1) * 255
        found = head(trunk(normalise(batch.to(device))))[:, 0]
        loss = F.binary_cross_entropy_with_logits(found, targets[chosen], weights[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    trunk.requires_grad_(False)
    head.requires_grad_(False)
    _centre(trunk, head, pixels, answers, backbone)
    return trunk, head


def _centre(
    trunk: Trunk, head: nn.Linear, pixels: torch.Tensor, answers: Answers, backbone: BackboneConfig
) -> None:
    """Bring the mean score of the yes learned from to 1, that of the no to -1.

    Networks of other folds start from the same weights but end at other scales, and one is
    calibrated by the scores of others.
    """
    found = logits(trunk, head, pixels.permute(0, 2, 3, 1).numpy(), backbone)
    if answers.all() or not answers.any():
        return
    yes, no = float(found[answers].mean()), float(found[~answers].mean())
    reach = max(abs(yes - no) / 2, _LEAST_REACH)
    head.weight.div_(reach)
    head.bias.sub_((yes + no) / 2).div_(reach)


def last_blocks(trunk: Trunk, architecture: Architecture, count: int) -> list[nn.Module]:
    """The last blocks of a network, from each halving of the map to the next."""
    if count == 0:
        return []
    if architecture in _STARTS:
        return list(trunk.network.features)[_STARTS[architecture][count - 1] :]
    return [getattr(trunk.network, name) for name in _LAYERS[-count:]]


def logits(trunk: Trunk, head: nn.Linear, images: Images, backbone: BackboneConfig) -> Numbers:
    """Scores before calibration [N]."""
    device = next(head.parameters()).device
    found = [np.empty(0)]
    with torch.inference_mode():
        for start in range(0, len(images), backbone.batch):
            batch = resize_uint8(images[start : start + backbone.batch], backbone.size)
            found.append(head(trunk(normalise(batch.to(device))))[:, 0].double().cpu().numpy())
    return np.concatenate(found)


def resized(images: Images, size: int) -> torch.Tensor:
    """uint8 [N, 3, size, size]."""
    parts = [resize_uint8(images[i : i + 256], size) for i in range(0, len(images), 256)]
    return torch.cat(parts)


def _order(
    count: int, config: FineTuneConfig, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Indices of each step's batch."""
    for _ in range(config.epochs):
        yield from torch.split(torch.randperm(count, generator=generator), config.batch)
