"""The moving average of a generator: samples better than the generator itself."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

RAMP = 0.1  # the half-life is at most this share of the images shown: early weights are forgotten


class MovingAverage:
    """Exponential moving average of a module's parameters, its half-life counted in images.

    Args:
        module: What to follow.
        half_life_nimg: After so many images, what was learnt before counts one half.

    Attributes:
        module: The average, in evaluation mode.
    """

    def __init__(self, module: nn.Module, half_life_nimg: float) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self._half_life = half_life_nimg
        self._averages = list(self.module.parameters())
        self._followed = list(module.parameters())
        self._buffers = list(zip(self.module.buffers(), module.buffers(), strict=True))

    def update(self, nimg: int, shown: int) -> None:
        """Take in the module as it is now.

        Args:
            nimg: Real images shown so far, `shown` included.
            shown: Real images shown since the last update.
        """
        decay = ema_decay(nimg, shown, self._half_life)
        with torch.no_grad():
            averages: Sequence[Any] = self._averages
            step = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            step(averages, self._followed, None)
            for average, followed in self._buffers:
                average.copy_(followed)


def ema_decay(nimg: int, shown: int, half_life_nimg: float) -> float:
    """Weight of the old average: 0.5^(shown / half-life), the half-life warmed up by `nimg`."""
    half_life = min(half_life_nimg, nimg * RAMP)
    return float(0.5 ** (shown / max(half_life, 1e-8)))


def calibrated(module: nn.Module, inputs: Sequence[Sequence[Tensor]]) -> nn.Module:
    """A copy whose batch norms hold the statistics of its own weights.

    Averaged weights have other activations than the ones that the running statistics were taken
    from; a few batches under a fixed seed measure them anew.

    Args:
        module: A generator.
        inputs: Arguments of each call that measures.

    Returns:
        The copy, in evaluation mode.
    """
    module = copy.deepcopy(module)
    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # plain mean over the batches
        layer.train()
    if norms:
        device = next(module.parameters()).device
        with torch.no_grad():
            for arguments in inputs:
                module(*(argument.to(device) for argument in arguments))
    return module.eval()
