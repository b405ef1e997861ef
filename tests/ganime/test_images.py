import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from ganime.errors import ImageError
from ganime.images import (
    MAX_PIXELS,
    check_whole,
    decode,
    encode_jpeg,
    encode_png,
)
from ganime.scaling import resize

RED, WHITE, BLUE = (220, 30, 40), (255, 255, 255), (20, 40, 200)


def picture(width: int = 40, height: int = 60) -> np.ndarray:
    pixels = np.full((height, width, 3), WHITE, np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[height // 2 :, width // 2 :] = BLUE
    return pixels


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(form: str, **options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (120, 90, 3), np.uint8)
    return saved(Image.fromarray(pixels), form, **options)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width: int, height: int, rows: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + body + png_chunk(b"IEND", b"")


JPEG, PNG, GIF, WEBP, BMP = (
    noise("JPEG", quality=90),
    noise("PNG"),
    noise("GIF"),
    noise("WEBP", quality=90),
    noise("BMP"),
)
MALFORMED = {
    "no bytes": (b"", {"empty"}),
    "one byte": (b"\xff", {"not_an_image"}),
    "zeros": (bytes(5000), {"not_an_image"}),
    "random bytes": (np.random.default_rng(2).bytes(5000), {"not_an_image"}),
    "a web page": (b"<!DOCTYPE html><html><body>403</body></html>", {"not_an_image"}),
    "JSON": (b'{"success": false, "message": "no"}', {"not_an_image"}),
    "plain text": (b"Too deep! Pull it back some.", {"not_an_image"}),
    "SVG with a script": (b"<svg xmlns='x'><script>alert(1)</script></svg>", {"not_an_image"}),
    "TIFF": (noise("TIFF"), {"unsupported_format"}),
    "icon": (noise("ICO"), {"unsupported_format"}),
    "AVIF or MP4": (b"\x00\x00\x00\x20ftypavif" + bytes(100), {"unsupported_format"}),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(200), {"unsupported_format"}),
    "zip of frames": (b"PK\x03\x04" + bytes(200), {"unsupported_format"}),
    "Flash": (b"CWS\x0a" + bytes(200), {"unsupported_format"}),
    "PDF": (b"%PDF-1.7\n%" + bytes(100), {"unsupported_format"}),
    "Photoshop": (b"8BPS\x00\x01" + bytes(100), {"unsupported_format"}),
    "JPEG, its first bytes": (JPEG[:4], {"damaged", "truncated"}),
    "JPEG, header only": (JPEG[:400], {"damaged", "truncated"}),
    "JPEG cut at a half": (JPEG[: len(JPEG) // 2], {"truncated"}),
    "JPEG cut at nine tenths": (JPEG[: len(JPEG) * 9 // 10], {"truncated"}),
    "JPEG without its end": (JPEG[:-2], {"truncated"}),
    "JPEG filled up with zeros": (JPEG[:3000] + bytes(len(JPEG) - 3000), {"truncated"}),
    "PNG signature alone": (PNG[:8], {"damaged", "truncated"}),
    "PNG cut at a half": (PNG[: len(PNG) // 2], {"truncated"}),
    "PNG with a wrong checksum": (PNG[:60] + b"\x00" + PNG[61:], {"damaged", "truncated"}),
    "PNG with a broken header": (PNG[:20] + b"\xff" + PNG[21:], {"damaged"}),
    "PNG without its end": (PNG[:-12], {"truncated"}),
    "PNG without rows": (png_claiming(100, 100), {"truncated"}),
    "PNG 0 px wide": (png_claiming(0, 100), {"damaged", "truncated"}),
    "PNG bomb": (png_claiming(60_000, 60_000), {"too_large"}),
    "PNG slightly too large": (png_claiming(9_000, 7_200), {"too_large"}),
    "PNG of 2^31 px": (png_claiming(2**31 - 1, 2**31 - 1), {"too_large"}),
    "PNG whose text unpacks to 50 MB": (
        PNG[:33] + png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(50_000_000))) + PNG[33:],
        {"damaged", "truncated"},
    ),
    "GIF cut at a half": (GIF[: len(GIF) // 2], {"truncated"}),
    "GIF header alone": (GIF[:13], {"damaged", "truncated"}),
    "WebP cut at a half": (WEBP[: len(WEBP) // 2], {"damaged", "truncated"}),
    "WebP header alone": (WEBP[:16], {"damaged", "truncated"}),
    "BMP cut at a half": (BMP[: len(BMP) // 2], {"truncated"}),
    "BMP header alone": (b"BM" + bytes(60), {"damaged"}),
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.parametrize("at_least", [None, 32])
def test_a_malformed_file_gives_a_reason_and_never_another_error(
    name: str, at_least: int | None
) -> None:
    content, reasons = MALFORMED[name]
    with pytest.raises(ImageError) as caught:
        decode(content, at_least=at_least)
    assert caught.value.reason in reasons


@pytest.mark.parametrize("content", [JPEG, PNG, GIF, WEBP, BMP], ids=lambda c: repr(c[:4]))
def test_bytes_flipped_at_random_never_raise_another_error(content: bytes) -> None:
    rng = np.random.default_rng(3)
    for _ in range(60):
        spoilt = bytearray(content)
        for place in rng.integers(0, min(len(content), 700), 8):
            spoilt[place] = rng.integers(256)
        try:
            pixels = decode(bytes(spoilt)).pixels
        except ImageError:
            continue
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "GIF"])
def test_pixels_come_back_as_they_were_saved(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    decoded = decode(saved(Image.fromarray(picture()), form, **options))
    np.testing.assert_array_equal(decoded.pixels, picture())
    assert (decoded.format, decoded.width, decoded.height) == (form, 40, 60)
    assert (decoded.frames, decoded.alpha_fraction) == (1, 0.0)


def test_a_jpeg_comes_back_nearly() -> None:
    decoded = decode(encode_jpeg(picture(), 95))
    assert np.abs(decoded.pixels.astype(int) - picture()).mean() < 3
    assert decoded.format == "JPEG"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    # Where the upright picture's top left corner lies in the stored one, by the EXIF standard.
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, 3),
    }[orientation](picture())
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(saved(Image.fromarray(np.ascontiguousarray(stored)), "PNG", exif=exif))
    np.testing.assert_array_equal(decoded.pixels, picture())
    assert (decoded.width, decoded.height) == (40, 60)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("exif", [b"Exif\x00\x00garbage", b"Exif\x00\x00II*\x00\xff\xff\xff\xff"])
def test_broken_exif_is_ignored(exif: bytes) -> None:
    assert decode(saved(Image.fromarray(picture()), "JPEG", exif=exif)).width == 40


def test_transparency_lies_over_white() -> None:
    rgba = np.dstack([picture(), np.full((60, 40), 255, np.uint8)])
    rgba[:30] = (0, 0, 0, 0)
    decoded = decode(saved(Image.fromarray(rgba), "PNG"))
    assert (decoded.pixels[:30] == 255).all()
    np.testing.assert_array_equal(decoded.pixels[30:], picture()[30:])
    assert decoded.alpha_fraction == pytest.approx(0.5)
    assert decoded.mode == "RGBA"


def test_half_transparency_is_half_white() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 3] = 128
    assert abs(int(decode(saved(Image.fromarray(rgba), "PNG")).pixels[0, 0, 0]) - 127) <= 1


def test_a_palette_with_a_transparent_entry_lies_over_white() -> None:
    image = Image.fromarray(picture()).quantize(4, dither=Image.Dither.NONE)
    transparent = image.getpixel((0, 0))
    decoded = decode(saved(image, "PNG", transparency=transparent))
    assert (decoded.pixels[:30, :20] == 255).all()
    assert decoded.alpha_fraction == pytest.approx(0.25)
    assert decoded.mode == "P"


@pytest.mark.parametrize(
    ("mode", "value"), [("1", 1), ("L", 200), ("LA", (200, 255)), ("P", 3), ("I;16", 51400)]
)
def test_every_mode_becomes_rgb(mode: str, value: object) -> None:
    image = Image.new(mode, (9, 7), value)
    decoded = decode(saved(image, "PNG"))
    assert decoded.pixels.shape == (7, 9, 3)
    if mode in ("L", "LA", "I;16"):
        assert (decoded.pixels == 200).all()


def test_cmyk_becomes_rgb() -> None:
    image = Image.fromarray(np.full((16, 16, 3), RED, np.uint8)).convert("CMYK")
    decoded = decode(saved(image, "JPEG", quality=95))
    assert decoded.mode == "CMYK"
    assert np.abs(decoded.pixels.astype(int) - RED).max() < 20


def test_a_colour_profile_is_applied_and_a_broken_one_is_not() -> None:
    grey_blue = np.full((16, 16, 3), (60, 90, 120), np.uint8)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (b"no profile at all", lab):  # the second is of other channels
        content = saved(Image.fromarray(grey_blue), "PNG", icc_profile=profile)
        np.testing.assert_array_equal(decode(content).pixels, grey_blue)


def test_another_gamut_is_brought_to_srgb() -> None:
    # An sRGB profile with red and blue primaries exchanged must exchange the colours.
    srgb = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", srgb[128:132])[0]
    tags = {bytes(srgb[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    srgb[red : red + 8], srgb[blue : blue + 8] = srgb[blue : blue + 8], srgb[red : red + 8]
    profile = bytes(srgb).replace(b"s\x00R\x00G\x00B", b"o\x00t\x00h\x00e")
    content = saved(Image.fromarray(picture()), "PNG", icc_profile=profile)
    decoded = decode(content).pixels.astype(int)
    assert np.abs(decoded - picture()[..., ::-1]).max() < 12


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (12, 12), colour) for colour in (RED, BLUE, WHITE)]
    for form in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if form == "WEBP" else {}
        content = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
        decoded = decode(content)
        assert decoded.frames == 3
        assert (decoded.pixels == RED).all()


def test_a_reduced_decode_is_smaller_and_keeps_the_facts() -> None:
    whole = np.asarray(Image.fromarray(picture()).resize((800, 1200)))
    content = encode_jpeg(whole)
    reduced, full = decode(content, at_least=300), decode(content)
    assert reduced.pixels.shape == (300, 200, 3)
    assert (reduced.width, reduced.height) == (full.width, full.height) == (800, 1200)
    shrunk = resize(full.pixels, 300, 200).astype(int)
    assert np.abs(reduced.pixels - shrunk).mean() < 2


def test_the_largest_allowed_size_is_allowed() -> None:
    assert MAX_PIXELS == 8_000 * 8_000
    with pytest.raises(ImageError) as caught:
        decode(png_claiming(8_000, 8_000))
    assert caught.value.reason == "truncated"  # and not too_large


def scans(number: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    content = noise("JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * number + b"\xff\xd9"


@pytest.mark.parametrize("read", [decode, check_whole])
def test_a_jpeg_of_endless_scans_is_refused(read: Callable[[bytes], object]) -> None:
    read(scans(50))
    with pytest.raises(ImageError, match="200 scans") as caught:
        read(scans(200 - 9))  # an encoder writes ten
    assert caught.value.reason == "too_large"


def test_what_lies_behind_a_jpeg_is_not_counted_as_scans() -> None:
    archive = b"PK\x03\x04" + b"\xff\xda\x00\x02" * 500
    assert decode(JPEG + archive).width == 90


def test_png_and_back_is_lossless() -> None:
    np.testing.assert_array_equal(decode(encode_png(picture())).pixels, picture())


def raw_png(depth: int, colour: int, channels: int, extra: bytes = b"", first: int = 0) -> bytes:
    """16 x 9 px of noise in a kind of PNG that Pillow does not write; `first` is a row's filter."""
    noise = np.random.default_rng(depth + colour)
    rows = [bytes([first]) + noise.bytes(2 * depth * channels) for _ in range(9)]
    header = struct.pack(">IIBBBBB", 16, 9, depth, colour, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")
    head, *tail = (png_chunk(*chunk) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + extra + b"".join(tail)


def of_every_kind() -> dict[str, bytes]:
    pixels = np.random.default_rng(1).integers(0, 256, (37, 53, 3), np.uint8)
    image = Image.fromarray(pixels).resize((106, 74))
    gamma = png_chunk(b"gAMA", struct.pack(">I", 22727))
    kinds = {
        f"JPEG {quality} {sampling} {progressive}": saved(
            image, "JPEG", quality=quality, subsampling=sampling, progressive=progressive
        )
        for quality in (30, 95)
        for sampling in (0, 1, 2)
        for progressive in (False, True)
    }
    kinds |= {f"PNG {mode}": saved(image.convert(mode), "PNG") for mode in ("1", "L", "P", "RGB")}
    kinds |= {f"palette {bits}": saved(image.quantize(2**bits), "PNG") for bits in (1, 2, 4)}
    return kinds | {
        "JPEG grey": saved(image.convert("L"), "JPEG"),
        "JPEG of RGB": saved(image, "JPEG", keep_rgb=True),
        "PNG 16 bits": raw_png(16, 2, 3),
        "PNG grey of 2 bits": raw_png(2, 0, 1),
        "PNG with a gamma": raw_png(8, 2, 3, gamma),
    }


@pytest.mark.parametrize("kind", of_every_kind())
def test_both_decoders_see_the_same_pixels(kind: str) -> None:
    content = of_every_kind()[kind]
    with Image.open(io.BytesIO(content)) as image:
        wanted = np.asarray(image.convert("RGB"))
    assert (decode(content).pixels == wanted).all()


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_decode_is_upright_too(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    large = Image.fromarray(picture()).resize((400, 600))
    whole = decode(saved(large, form, exif=exif))
    reduced = decode(saved(large, form, exif=exif), at_least=100)
    height, width = reduced.pixels.shape[:2]
    shrunk = resize(whole.pixels, height, width).astype(int)
    assert np.abs(reduced.pixels - shrunk).mean() < 4


def test_an_unknown_row_filter_is_damage() -> None:
    with pytest.raises(ImageError) as caught:
        decode(raw_png(8, 2, 3, first=9))
    assert caught.value.reason == "damaged"


def test_transparency_is_laid_over_white_as_pillow_does() -> None:
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (30, 20, 4), np.uint8)
    image = Image.fromarray(pixels)
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    decoded = decode(saved(image, "PNG"))
    assert (decoded.pixels == np.asarray(white)).all()
    assert decoded.alpha_fraction == pytest.approx((pixels[..., 3] < 255).mean())
