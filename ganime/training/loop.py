"""The trainer: one step of any recipe, and the whole state of a run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans import Recipe
from ganime.training.augment import Change, augment
from ganime.training.dataset import Batches
from ganime.training.device import autocast
from ganime.training.ema import MovingAverage
from ganime.training.monitor import Monitor

_INIT, _STEP = 11, 12  # tell the random streams apart


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands.

    Attributes:
        nimg: Real images shown so far, those before a resume included.
        total: Real images to show.
        images_per_second: Real images shown per second, lately.
        eta_s: Time to go [s] at that rate.
        losses: Means of the last row of metrics, by name.
    """

    nimg: int
    total: int
    images_per_second: float
    eta_s: float
    losses: Mapping[str, float] = field(default_factory=dict)


class Trainer:
    """Two networks on their way; call `step` until `done`.

    Args:
        recipe: What to train.
        resolution: Side of the images [px].
        batches: The real images.
        batch: Images per batch, B.
        total: Real images to show.
        ema_nimg: Half-life of the moving average, in images.
        changes: What DiffAugment changes.
        device: Where.
        bfloat16: Whether the networks compute in bfloat16.
        seed: Of all random numbers.
        cooldown: Last share of the run in which the learning rates fall to zero.

    Attributes:
        nimg: Real images shown so far.
        average: The generator's moving average.
        monitor: Means of the losses.
    """

    def __init__(
        self,
        recipe: Recipe,
        resolution: int,
        batches: Batches,
        *,
        batch: int,
        total: int,
        ema_nimg: float,
        changes: Sequence[Change],
        device: torch.device,
        bfloat16: bool,
        seed: int,
        cooldown: float = 0.0,
    ) -> None:
        self._cooldown = cooldown
        self._recipe, self._batches, self._batch = recipe, batches, batch
        self._total, self._changes, self._seed = total, changes, seed
        self._device, self._bfloat16 = device, bfloat16
        seed_torch(seed, _INIT, 0)
        self.generator = _place(recipe.generator(resolution), device)
        self.discriminator = _place(recipe.discriminator(resolution), device)
        self._optimisers = recipe.optimisers(self.generator, self.discriminator)
        groups = [group for optimiser in self._optimisers for group in optimiser.param_groups]
        self._rates = [group["lr"] for group in groups]
        self.average = MovingAverage(self.generator, ema_nimg)
        self.monitor = Monitor()
        self.nimg = 0

    @property
    def done(self) -> bool:
        """Whether all images were shown."""
        return self.nimg >= self._total

    def step(self) -> None:
        """One update of the generator and those of the discriminator that come before it."""
        before = self.nimg
        for _ in range(self._recipe.discriminator_steps):
            seed_torch(self._seed, _STEP, self.nimg)
            self._recipe.advance(self.generator, self.discriminator, self.nimg, self._total)
            self._set_rates()
            real = self._batches.at(self.nimg).to(self._device)
            z = torch.randn((self._batch, self._recipe.num_latents), device=self._device)
            with self._autocast():
                fake = self.generator(z).float()
            self._update_discriminator(real, fake.detach())
            self.nimg += len(real)
        self._update_generator(real, fake, z)
        self.average.update(self.nimg, self.nimg - before)
        self.monitor.add({"diversity": _spread(fake) / _spread(real).clamp_min(1e-8)})

    def _set_rates(self) -> None:
        """Constant, then linearly to zero; from `nimg` alone, so that a resume is exact."""
        left = (self._total - self.nimg) / self._total
        factor = min(1.0, left / self._cooldown) if self._cooldown else 1.0
        groups = [group for optimiser in self._optimisers for group in optimiser.param_groups]
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def _update_discriminator(self, real: Tensor, fake: Tensor) -> None:
        real, fake = augment(torch.cat([real, fake]), self._changes).chunk(2)
        with self._autocast():
            real_logits, fake_logits = self._judge(real, fake)
            penalty = self._recipe.discriminator_penalty(self.discriminator, real, fake, self.nimg)
        loss = self._recipe.discriminator_loss(real_logits, fake_logits)
        _descend(self._optimisers[1], loss if penalty is None else loss + penalty)
        told_apart = (real_logits > fake_logits).double().mean()
        self.monitor.add({"loss_discriminator": loss, "told_apart": told_apart})
        if penalty is not None:
            self.monitor.add({"penalty_discriminator": penalty})

    def _update_generator(self, real: Tensor, fake: Tensor, z: Tensor) -> None:
        self.discriminator.requires_grad_(False)  # spares half of the backward pass
        real_logits = None
        with self._autocast():
            if self._recipe.generator_sees_reals:
                fake, real = augment(torch.cat([fake, real]), self._changes).chunk(2)
                real_logits, fake_logits = self._judge(real, fake)
            else:
                fake_logits = self.discriminator(augment(fake, self._changes)).float()
            penalty = self._recipe.generator_penalty(self.generator, z, self.nimg)
        loss = self._recipe.generator_loss(fake_logits, real_logits)
        _descend(self._optimisers[0], loss if penalty is None else loss + penalty)
        self.discriminator.requires_grad_(True)
        self.monitor.add({"loss_generator": loss})
        if penalty is not None:
            self.monitor.add({"penalty_generator": penalty})

    def _judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if self._recipe.separate_passes:
            return self.discriminator(real).float(), self.discriminator(fake).float()
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).float().chunk(2)
        return real_logits, fake_logits

    def _autocast(self) -> Any:
        # A context each time: it caches weights in bfloat16, which an update makes stale.
        return autocast(self._device, bfloat16=self._bfloat16)

    def state(self) -> dict[str, Any]:
        """The whole state, for an exact resume."""
        return {
            "nimg": self.nimg,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.module.state_dict(),
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
        for optimiser, saved in zip(self._optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.monitor.load_state(state["monitor"], self._device)
        self.nimg = state["nimg"]


class Pace:
    """Images per second over the last stretch of a run."""

    def __init__(self, nimg: int) -> None:
        self._marks = [(time.perf_counter(), nimg)]

    def progress(self, nimg: int, total: int, losses: Mapping[str, float]) -> Progress:
        """Take note of a step and say where training stands."""
        now = time.perf_counter()
        self._marks = [*self._marks[-50:], (now, nimg)]  # forgets the slow first steps
        start, first = self._marks[0]
        rate = (nimg - first) / max(now - start, 1e-9)
        return Progress(nimg, total, rate, max(total - nimg, 0) / max(rate, 1e-9), losses)


def seed_torch(seed: int, purpose: int, nimg: int) -> None:
    """Make all that torch draws next depend on these numbers alone."""
    (state,) = np.random.SeedSequence((seed, purpose, nimg)).generate_state(1, np.uint64)
    torch.manual_seed(int(state) >> 1)  # torch wants it signed


def _place(network: nn.Module, device: torch.device) -> nn.Module:
    # Channels last is what convolutions in bfloat16 are fastest in, on CPUs and CUDA alike.
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def _spread(images: Tensor) -> Tensor:
    """How much images differ from each other: deviation over the batch at 8x8, a scalar."""
    return F.adaptive_avg_pool2d(images.detach(), 8).std(dim=0).mean()
