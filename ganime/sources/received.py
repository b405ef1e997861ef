"""What a body is, by its own first bytes; headers and file names are only claims."""

import hashlib

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
    if not received.content:
        return "empty"
    if kind_of(received.content) is None:
        start = received.content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return "html" if start.startswith(_PAGES) else "not_an_image"
    if post.site_md5:
        digest = hashlib.md5(received.content, usedforsecurity=False).hexdigest()
        return None if digest == post.site_md5 else "md5_mismatch"
    return None
