"""What a body is, by its own first bytes; headers and file names are only claims."""

from ganime.errors import ImageError
from ganime.images import check_whole
from ganime.sources import Post, Received

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
)
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<!--")


def kind_of(content: bytes) -> str | None:
    """Image format by magic bytes, None if it is none that is known."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[4:12] in (b"ftypavif", b"ftypavis"):
        return "avif"
    return next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)


def problem_of(received: Received, post: Post) -> str | None:
    """Why this is not the original of the post, a short code; None if it is.

    Codes: `http_404` and the like, `gone` (410 and 451), `empty`, `html` (a page instead of an
    image), `not_an_image`, `md5_mismatch`, and those of `Received.problem`.
    """
    if received.problem:
        return received.problem
    if received.status is not None and received.status >= 300:
        return "gone" if received.status in (410, 451) else f"http_{received.status}"
    start = received.read(512)
    if not start:
        return "empty"
    if kind_of(start) is None:
        text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return "html" if text.startswith(_PAGES) else "not_an_image"
    if post.site_md5 and received.digest("md5") != post.site_md5:
        return "md5_mismatch"
    return None


def damage_of(received: Received) -> str | None:
    """Why the body is no whole image, a short code; None if it is, or is not for us to try."""
    try:
        check_whole(received.read())
    except ImageError as error:
        # A format that this version cannot read is no fault of the file.
        return None if error.reason == "unsupported_format" else error.reason
    return None
