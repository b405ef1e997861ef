"""Distances between all pairs of two sets of features, a bounded number of them at a time.

In float64, since |a|² + |b|² - 2ab loses half of the digits of close pairs, and around the centre,
which keeps more of them. Besides the distances, one set is held in float64. Runs on CUDA where
there is one.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from ganime.device import choose_device

Numbers = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Given = npt.NDArray[np.floating]
_DISTANCES = 2**23  # at a time: 64 MB
# Strictly inside a ball: rounding must not decide whether a centre's own k-th neighbour, which lies
# on the border by definition, is in it.
_INSIDE = 1 - 1e-9


def kth_distances(features: Given, k: int) -> Numbers:
    """Distance of each image to its k-th nearest other [N].

    Args:
        features: [N, D], N above k.
        k: From 1.
    """
    found = np.empty(len(features))
    for rows, squared in _chunks(features, features):
        _without_self(squared, rows)
        # Sorting the few smallest is faster than finding the k-th alone.
        found[rows] = squared.topk(k, largest=False).values[:, -1].sqrt().cpu().numpy()
    return found


def nearest(points: Given, others: Given, *, same: bool = False) -> tuple[Numbers, Counts]:
    """The nearest of the others to each point; its distance is exact, 0 for a copy.

    Args:
        points: [M, D].
        others: [N, D].
        same: Both are the same set, and an image is not its own neighbour.

    Returns:
        Distances [M], indices into the others [M].
    """
    distances, indices = np.empty(len(points)), np.empty(len(points), np.int64)
    for rows, squared in _chunks(points, others):
        if same:
            _without_self(squared, rows)
        chosen = squared.argmin(dim=1).cpu().numpy()
        indices[rows] = chosen
        gaps = points[rows].astype(np.float64) - others[chosen]
        distances[rows] = np.sqrt((gaps * gaps).sum(axis=1))
    return distances, indices


def ball_counts(centres: Given, radii: Numbers, points: Given) -> tuple[Counts, Counts]:
    """Which points lie in which balls, counted both ways.

    Args:
        centres: [N, D].
        radii: [N].
        points: [M, D].

    Returns:
        How many balls hold each point [M], how many points each ball holds [N].
    """
    of_points, of_balls = np.zeros(len(points), np.int64), np.zeros(len(centres), np.int64)
    limits: torch.Tensor | None = None
    for rows, squared in _chunks(points, centres):
        if limits is None:
            limits = torch.as_tensor(radii**2 * _INSIDE).to(squared.device)
        inside = squared < limits
        of_points[rows] = inside.sum(dim=1).cpu().numpy()
        of_balls += inside.sum(dim=0).cpu().numpy()
    return of_points, of_balls


def mean_distance(features: Given) -> float:
    """Mean distance of all pairs of different images."""
    total = 0.0
    for rows, squared in _chunks(features, features):
        distances = squared.sqrt()
        _without_self(distances, rows, 0.0)
        total += float(distances.sum())
    return total / (len(features) * (len(features) - 1))


def _chunks(points: Given, others: Given) -> Iterator[tuple[slice, torch.Tensor]]:
    """Squared distances of some points at a time to all the others [rows, N]."""
    device = choose_device("auto")
    centre = others.mean(axis=0, dtype=np.float64)
    right = torch.as_tensor(others - centre).to(device)
    right_norms = (right * right).sum(dim=1)
    size = max(1, _DISTANCES // len(others))
    for start in range(0, len(points), size):
        left = torch.as_tensor(points[start : start + size] - centre).to(device)
        norms = (left * left).sum(dim=1, keepdim=True) + right_norms
        squared = torch.addmm(norms, left, right.T, alpha=-2).clamp_(min=0)
        yield slice(start, start + len(left)), squared


def _without_self(found: torch.Tensor, rows: slice, value: float = float("inf")) -> None:
    own = torch.arange(len(found), device=found.device)
    found[own, own + rows.start] = value
