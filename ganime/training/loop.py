"""The trainer: one step of any recipe, and the whole state of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.augmentations import Augmentation
from ganime.gans import Recipe, Step, conditions
from ganime.training.batches import Batch, Batches
from ganime.training.device import autocast
from ganime.training.ema import MovingAverage
from ganime.training.monitor import Monitor
from ganime.training.variety import SAMENESS_WEIGHT, in_pairs, sameness, stacked
from ganime.training.world import World

_INIT, _STEP = 11, 12  # tell the random streams apart
ALONE = World()


@dataclass(frozen=True, slots=True)
class Options:
    """How a recipe is trained.

    Attributes:
        augmentation: What the discriminator sees changed.
        ema_nimg: Half-life of the moving average, in images.
        cooldown: Last share of the run in which the learning rates fall to zero.
        bfloat16: Whether the networks compute in bfloat16.
        variety: How far apart two fakes of the same tags are to be, in distances of two reals; 0
            does not ask for it.
        accumulate: Parts of a batch whose gradients are summed, to save memory.
        seed: Of all random numbers.
    """

    augmentation: Augmentation
    ema_nimg: float
    cooldown: float = 0.0
    bfloat16: bool = False
    variety: float = 0.0
    accumulate: int = 1
    seed: int = 0


class Trainer:
    """Two networks on their way; call `step` until `done`.

    Args:
        recipe: What to train.
        resolution: Side of the images [px].
        batches: The real images, this process's share of them.
        total: Real images to show.
        options: How.
        device: Where.
        world: The processes that train together.
        num_tags: Length T of the tag vectors; 0 without conditions.

    Attributes:
        nimg: Real images shown so far, by all processes.
        average: The generator's moving average.
        monitor: Means of the losses.
        slowdown: Factor on all learning rates, 1 until something went wrong.
    """

    def __init__(
        self,
        recipe: Recipe,
        resolution: int,
        batches: Batches,
        *,
        total: int,
        options: Options,
        device: torch.device,
        world: World = ALONE,
        num_tags: int = 0,
    ) -> None:
        self._recipe, self._batches, self._options = recipe, batches, options
        self._total, self._device, self._world = total, device, world
        self._seed(_INIT, 0, rank=0)  # all processes begin with the same weights
        self.generator = _place(recipe.generator(resolution, num_tags), device)
        self.discriminator = _place(recipe.discriminator(resolution, num_tags), device)
        self._augment = options.augmentation.augmenter().to(device)
        self._optimisers = recipe.optimisers(self.generator, self.discriminator)
        groups = [group for optimiser in self._optimisers for group in optimiser.param_groups]
        self._rates = [group["lr"] for group in groups]
        self.average = MovingAverage(self.generator, options.ema_nimg)
        self.monitor = Monitor(world)
        self.nimg, self.slowdown = 0, 1.0

    @property
    def done(self) -> bool:
        """Whether all images were shown."""
        return self.nimg >= self._total

    def step(self) -> None:
        """One update of the generator and those of the discriminator that come before it."""
        before, num_parts = self.nimg, self._options.accumulate
        for number in range(self._recipe.discriminator_steps):
            last = number == self._recipe.discriminator_steps - 1
            self._seed(_STEP, self.nimg, self._world.rank)
            step = Step(self.nimg, self._total, self._batches.batch)
            self._recipe.advance(self.generator, self.discriminator, step)
            self._set_rates(step)
            batch = self._batches.at(self.nimg).to(self._device)
            # A graph that both updates share spares one pass of the generator; over several parts
            # it would hold them all in memory, which is what parts are there to avoid.
            keep_graph = last and num_parts == 1
            parts = [self._part(piece, step, keep_graph) for piece in _pieces(batch, num_parts)]
            self._update_discriminator(parts)
            self.nimg += self._batches.batch
        self._update_generator(parts, keep_graph)
        self.average.update(self.nimg, self.nimg - before)
        spread = _spread(parts[-1].fake) / _spread(parts[-1].real).clamp_min(1e-8)
        self.monitor.add({"diversity": spread, **self._augment.report()})

    def _part(self, piece: Batch, step: Step, keep_graph: bool) -> "_Part":
        normal = torch.randn((len(piece.images), self._recipe.num_latents), device=self._device)
        z = self._recipe.latents(normal)
        with torch.set_grad_enabled(keep_graph):
            asked = in_pairs(piece.tags) if self._options.variety else piece.tags
            fake = self._generate(z, asked)
        return _Part(piece.images, fake, z, replace(step, tags=piece.tags), asked)

    def _generate(self, z: Tensor, tags: Tensor | None) -> Tensor:
        with self._autocast():
            fake: Tensor = self.generator(z, *conditions(tags))
        return fake.float()

    def _set_rates(self, step: Step) -> None:
        """Constant, then linearly to zero; from `nimg` alone, so that a resume is exact."""
        left, cooldown = 1.0 - step.progress, self._options.cooldown
        factor = self.slowdown * (min(1.0, left / cooldown) if cooldown else 1.0)
        groups = [group for optimiser in self._optimisers for group in optimiser.param_groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _update_discriminator(self, parts: Sequence["_Part"]) -> None:
        self._optimisers[1].zero_grad(set_to_none=True)
        for part in parts:
            both = self._augment(torch.cat([part.real, part.fake.detach()]))
            real, fake = both.chunk(2)
            with self._autocast():
                real_logits, fake_logits = self._judge(real, fake, part)
                penalty = self._recipe.discriminator_penalty(
                    self.discriminator, real, fake, part.step
                )
            loss = self._recipe.discriminator_loss(real_logits, fake_logits)
            _backward(loss if penalty is None else loss + penalty, len(parts))
            if (neutral := self._recipe.neutral_logit) is not None:
                self._augment.observe(real_logits - neutral, len(real) * self._world.size)
            told_apart = (real_logits > fake_logits[: len(real)]).double().mean()
            self.monitor.add({"loss_discriminator": loss, "told_apart": told_apart})
            if penalty is not None:
                self.monitor.add({"penalty_discriminator": penalty})
        self._world.average_buffers(self._augment)
        self._descend(self._optimisers[1], self.discriminator)

    def _update_generator(self, parts: Sequence["_Part"], graph_kept: bool) -> None:
        self._optimisers[0].zero_grad(set_to_none=True)
        self.discriminator.requires_grad_(False)  # spares half of the backward pass
        for part in parts:
            tags = part.step.tags
            fake = part.fake if graph_kept else self._generate(part.z, part.asked)
            real_logits = None
            with self._autocast():
                if self._recipe.generator_sees_reals:
                    with torch.no_grad():  # nothing of the generator passes through them
                        real_logits = self._look(part.real, tags)
                fake_logits = self._look(fake, part.asked)
                penalty = self._recipe.generator_penalty(self.generator, part.z, part.step)
            loss = self._recipe.generator_loss(fake_logits, real_logits)
            if self._options.variety and tags is not None:
                alike = sameness(fake, part.real, self._options.variety)
                self.monitor.add({"sameness": alike})
                penalty = SAMENESS_WEIGHT * alike + (0.0 if penalty is None else penalty)
            _backward(loss if penalty is None else loss + penalty, len(parts))
            self.monitor.add({"loss_generator": loss})
            if penalty is not None:
                self.monitor.add({"penalty_generator": penalty})
        self._descend(self._optimisers[0], self.generator)
        self.discriminator.requires_grad_(True)

    def _look(self, images: Tensor, tags: Tensor | None) -> Tensor:
        logits: Tensor = self.discriminator(self._augment(images), *conditions(tags))
        return logits.float()

    def _judge(self, real: Tensor, fake: Tensor, part: "_Part") -> tuple[Tensor, Tensor]:
        """Logits of the reals; those of the fakes, and of reals that have others' tags."""
        tags, asked, num = part.step.tags, part.asked, len(real)
        others = tags.roll(1, 0) if tags is not None and self._recipe.counts_mismatches else None
        if self._recipe.separate_passes:
            seen = self.discriminator(real, *conditions(stacked(tags, others))).float()
            real_logits, *mismatched = seen.split(num)
            fake_logits = self.discriminator(fake, *conditions(asked)).float()
        else:
            wanted = stacked(tags, asked, others, others)
            seen = self.discriminator(torch.cat([real, fake]), *conditions(wanted)).float()
            real_logits, fake_logits, *mismatched = seen.split(num)
        if tags is not None and others is not None:
            differ = (tags != others).any(dim=1)
            fake_logits = torch.cat([fake_logits, mismatched[0][differ]])
        return real_logits, fake_logits

    def _descend(self, optimiser: torch.optim.Optimizer, network: nn.Module) -> None:
        self._world.average_gradients(network)
        optimiser.step()

    def _autocast(self) -> Any:
        # A context each time: it caches weights in bfloat16, which an update makes stale.
        return autocast(self._device, bfloat16=self._options.bfloat16)

    def _seed(self, purpose: int, nimg: int, rank: int) -> None:
        seed_torch(self._options.seed, purpose, nimg, rank)

    def settle(self) -> None:
        """Make all processes agree on what they keep apart, batch statistics above all.

        To be called by all of them before one writes a checkpoint or a snapshot.
        """
        for network in (self.generator, self.discriminator, self.average.module):
            self._world.average_buffers(network)

    def state(self) -> dict[str, Any]:
        """The whole state, for an exact resume."""
        return {
            "nimg": self.nimg,
            "slowdown": self.slowdown,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.module.state_dict(),
            "augment": self._augment.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self._optimisers],
            "monitor": self.monitor.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            KeyError, RuntimeError, ValueError: it does not fit this recipe.
        """
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.module.load_state_dict(state["average"])
        self._augment.load_state_dict(state["augment"])
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.monitor.load_state(state["monitor"], self._device)
        self.nimg, self.slowdown = state["nimg"], state["slowdown"]


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a batch passes the networks at once."""

    real: Tensor
    fake: Tensor
    z: Tensor
    step: Step
    asked: Tensor | None = None  # tags of the fakes


def _pieces(batch: Batch, num: int) -> list[Batch]:
    tags = [None] * num if batch.tags is None else batch.tags.chunk(num)
    return [Batch(images, tag) for images, tag in zip(batch.images.chunk(num), tags, strict=True)]


def _backward(loss: Tensor, num_parts: int) -> None:
    (loss / num_parts).backward()  # type: ignore[no-untyped-call]


def seed_torch(seed: int, purpose: int, nimg: int, rank: int = 0) -> None:
    """Make all that torch draws next depend on these numbers alone."""
    (state,) = np.random.SeedSequence((seed, purpose, nimg, rank)).generate_state(1, np.uint64)
    torch.manual_seed(int(state) >> 1)  # torch wants it signed


def _place(network: nn.Module, device: torch.device) -> nn.Module:
    # Channels last is what convolutions in bfloat16 are fastest in, on CPUs and CUDA alike.
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _spread(images: Tensor) -> Tensor:
    """How much images differ from each other: deviation over the batch at 8x8, a scalar."""
    return F.adaptive_avg_pool2d(images.detach(), 8).std(dim=0).mean()
