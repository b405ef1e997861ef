"""Which of many characters differ most from each other."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
SIDE = 16  # px of what is compared: pose, hair and dress, not single pixels


def farthest(images: Sequence[Pixels], num: int) -> list[int]:
    """Places of images, each the farthest from all before it (Gonzalez: Clustering to Minimize the
    Maximum Intercluster Distance, 1985).

    Args:
        images: uint8 sRGB [R, R, 3] each.
        num: How many, at most as many as there are.

    Returns:
        Places, the image nearest to the mean first: a usual one, then what differs from it.
    """
    features = np.stack([_features(image) for image in images])
    chosen = [int(np.linalg.norm(features - features.mean(axis=0), axis=1).argmin())]
    gaps = np.linalg.norm(features - features[chosen[0]], axis=1)
    while len(chosen) < num:
        gaps[chosen] = -1  # equal images are no reason to choose one twice
        place = int(gaps.argmax())
        chosen.append(place)
        gaps = np.minimum(gaps, np.linalg.norm(features - features[place], axis=1))
    return chosen


def _features(image: Pixels) -> npt.NDArray[np.float32]:
    """Colours in CIELAB, where equal distances look equally large, of a small copy."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab.ravel(), np.float32)
