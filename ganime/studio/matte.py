"""Cut a character out of a plain ground: soft edges whose colours no longer hold the ground's."""

import cv2
import numpy as np
import numpy.typing as npt

from ganime.borders import border_colour

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
LEAST_TOLERANCE = 10.0  # levels of 255: what JPEG and a network's noise leave on a plain ground
MOST_TOLERANCE = 40.0  # beyond it skin and pale hair would be ground
SPREAD = 3.0  # of the border's usual distance from its median, that is still ground
ISLAND_TOLERANCE = 2.0  # levels between mean colours: enclosed ground is ground, white cloth is not
LEAST_ISLAND = 0.0008  # of the image: between arm and body; smaller ones are glints
EDGE_SHARE = 1 / 192  # of the side: width of the band in which edges are soft, at least 1 px


def cut_out(pixels: Pixels) -> Pixels:
    """The character alone.

    The ground is what is connected with the border and has nearly its median colour, and enclosed
    regions that match it closely. Along its edge each pixel is taken for a mixture of the ground
    and of the nearest colour inside (the compositing equation of Porter and Duff, Compositing
    Digital Images, 1984, solved for both alpha and colour).

    Args:
        pixels: uint8 sRGB [H, W, 3], a character on a plain ground.

    Returns:
        uint8 sRGB with straight alpha [H, W, 4]; all opaque where there is no plain ground.
    """
    colour = np.asarray(border_colour(pixels), np.float32)
    image = pixels.astype(np.float32)
    distance = np.linalg.norm(image - colour, axis=2).astype(np.float32)
    outside = _ground(image, distance)
    if outside.all() or not outside.any():
        return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    alpha, inner = _edges(image, colour, distance, outside)
    restored = _without_ground(image, colour, alpha, inner)
    return np.dstack([restored, np.rint(alpha * 255)]).astype(np.uint8)


def _ground(image: Floats, distance: Floats) -> Mask:
    """Where the ground is, from distances to its colour [H, W]."""
    border = np.concatenate([distance[0], distance[-1], distance[:, 0], distance[:, -1]])
    tolerance = float(np.clip(SPREAD * np.median(border), LEAST_TOLERANCE, MOST_TOLERANCE))
    near = distance <= tolerance
    # Diagonal steps are none: a thin outline keeps the ground out.
    num, labels = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_ground = np.zeros(num, bool)
    is_ground[edges] = True
    is_ground[0] = False  # all that is not near
    return np.asarray(
        (is_ground | _islands(image, np.asarray(labels, np.int32), is_ground, num))[labels]
    )


def _islands(image: Floats, labels: npt.NDArray[np.int32], ground: Mask, num: int) -> Mask:
    """Which regions [num] are enclosed ground: as large as a gap, and of the same mean colour."""
    flat = labels.ravel()
    areas = np.bincount(flat, minlength=num)
    sums = [np.bincount(flat, image[..., channel].ravel(), minlength=num) for channel in range(3)]
    means = np.stack(sums, axis=1) / np.maximum(areas, 1)[:, None]
    if not ground.any():
        return ground
    own = np.average(means[ground], axis=0, weights=areas[ground])
    close = np.abs(means - own).max(axis=1) <= ISLAND_TOLERANCE
    close[0] = False
    return np.asarray(close & (areas >= LEAST_ISLAND * flat.size))


def _edges(image: Floats, colour: Floats, distance: Floats, outside: Mask) -> tuple[Floats, Floats]:
    """Alpha [H, W], and the colour [H, W, 3] that each pixel would have without the ground."""
    width = max(1, round(EDGE_SHARE * min(outside.shape)))
    depth = cv2.distanceTransform((~outside).astype(np.uint8), cv2.DIST_C, 3)
    inner = _strongest_inside(image, distance, np.asarray(depth), width)
    away = inner - colour
    share = np.sum((image - colour) * away, axis=2) / np.maximum(np.sum(away**2, axis=2), 1.0)
    alpha = np.where(depth > width, 1.0, np.clip(share, 0, 1))
    beside = cv2.dilate((~outside).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.where(outside & ~beside, 0.0, alpha).astype(np.float32), inner


def _strongest_inside(image: Floats, distance: Floats, depth: Floats, width: int) -> Floats:
    """The colour farthest from the ground's within reach and no nearer to the edge than the pixel.

    An outline's own pixels are thus not taken for mixtures with what they enclose.
    """
    reach = width + 1
    strongest, colours = distance.copy(), image.copy()
    padded = [_widened(one, reach) for one in (distance, depth)]
    wide = _widened(image, reach)
    height, across = distance.shape
    for down in range(2 * reach + 1):
        for right in range(2 * reach + 1):
            part = (slice(down, down + height), slice(right, right + across))
            better = (padded[0][part] > strongest) & (padded[1][part] > depth)
            strongest = np.where(better, padded[0][part], strongest)
            colours[better] = wide[part][better]
    return colours


def _widened(array: Floats, reach: int) -> Floats:
    wide = cv2.copyMakeBorder(array, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    return np.asarray(wide, np.float32)


def _without_ground(image: Floats, colour: Floats, alpha: Floats, inner: Floats) -> Floats:
    """Colours [H, W, 3] as they were before the ground shone through."""
    share = alpha[..., None]
    pure = (image - (1 - share) * colour) / np.maximum(share, 1e-3)
    # Of what is hardly there the division would make noise.
    restored = np.where(share >= 0.25, pure, inner)
    return np.asarray(np.clip(np.rint(restored), 0, 255), np.float32)
