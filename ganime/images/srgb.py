"""What Pillow opened, in sRGB and over white."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_WHITE = (255, 255, 255)
_ROWS = 256  # worked on at once


def in_srgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB or RGBA, its colour profile applied."""
    transparent = "transparency" in image.info or image.mode in ("LA", "PA", "La", "RGBA", "RGBa")
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = _from_16_bit(image)
        transparent = False
    if image.mode == "CMYK" and profile and (transform := to_srgb(profile, "CMYK")):
        return ImageCms.applyTransform(image, transform) or image.convert("RGB")
    image = image.convert("RGBA" if transparent else "RGB")
    if profile and (transform := to_srgb(profile, "RGB")):
        if image.mode == "RGBA":
            alpha = image.getchannel("A")
            image = ImageCms.applyTransform(image.convert("RGB"), transform) or image
            image.putalpha(alpha)
        else:
            image = ImageCms.applyTransform(image, transform) or image
    return image


def over_white(image: Image.Image) -> tuple[Image.Image, float]:
    """An image of mode RGB or RGBA over white, and the share of pixels that are not opaque."""
    if image.mode == "RGB":
        return image, 0.0
    alpha = image.getchannel("A")
    opaque = Image.new("RGB", image.size, _WHITE)
    opaque.paste(image, mask=alpha)
    return opaque, float(1.0 - alpha.histogram()[255] / (image.width * image.height))


@lru_cache(maxsize=32)
def to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How to turn pixels of this mode into sRGB; None where nothing need or can be done."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if mode == "RGB" and "sRGB" in ImageCms.getProfileDescription(source):
            return None
        target = ImageCms.createProfile("sRGB")
        return ImageCms.buildTransform(source, target, mode, "RGB")
    except Exception:  # noqa: BLE001 - a bad profile is ignored, however it is bad
        return None


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    deepest = 65535 if values.max(initial=0) > 255 or image.mode != "I" else 255
    grey = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS):  # of the largest image, all at once take 1 GB
        rows = values[top : top + _ROWS].astype(np.int64)
        grey[top : top + _ROWS] = (rows * 255 // deepest).clip(0, 255)
    return Image.fromarray(grey)
