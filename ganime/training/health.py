"""Whether samples are as varied as the images they were learnt from, and not copies of them.

Measured on images reduced to 16x16 pixels: no network, no weights, a second of work, and enough to
see a collapse or a copy. Comparisons between models want `ganime.metrics` instead.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ganime.metrics.neighbours import mean_distance
from ganime.metrics.precision_recall import share_covered

Images = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]

SIDE = 16  # [px]
NEIGHBOURS = 3  # whose distance is the radius of recall (1904.06991, section 3)
AROUND = 50  # neighbours that say how near is near
COPY = 1 / 2  # of their mean distance: a sample nearer than that to one image is a copy of it
MOST_REALS = 1024  # that recall looks at
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Health:
    """What an examination found.

    Attributes:
        spread: Mean distance between samples, of that between real images; 1 is as varied.
        recall: Share of real images that lie among the samples (Kynkäänniemi et al. 1904.06991).
        copied: Share of samples much nearer to one training image than to those around it
            (after Carlini et al. 2301.13188, section 4.2).
    """

    spread: float
    recall: float
    copied: float


class Examiner:
    """Compares samples with the images they were learnt from.

    Args:
        reals: uint8 sRGB [N, R, R, 3]; may be memory-mapped, read once.
        seed: Of which reals recall and spread look at.
    """

    def __init__(self, reals: Images, seed: int = 0) -> None:
        self._reals = vectors_of(reals)
        random = np.random.default_rng(seed)
        chosen = random.choice(len(reals), min(len(reals), MOST_REALS), replace=False)
        self._some = self._reals[np.sort(chosen)]

    def examine(self, samples: Images) -> Health:
        """Compare.

        Args:
            samples: uint8 sRGB [M, R, R, 3], M at least 5.
        """
        fakes = vectors_of(samples)
        return Health(
            spread=mean_distance(fakes) / max(mean_distance(self._some), 1e-8),
            recall=share_covered(self._some, fakes, NEIGHBOURS),
            copied=float(self._copies(fakes).mean()),
        )

    def nearest(self, samples: Images, num: int = 3) -> npt.NDArray[np.int64]:
        """Indices [M, num] of the training images nearest to each sample, nearest first."""
        order = np.argsort(distances(vectors_of(samples), self._reals), axis=1)
        return order[:, :num].astype(np.int64)

    def _copies(self, fakes: Vectors) -> npt.NDArray[np.bool_]:
        num = min(AROUND, len(self._reals))
        apart = np.partition(distances(fakes, self._reals), num - 1, axis=1)[:, :num]
        copied: npt.NDArray[np.bool_] = apart.min(axis=1) < COPY * apart.mean(axis=1)
        return copied


def vectors_of(images: Images) -> Vectors:
    """Images uint8 [N, R, R, 3] as float32 [N, 768], reduced by area, 0-1."""
    small = [cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images]
    flat = np.stack(small).reshape(len(images), -1)
    return (flat / np.float32(255)).astype(np.float32)


def distances(one: Vectors, other: Vectors) -> Vectors:
    """Euclidean distances [N, M] of vectors [N, D] and [M, D]."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None]
    for start in range(0, len(other), _CHUNK):
        squares[:, start : start + _CHUNK] -= 2 * one @ other[start : start + _CHUNK].T
    found: Vectors = np.sqrt(np.maximum(squares, 0)).astype(np.float32)
    return found
