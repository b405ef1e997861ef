"""Whether two thumbnails show the same drawing: the check behind every near-duplicate edge.

Hashes only propose pairs. On white ground two different characters in one pose have nearly equal
hashes, and a recoloured one has an equal hash, so every pair is verified in colour on 32x32 px:
aligned first (a crop or a caption moves the content by a pixel or two), freed of a global tint,
then compared as a whole and region by region.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

MIN_SKETCH_CORRELATION = 0.8  # of 12,000 pairs of altered copies of real art none is below 0.87
_SIDE = 32
_STEPS = 4  # of alignment; further ones change nothing
_MAX_SHIFT = 3.0  # [px] of 32 at the edge: about a tenth of the picture
_MARGIN = 2  # [px] left out: an alignment has nothing to compare with there
_REGION = 5  # side of a region [px]: a head of a standing figure
_DETAIL = 3  # side of a smaller one [px]: its shoes, or the mouth of a portrait
_CORRELATION_WEIGHT = 2.0  # a correlation of 0.925 is a similarity of 0.85
# Mean differences of a region's colour that make a similarity of 0. By 5,000 altered copies of real
# art and all its pairs of near hashes: 99 of 100 copies stay below 20, 43 and 13 levels; portraits
# with another brow have 50 in a detail, sprites with other shoes 48.
_REGION_TOLERANCE = 220.0
_DETAIL_TOLERANCE = 300.0
_HUE_TOLERANCE = 110.0  # of red and blue, each less its green
_GAINS = (0.85, 1.18)  # a tint beyond these is another picture


def similarity(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> Floats:
    """How surely pairs of thumbnails show the same drawing.

    The smallest of four measures: of structure, the normalised cross-correlation of all colours;
    of parts that were redrawn, the largest mean difference of any region, 5x5 px, and of any
    detail, 3x3 px; of parts that were recoloured, the same of a region's hue alone, which
    misaligned outlines hardly touch. They are scaled so that 0.85 is the same distance from copies
    and from other pictures in each.

    Args:
        one: uint8 sRGB [N, 32, 32, 3].
        other: uint8 sRGB [N, 32, 32, 3], already mirrored where that is the question.

    Returns:
        float32 [N], 0-1.
    """
    target, moving = one.astype(np.float32), other.astype(np.float32)
    moving = align(target, moving)
    inner = (slice(None), slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
    target, moving = target[inner], moving[inner]
    moving = _same_tint(target, moving)
    structure = 1 - (1 - correlation(target, moving)) * _CORRELATION_WEIGHT
    sums = _sums(target - moving)
    hue_sums = _sums(_hue(target) - _hue(moving))
    parts = 1 - _largest_mean(sums, _REGION) / _REGION_TOLERANCE
    details = 1 - _largest_mean(sums, _DETAIL) / _DETAIL_TOLERANCE
    hues = 1 - _largest_mean(hue_sums, _REGION) / _HUE_TOLERANCE
    least: Floats = np.minimum.reduce([structure, parts, details, hues])
    return least.clip(0, 1)


def sketches(thumbnails: npt.NDArray[np.uint8]) -> Floats:
    """What is left of thumbnails at 8x8 px, normalised: a dot product is their correlation.

    A pair with a correlation below `MIN_SKETCH_CORRELATION` is never the same drawing, which spares
    most candidates the closer look.

    Args:
        thumbnails: uint8 sRGB [N, 32, 32, 3].

    Returns:
        float32 [N, 192] of length 1, or 0 where a picture is flat.
    """
    coarse = thumbnails.astype(np.float32).reshape(-1, 8, 4, 8, 4, 3).mean(axis=(2, 4))
    coarse = (coarse - coarse.mean(axis=(1, 2), keepdims=True)).reshape(-1, 192)
    length = np.sqrt((coarse * coarse).sum(axis=1, keepdims=True))
    normalised: Floats = coarse / np.maximum(length, 1.0)
    return normalised


def correlation(one: Floats, other: Floats) -> Floats:
    """Normalised cross-correlation over pixels and channels, each channel around its own mean.

    Args:
        one: [N, H, W, 3].
        other: [N, H, W, 3].

    Returns:
        float32 [N], -1 to 1; two flat pictures have 1, a flat and another 0.
    """
    one = one - one.mean(axis=(1, 2), keepdims=True)
    other = other - other.mean(axis=(1, 2), keepdims=True)
    axes = (1, 2, 3)
    energy = np.stack([(one * one).mean(axis=axes), (other * other).mean(axis=axes)])
    product = (one * other).mean(axis=axes)
    flat = energy < 1.0  # level²: nothing but rounding
    both_flat = flat.all(axis=0)
    ratio = product / np.sqrt(np.maximum(energy[0] * energy[1], 1.0))
    result: Floats = np.where(both_flat, 1.0, np.where(flat.any(axis=0), 0.0, ratio))
    return result.astype(np.float32)


def align(target: Floats, moving: Floats) -> Floats:
    """Shift and stretch pictures onto others, each axis by itself, by a tenth at most.

    Gauss-Newton on the squared difference of the blurred grey pictures (Lucas, Kanade: An Iterative
    Image Registration Technique with an Application to Stereo Vision, 1981), all pairs at once.

    Args:
        target: [N, 32, 32, 3].
        moving: [N, 32, 32, 3].

    Returns:
        float32 [N, 32, 32, 3], `moving` as it lies best on `target`.
    """
    grey_target = _BLUR @ target.mean(axis=3) @ _BLUR.T
    grey_moving = _BLUR @ moving.mean(axis=3) @ _BLUR.T
    offset = np.zeros((len(target), 4), np.float32)  # shift x, stretch x, shift y, stretch y [px]
    for _ in range(_STEPS):
        moved = _sample(grey_moving[..., None], offset)[..., 0]
        down, across = np.gradient(moved, axis=(1, 2))
        slopes = np.stack([across, across * _UNIT, down, down * _UNIT[:, None]], axis=1)
        slopes = slopes.reshape(-1, 4, _SIDE * _SIDE)
        rest = (grey_target - moved).reshape(-1, _SIDE * _SIDE, 1)
        normal = slopes @ slopes.transpose(0, 2, 1)
        # The ridge leaves directions without any structure where they are.
        ridge = 1 + 1e-3 * normal.trace(axis1=1, axis2=2)
        normal += ridge[:, None, None] * np.eye(4, dtype=np.float32)
        offset = offset + np.linalg.solve(normal, slopes @ rest)[..., 0]
        offset = offset.clip(-_MAX_SHIFT, _MAX_SHIFT)
    moved = _sample(moving, offset)
    better = _distance(target, moved) < _distance(target, moving)
    return np.where(better[:, None, None, None], moved, moving)


def _sample(pictures: Floats, offset: Floats) -> Floats:
    """Pictures [N, 32, 32, C] at shifted and stretched places, linear between pixels."""
    columns = _weights(_PLACE + offset[:, :1] + offset[:, 1:2] * _UNIT)
    rows = _weights(_PLACE + offset[:, 2:3] + offset[:, 3:] * _UNIT)
    channels = pictures.transpose(0, 3, 1, 2)
    sampled = rows[:, None] @ channels @ columns[:, None].transpose(0, 1, 3, 2)
    return np.ascontiguousarray(sampled.transpose(0, 2, 3, 1))


def _weights(places: Floats) -> Floats:
    """Matrices [N, 32, 32] that interpolate a line at these places, clamped at its ends."""
    distance = np.abs(places.clip(0, _SIDE - 1)[..., None] - _PLACE)
    weights: Floats = np.maximum(0, 1 - distance)
    return weights


def _same_tint(target: Floats, moving: Floats) -> Floats:
    """`moving` with each channel scaled and shifted to fit the target's best."""
    axes = (1, 2)
    mean_target = target.mean(axis=axes, keepdims=True)
    mean_moving = moving.mean(axis=axes, keepdims=True)
    centred = moving - mean_moving
    energy = np.maximum((centred * centred).mean(axis=axes, keepdims=True), 1.0)
    gain = ((target - mean_target) * centred).mean(axis=axes, keepdims=True) / energy
    tinted: Floats = centred * gain.clip(*_GAINS) + mean_target
    return tinted


def _sums(difference: Floats) -> Floats:
    """Sums [N, H + 1, W + 1, C] over all that lies above and left of a place."""
    sums: Floats = np.pad(difference, ((0, 0), (1, 0), (1, 0), (0, 0))).cumsum(1).cumsum(2)
    return sums


def _largest_mean(sums: Floats, side: int) -> Floats:
    """Largest length of the mean difference of any square region, over all channels [N]."""
    k = side
    means = (sums[:, k:, k:] - sums[:, :-k, k:] - sums[:, k:, :-k] + sums[:, :-k, :-k]) / k**2
    length: Floats = np.sqrt((means * means).sum(axis=3).max(axis=(1, 2)))
    return length


def _hue(pictures: Floats) -> Floats:
    """Red and blue less green [N, H, W, 2]: what is left of colour without its brightness."""
    return pictures[..., ::2] - pictures[..., 1:2]


def _distance(one: Floats, other: Floats) -> Floats:
    distance: Floats = np.abs(one - other).mean(axis=(1, 2, 3))
    return distance


def _blur_matrix() -> Floats:
    """Gaussian blur of 1 px, so that a step of a pixel or two is seen from where it starts."""
    weights = np.exp(-0.5 * (_PLACE[:, None] - _PLACE) ** 2)
    blur: Floats = weights / weights.sum(axis=1, keepdims=True)
    return blur


_PLACE = np.arange(_SIDE, dtype=np.float32)
_UNIT = ((_PLACE - (_SIDE - 1) / 2) / ((_SIDE - 1) / 2)).astype(np.float32)
_BLUR = _blur_matrix()
