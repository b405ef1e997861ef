"""Hundreds of malformed files, made by seed: each ends as a row, in bounded time and memory.

They are measured in a process of their own, so that a decoder's crash is seen for what it is and
the memory is the decoder's alone.
"""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

MAX_SECONDS = 30.0  # of one file decoded three times: the largest allowed take 4 on an idle core
MAX_MEGABYTES = (
    1400  # at its peak, 180 of the interpreter included; an RGBA of 64 million px has 256
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(),
        reason="the peak of memory is read from Linux's /proc",
    ),
]
REASONS = {
    *("empty", "not_an_image", "unsupported_format", "too_large", "truncated", "damaged"),
}
FRACTIONS = (0.01, 0.03, 0.08, 0.15, 0.3, 0.5, 0.7, 0.9, 0.97)

# Reads names, answers each with one line: a crash leaves the last name without an answer.
WORKER = """
import json, sys, time
from pathlib import Path
from ganime.errors import ImageError
from ganime.images import check_whole, decode
from ganime.stages.dedupe import image_row

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024

def outcome(measure, content):
    try:
        measure(content)
    except ImageError as error:
        return error.reason
    return None

for path in sorted(Path(sys.argv[1]).iterdir()):
    print(json.dumps({"name": path.name}), flush=True)
    content = path.read_bytes()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    began = time.perf_counter()
    row = image_row(path.name, content, "run")
    whole, checked = outcome(decode, content), outcome(check_whole, content)
    seconds = time.perf_counter() - began
    print(json.dumps({
        "name": path.name, "problem": row.problem, "whole": whole, "checked": checked,
        "size": [row.width, row.height], "thumbnail": len(row.thumbnail or b""),
        "seconds": seconds, "megabytes": peak(),
    }), flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    name: str
    problem: str | None
    whole: str | None
    checked: str | None
    size: tuple[int | None, int | None]
    thumbnail: int
    seconds: float
    megabytes: int


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *, before: bytes = b""):
    """A PNG that claims what it is told to, around any rows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + head + before + body + chunk(b"IEND", b"")


def gif_of_frames(number: int) -> bytes:
    """A valid GIF with a great many frames of one pixel."""
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * number + b";"


def jpeg_of_scans(width: int, height: int, number: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again, each over the whole area."""
    content = saved(Image.new("RGB", (width, height), (90, 40, 60)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * number + b"\xff\xd9"


def other_primaries() -> bytes:
    """A colour profile that must be applied."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return (
        srgb.replace(b"s\0R\0G\0B", b"o\0t\0h\0e")
        .replace(b"rXYZ", b"tXYZ", 1)
        .replace(b"bXYZ", b"rXYZ", 1)
        .replace(b"tXYZ", b"bXYZ", 1)
    )


def sound() -> dict[str, bytes]:
    """One sound file of each kind: formats, modes, depths, animations."""
    rng = np.random.default_rng(11)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).resize((84, 108))
    veiled = smooth.convert("RGBA")
    veiled.putalpha(smooth.convert("L"))
    palette = smooth.quantize(16)
    deep = Image.fromarray(np.asarray(smooth.convert("L")).astype(np.uint16) * 257)
    turned = [smooth, smooth.rotate(90).resize(smooth.size), smooth.rotate(180)]
    moving = {"save_all": True, "append_images": turned[1:], "duration": 50}
    return {
        "jpeg": saved(smooth, "JPEG", quality=90),
        "jpeg_progressive": saved(smooth, "JPEG", progressive=True),
        "jpeg_grey": saved(smooth.convert("L"), "JPEG"),
        "jpeg_cmyk": saved(smooth.convert("CMYK"), "JPEG"),
        "jpeg_exif": saved(smooth, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03"),
        "mpo": saved(smooth, "MPO", save_all=True, append_images=turned[1:]),
        "png": saved(smooth, "PNG"),
        "png_alpha": saved(veiled, "PNG"),
        "png_grey_alpha": saved(veiled.convert("LA"), "PNG"),
        "png_palette_alpha": saved(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        "png_16_bit": saved(deep, "PNG"),
        "png_1_bit": saved(smooth.convert("1"), "PNG"),
        "png_animated": saved(smooth, "PNG", **moving),
        "gif": saved(palette, "GIF"),
        "gif_animated": saved(turned[0].quantize(16), "GIF", **moving),
        "webp": saved(smooth, "WEBP"),
        "webp_lossless_alpha": saved(veiled, "WEBP", lossless=True),
        "webp_animated": saved(smooth, "WEBP", **moving),
        "bmp": saved(smooth, "BMP"),
        "bmp_palette": saved(palette, "BMP"),
    }


def spoilt(content: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """One sound file in many bad states."""
    for fraction in FRACTIONS:
        yield f"cut_{fraction}", content[: max(1, int(len(content) * fraction))]
    half = len(content) // 2
    yield "zero_tail", content[:half] + bytes(len(content) - half)
    yield "noise_tail", content[:half] + rng.bytes(len(content) - half)
    yield "more_behind", content + rng.bytes(500)
    yield "hole", content[:half] + content[half + 40 :]
    yield "twice", content[: half // 2] + content
    for trial in range(10):
        bad = bytearray(content)
        for place in rng.integers(2, min(len(bad), 200), 4):
            bad[place] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
        yield f"header_{trial}", bytes(bad)


def bombs() -> dict[str, bytes]:
    """Small files that want much: area, rows, text, frames, scans."""
    side = 7_900  # 62 million px, just allowed
    jpeg, gif = saved(Image.new("RGB", (64, 64)), "JPEG"), gif_of_frames(1)
    huge = jpeg.replace(struct.pack(">HH", 64, 64), struct.pack(">HH", 65_500, 65_500), 1)
    webp = bytearray(sound()["webp_animated"])
    webp[24:30] = b"\xfe\x3f\x00" * 2  # the canvas: 16,383 px both ways
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000), 1))
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(80_000_000), 1))
    rows = bytes(3 * (1 + 3 * 3))
    bmp = struct.pack(
        "<2sIHHIIiiHHIIIIII", b"BM", 54, 0, 0, 54, 40, *(30_000,) * 2, 1, 24, *[0] * 6
    )
    return {
        "png_30000": png(30_000, 30_000, 8, 2, b""),
        "png_2_31": png(2**31 - 1, 2**31 - 1, 8, 6, b""),
        "png_thin": png(1, 2**31 - 1, 8, 0, b""),
        "png_empty_rows": png(side, side, 8, 6, bytes(1000)),
        "png_alpha_allowed": png(side, side, 8, 6, bytes(side * (1 + 4 * side))),
        "png_16_bit_allowed": png(side, side, 16, 0, bytes(side * (1 + 2 * side))),
        "png_profile_allowed": png(
            *(side, side, 8, 6, bytes(side * (1 + 4 * side))),
            before=chunk(b"iCCP", b"a\0\0" + zlib.compress(other_primaries())),
        ),
        "png_rows_beyond_its_size": png(3, 3, 8, 2, bytes(200_000_000)),
        "png_text": png(3, 3, 8, 2, rows, before=text),
        "png_profile": png(3, 3, 8, 2, rows, before=profile),
        "png_many_chunks": png(3, 3, 8, 2, rows, before=chunk(b"tEXt", b"a\0b") * 200_000),
        "png_no_palette": png(3, 3, 8, 3, bytes(12)),
        "jpeg_65500": huge,
        "jpeg_scans": jpeg_of_scans(4_000, 4_000, 2_000),
        "gif_frames": gif_of_frames(700_000),
        "gif_65535": gif[:6] + b"\xff" * 4 + gif[10:],
        "gif_frame_beyond": gif[:24] + b"\xff" * 4 + gif[28:],
        "webp_canvas": bytes(webp),
        "bmp_30000": bmp,
        "bmp_upwards": bmp.replace(struct.pack("<i", 30_000), struct.pack("<i", -(2**31))),
    }


def others() -> dict[str, bytes]:
    """What is no image of ours, as boorus and their error pages serve it under image names."""
    small = Image.new("RGB", (20, 20), (9, 80, 200))
    rng = np.random.default_rng(12)
    return {
        "empty.jpg": b"",
        "page.jpg": b"<!DOCTYPE html><html><body>403 Forbidden</body></html>",
        "zeros.png": bytes(10_000),
        "noise.webp": rng.bytes(10_000),
        "tiff.png": saved(small, "TIFF"),
        "icon.png": saved(small, "ICO"),
        "tga.jpg": saved(small, "TGA"),
        "ppm.jpg": saved(small, "PPM"),
        "eps.jpg": saved(small, "EPS"),
        "jp2.jpg": b"\0\0\0\x0cjP  \r\n\x87\n" + rng.bytes(200),
        "webm.jpg": b"\x1aE\xdf\xa3" + rng.bytes(500),
        "mp4.jpg": b"\0\0\0\x20ftypisom" + rng.bytes(500),
        "zip.jpg": b"PK\x03\x04" + rng.bytes(500),
        "flash.jpg": b"CWS\x0a" + rng.bytes(500),
        "riff.webp": b"RIFF\xff\xff\xff\xffWAVEfmt " + rng.bytes(100),
    }


def corpus() -> dict[str, bytes]:
    """All files, by name."""
    rng = np.random.default_rng(13)
    files = {f"sound-{name}": content for name, content in sound().items()}
    for name, content in sound().items():
        files |= {f"spoilt-{name}-{how}": bad for how, bad in spoilt(content, rng)}
    files |= {f"bomb-{name}": content for name, content in bombs().items()}
    return files | {f"other-{name}": content for name, content in others().items()}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder: Path = tmp_path_factory.mktemp("malformed")
    for name, content in corpus().items():
        (folder / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WORKER, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{lines[-1]['name']}: {done.returncode} {done.stderr[-2000:]}"
    return {line["name"]: Outcome(**line) for line in lines if "seconds" in line}


def test_every_file_ends_as_a_row_with_a_reason_or_with_pixels(
    outcomes: dict[str, Outcome],
) -> None:
    assert len(outcomes) == len(corpus()) > 400
    for outcome in outcomes.values():
        for problem in (outcome.problem, outcome.whole, outcome.checked):
            assert problem is None or problem in REASONS, outcome
        if outcome.problem is None:
            assert outcome.thumbnail == 32 * 32 * 3, outcome
            assert min(side or 0 for side in outcome.size) > 0, outcome


def test_no_file_takes_long(outcomes: dict[str, Outcome]) -> None:
    assert [outcome for outcome in outcomes.values() if outcome.seconds > MAX_SECONDS] == []


def test_no_file_takes_much_memory(outcomes: dict[str, Outcome]) -> None:
    assert [outcome for outcome in outcomes.values() if outcome.megabytes > MAX_MEGABYTES] == []


def test_a_sound_file_of_every_kind_decodes(outcomes: dict[str, Outcome]) -> None:
    problems = {name: outcomes[f"sound-{name}"].problem for name in sound()}
    assert problems == dict.fromkeys(sound())


def test_a_file_cut_anywhere_within_its_first_picture_is_noticed(
    outcomes: dict[str, Outcome],
) -> None:
    several = ("mpo", "gif_animated")  # of these the first picture can be whole
    for kind in sound():
        fractions = FRACTIONS[:4] if kind in several else FRACTIONS
        found = {outcomes[f"spoilt-{kind}-cut_{fraction}"].problem for fraction in fractions}
        assert found <= {"truncated", "damaged"}, kind


@pytest.mark.parametrize("kind", [kind for kind in sound() if kind.startswith(("jpeg", "png"))])
def test_a_zero_tail_is_noticed_where_the_format_can_tell(
    outcomes: dict[str, Outcome], kind: str
) -> None:
    assert outcomes[f"spoilt-{kind}-zero_tail"].problem in ("truncated", "damaged")


def test_what_claims_too_much_is_refused_before_it_is_decoded(outcomes: dict[str, Outcome]) -> None:
    refused = {name for name in bombs() if outcomes[f"bomb-{name}"].problem == "too_large"}
    assert refused == {
        *("png_30000", "png_2_31", "png_thin", "jpeg_65500", "jpeg_scans"),
        *("gif_65535", "gif_frame_beyond", "webp_canvas", "bmp_30000", "bmp_upwards"),
    }
    assert all(outcomes[f"bomb-{name}"].seconds < 1 for name in refused)


def test_the_largest_allowed_sizes_decode(outcomes: dict[str, Outcome]) -> None:
    allowed = [name for name in bombs() if name.endswith("allowed")]
    assert len(allowed) == 3
    assert {outcomes[f"bomb-{name}"].problem for name in allowed} == {None}


def test_what_is_no_image_of_ours_says_so(outcomes: dict[str, Outcome]) -> None:
    found = {outcomes[f"other-{name}"].problem for name in others()}
    assert found == {"empty", "not_an_image", "unsupported_format"}
