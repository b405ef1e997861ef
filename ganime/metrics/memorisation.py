"""Which samples are copies of training images.

The nearest training image of each sample, its distance divided by how dense the training images
are there (Carlini et al., Extracting Training Data from Diffusion Models, 2023, 2301.13188), held
against the same of real images that were not trained on (Stein et al. 2306.04675).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ganime.metrics import METRICS, Features, Metric, Sets, Value, at_least
from ganime.metrics.neighbours import kth_distances, nearest

Numbers = npt.NDArray[np.float64]


@METRICS.register("memorisation")
class Memorisation(Metric):
    """Share of the samples that are nearer to a training image than unseen real images are."""

    quantile: float = Field(
        0.01, gt=0, lt=0.5, description="Share of unseen reals that would count as copies."
    )
    k: int = Field(
        5, ge=1, description="Density is the distance to the k-th nearest training image."
    )
    worst: int = Field(16, ge=1, description="Nearest pairs to name, for a sheet.")

    def measure(self, sets: Sets) -> list[Value]:
        """`memorisation` in 0-1; a generator that copies nothing has `expected`.

        Without held-out images the training images stand for them, each against the others. Where
        these hold near-duplicates, the threshold sinks and copies of those are missed: see
        `calibration` in the details. `pairs` names sample, training image and ratio, the nearest
        first.
        """
        at_least(min(len(sets.real), len(sets.fake)), self.k + 1, "memorisation")
        found = copies(sets.real, sets.fake, sets.held_out, quantile=self.quantile, k=self.k)
        order = np.argsort(found.ratios, kind="stable")[: self.worst]
        details = {
            "threshold": found.threshold,
            "expected": self.quantile,
            "calibration": "leave-one-out" if sets.held_out is None else "held-out",
            "pairs": [
                [int(fake), int(found.originals[fake]), float(found.ratios[fake])] for fake in order
            ],
        }
        share = float(np.mean(found.ratios < found.threshold))
        return [Value("memorisation", share, details=details)]


@dataclass(frozen=True)
class Copies:
    """How near samples are to training images.

    Attributes:
        ratios: Distance to the nearest training image by the density there [M]; 0 for a copy.
        originals: Index of that image [M].
        threshold: Samples below it count as copies.
    """

    ratios: Numbers
    originals: npt.NDArray[np.int64]
    threshold: float


def copies(
    real: Features, fake: Features, held_out: Features | None, *, quantile: float, k: int
) -> Copies:
    """Find copies.

    Args:
        real: The training images [N, D].
        fake: The samples [M, D].
        held_out: Real images that were not trained on [H, D]; None takes the training images, each
            against the others.
        quantile: Share of the unseen that lies below the threshold.
        k: See `Memorisation`.
    """
    # Where images repeat the density is infinite; a copy of such a one still has the ratio 0.
    scale = np.maximum(kth_distances(real, k), np.finfo(np.float32).tiny)
    distances, originals = nearest(fake, real)
    if held_out is None:
        unseen, theirs = nearest(real, real, same=True)
    else:
        unseen, theirs = nearest(held_out, real)
    threshold = float(np.quantile(unseen / scale[theirs], quantile))
    return Copies(distances / scale[originals], originals, threshold)
