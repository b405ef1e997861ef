"""Animations: pictures after each other in one file."""

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ganime.errors import ConfigError

Pixels = npt.NDArray[np.uint8]
SUFFIXES = (".gif", ".webp", ".mp4")
HOLD_S = 2.0  # how long the last picture stays before the animation begins again


def animation(frames: Sequence[Pixels], fps: float, suffix: str, *, hold: bool = False) -> bytes:
    """Pictures as one file.

    GIF plays everywhere in 256 colours, WebP in all browsers in full colour; both loop. MP4
    (MPEG-4 part 2) is the smallest.

    Args:
        frames: uint8 sRGB [H, W, 3], all of one size, at least one.
        fps: Pictures per second.
        suffix: .gif, .webp or .mp4.
        hold: Whether to stay on the last picture for a while.

    Raises:
        ConfigError: another suffix.
    """
    if suffix not in SUFFIXES:
        raise ConfigError(f"animations end in {', '.join(SUFFIXES)}, not in {suffix!r}")
    frames = [*frames, *[frames[-1]] * (round(HOLD_S * fps) if hold else 0)]
    if suffix == ".mp4":
        return _video(frames, fps)
    first, *rest = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    first.save(
        buffer,
        suffix[1:],
        save_all=True,
        append_images=rest,
        duration=round(1000 / fps),
        loop=0,
    )
    return buffer.getvalue()


def _video(frames: Sequence[Pixels], fps: float) -> bytes:
    height, width = frames[0].shape[:2]
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.mp4"
        writer = cv2.VideoWriter(str(path), codec, fps, (width, height))
        try:
            for frame in frames:
                writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        finally:
            writer.release()
        return path.read_bytes()
