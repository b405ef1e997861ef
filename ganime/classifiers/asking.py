"""Which images to label next: those that teach a question the most, rare kinds included.

The images nearest to the threshold alone never show a kind that is yet unseen: two chibis among the
first ten answers put the threshold far too low, and everything asked for from then on is a no that
looks like one, while hundreds of images scored 1.0 wait. So several wishes take turns, and each
takes the image that suits it most and lies far from what is known:

- before any classifier, typical images: few answers teach the most there (Hacohen, Dekel,
  Weinshall 2022, "Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets",
  arXiv 2202.02794);
- images unlike all known ones, always: they find the kind that nobody has seen (Sener, Savarese
  2018, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", arXiv 1708.00489,
  its greedy k-centre);
- the likeliest of an answer that is rare: it balances what is learned from (Garnett and others
  2012, "Bayesian Optimal Active Search and Surveying", arXiv 1206.6406; Zhang, Katz-Samuels, Nowak
  2022, "GALAXY: Graph-based Active Learning at the Extreme", arXiv 2202.01402);
- unsure images.
"""

from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal

import numpy as np
import numpy.typing as npt

from ganime.classifiers.head import Features, standardise
from ganime.classifiers.logistic import Answers, Numbers

Indices = npt.NDArray[np.int64]
Way = Literal["typical", "unlike the known ones", "likely yes", "likely no", "unsure"]

_COLD: tuple[Way, ...] = ("typical", "unlike the known ones")
_YES_RARE: tuple[Way, ...] = ("likely yes", "unsure", "likely yes", "unlike the known ones")
_NO_RARE: tuple[Way, ...] = ("likely no", "unsure", "likely no", "unlike the known ones")
_EVEN: tuple[Way, ...] = ("unsure", "unsure", "unsure", "unlike the known ones")
_RARE = 0.25  # share of the answers; above it unsure images bring both answers by themselves
_HALVED = 10  # the image of this rank is half as likely as the first: scores saturate, ranks do not
_SAMPLE = 512  # images that directions and densities are taken from: more say the same, only slower
_COMPONENTS = 20  # leading directions; what the others hold makes all distances alike
_NEIGHBOURS = 0.02  # share of the sample that shows how dense a place is
_AT_ONCE = 256  # known images that distances to are held at a time
_LEAST = 1e-6  # weight of certain images: small rather than nothing, so that they have an order too


@dataclass(frozen=True, slots=True)
class Known:
    """Images that were answered.

    Attributes:
        features: float32 [K, D].
        answers: Yes or no [K].
    """

    features: Features
    answers: Answers


def uncertainty(scores: Numbers, threshold: float = 0.5) -> Numbers:
    """1 at the threshold, falling evenly to 0 at the scores 0 and 1.

    Args:
        scores: Probability of yes [N].
        threshold: Yes is above it.

    Returns:
        [N], each in [0, 1].
    """
    room = np.where(scores < threshold, threshold, 1 - threshold)
    found: Numbers = 1 - np.abs(scores - threshold) / np.maximum(room, _LEAST)
    return found


def next_to_label(
    scores: Numbers,
    features: Features,
    num: int,
    seed: int,
    threshold: float = 0.5,
    known: Known | None = None,
) -> Indices:
    """Images worth an answer, see the module; the ways to choose take turns.

    Each choice has the largest product of its weight and its distance to the nearest image that is
    chosen or known. Distances are taken along the leading directions of the standardised features.

    Args:
        scores: Probability of yes [N]; all equal where no classifier is there yet.
        features: Of the same images, float32 [N, D].
        num: How many; at most N are there.
        seed: Draws the sample that densities are taken from, and the first if none is known.
        threshold: Yes is above it.
        known: What was answered; None says nothing about which answer is rare.

    Returns:
        Indices [min(num, N)] in the order of the choice: a smaller num gives the beginning of it.
        Time grows with N x D + num x N, memory beside the arguments with N.
    """
    num = min(max(num, 0), len(scores))
    if num == 0:
        return np.empty(0, np.int64)
    rng = np.random.default_rng(seed)
    places, known_places, sample = _places(features, known, rng)
    turns = ways(scores, known)
    weights = {way: _weight(way, scores, threshold, places, sample) for way in set(turns)}
    nearest = np.full(len(places), np.inf, np.float32)
    for start in range(0, len(known_places), _AT_ONCE):
        far = _distances(places, known_places[start : start + _AT_ONCE])
        nearest = np.minimum(nearest, far.min(axis=1))
    chosen = np.empty(num, np.int64)
    for i, way in enumerate(islice(cycle(turns), num)):
        if np.isinf(nearest[0]):  # nothing is known, so nothing is far from it
            best = int(rng.choice(len(places), p=weights[way] / weights[way].sum()))
        else:
            best = int(np.argmax(weights[way] * nearest))
        chosen[i] = best
        nearest = np.minimum(nearest, _distances(places, places[[best]])[:, 0])
        nearest[best] = -1.0  # less than a copy's 0, whatever is chosen next
    return chosen


def ways(scores: Numbers, known: Known | None = None) -> tuple[Way, ...]:
    """Reasons that take turns in `next_to_label`, whose arguments these are."""
    if not len(scores) or np.ptp(scores) == 0:
        return _COLD
    if known is None:
        return _EVEN
    rarer = rarer_answer(int(known.answers.sum()), int((~known.answers).sum()))
    if rarer is None:
        return _EVEN
    return _YES_RARE if rarer else _NO_RARE


def rarer_answer(yes: int, no: int) -> bool | None:
    """The answer of which too few are known; None where neither is rare.

    Args:
        yes: How many images were answered so.
        no: How many otherwise.
    """
    if min(yes, no) > _RARE * (yes + no):
        return None
    return yes <= no  # where nothing is known: what is asked for is seldom the rule


def _weight(
    way: Way, scores: Numbers, threshold: float, places: Features, sample: Indices
) -> Numbers:
    """How much each image suits a way [N], > 0."""
    if way == "unlike the known ones":
        return np.ones(len(scores))
    if way == "unsure":
        return np.maximum(uncertainty(scores, threshold), _LEAST)
    if way == "typical":
        return 1 / _spread(places, sample)
    ranks = np.empty(len(scores))
    order = np.argsort(scores if way == "likely no" else -scores, kind="stable")
    ranks[order] = np.arange(len(scores))
    return 1 / (_HALVED + ranks)


def _places(
    features: Features, known: Known | None, rng: np.random.Generator
) -> tuple[Features, Features, Indices]:
    """Where the images [N, K] and the known ones lie, and the sample among the former."""
    sample = np.sort(rng.permutation(len(features))[:_SAMPLE])
    mean, scale, basis = standardise(features[sample], _COMPONENTS)
    weights = (basis / scale[:, None]).astype(np.float32)
    origin = (mean @ weights).astype(np.float32)
    answered = features[:0] if known is None else known.features
    return features @ weights - origin, answered @ weights - origin, sample


def _spread(places: Features, sample: Indices) -> Numbers:
    """Mean distance of each image to its nearest ones of the sample [N], > 0."""
    far = _distances(places, places[sample])
    far[sample, np.arange(len(sample))] = np.inf  # nobody is a neighbour of oneself
    count = max(1, min(round(_NEIGHBOURS * len(sample)), len(sample) - 1))
    near = np.partition(far, count - 1, axis=1)[:, :count].mean(axis=1, dtype=np.float64)
    # A heap of copies is not endlessly typical; a lone image has no neighbours at all.
    usual = float(np.median(near)) if np.isfinite(near).all() else 1.0
    found: Numbers = np.clip(near, max(0.1 * usual, _LEAST), 1 / _LEAST)
    return found


def _distances(places: Features, others: Features) -> Features:
    """From each of the images to each of the others [N, M]."""
    squares = np.einsum("nk,nk->n", places, places)[:, None]
    squared = squares + np.einsum("mk,mk->m", others, others) - 2 * places @ others.T
    found: Features = np.sqrt(np.maximum(squared, 0))
    return found
