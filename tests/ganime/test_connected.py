import cv2
import numpy as np
import pytest

from ganime.connected import figures, filled, large


def noise(height: int, width: int, share: float) -> np.ndarray:
    return np.random.default_rng(height * width).random((height, width)) < share


def areas_by_opencv(content: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    num, labels = cv2.connectedComponents(content.astype(np.uint8), connectivity=8)
    areas = np.bincount(labels.ravel(), minlength=num)
    areas[0] = 0
    return labels, areas


SHAPES = ((1, 1), (1, 40), (40, 1), (2, 2), (64, 37), (200, 256))
SHARES = (0.0, 0.05, 0.3, 0.45, 0.6, 0.95, 1.0)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", SHARES)
def test_large_parts_are_those_of_opencv(shape: tuple[int, int], share: float) -> None:
    content = noise(*shape, share)
    labels, areas = areas_by_opencv(content)
    for fraction in (0.01, 0.2, 1.0):
        wanted = (areas >= fraction * areas.max(initial=1))[labels]
        assert (large(content, fraction) == wanted).all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", SHARES)
def test_what_the_frame_does_not_reach_is_filled(shape: tuple[int, int], share: float) -> None:
    content = noise(*shape, share)
    ground = np.pad((~content).astype(np.uint8), 1, constant_values=1)
    _, labels = cv2.connectedComponents(ground, connectivity=4)
    outside = labels[1:-1, 1:-1] == labels[0, 0]
    assert (filled(content) == ~outside).all()


@pytest.mark.parametrize("share", SHARES)
def test_figures_touch_the_frame_where_opencv_says(share: float) -> None:
    solid = noise(64, 37, share).astype(np.uint8)
    parts = cv2.dilate(solid, np.ones((3, 3), np.uint8))
    labels, areas = areas_by_opencv(parts)
    large_enough = areas >= 0.1 * areas.max(initial=1)
    frames = [(image[:, 0], image[0], image[:, -1], image[-1]) for image in (labels, solid)]
    touched = [(large_enough[part] & (line > 0)).mean() for part, line in zip(*frames, strict=True)]
    found = figures(parts, solid, 0.1, 0.5)
    assert found.touched == pytest.approx(touched)
    assert found.num == np.count_nonzero(areas >= 0.5 * areas.max(initial=1))


def test_a_corner_joins_figures_and_parts_grounds() -> None:
    diagonal = np.eye(9, dtype=np.bool_)
    assert (large(diagonal, 1.0) == diagonal).all()
    diamond = np.zeros((9, 9), np.bool_)
    for step in range(5):  # its outline hangs together by corners alone
        diamond[4 - step, [step, 8 - step]] = diamond[4 + step, [step, 8 - step]] = True
    assert filled(diamond).sum() == 41
