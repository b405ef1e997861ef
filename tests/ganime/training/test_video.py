import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from ganime.errors import ConfigError
from ganime.training.video import animation

FRAMES = [np.full((32, 48, 3), level, np.uint8) for level in (0, 120, 240)]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_an_animation_shows_every_picture_in_order(suffix: str) -> None:
    made = Image.open(io.BytesIO(animation(FRAMES, 10, suffix)))
    assert made.size == (48, 32)
    assert made.n_frames == 3
    for number, frame in enumerate(FRAMES):
        made.seek(number)
        level = np.asarray(made.convert("RGB")).mean()
        assert level == pytest.approx(frame.mean(), abs=4)
    assert made.info["duration"] == 100


def test_the_last_picture_is_held() -> None:
    made = Image.open(io.BytesIO(animation(FRAMES, 10, ".webp", hold=True)))
    durations = []
    for number in range(made.n_frames):
        made.seek(number)
        made.load()
        durations.append(made.info["duration"])
    assert sum(durations) == pytest.approx(300 + 2000, abs=100)


def test_a_video_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "frames.mp4"
    path.write_bytes(animation(FRAMES, 10, ".mp4"))
    video = cv2.VideoCapture(str(path))
    levels = []
    while True:
        more, frame = video.read()
        if not more:
            break
        levels.append(frame.mean())
    assert levels == pytest.approx([0, 120, 240], abs=6)


def test_another_suffix_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\.gif, \.webp, \.mp4, not in '\.avi'"):
        animation(FRAMES, 10, ".avi")
