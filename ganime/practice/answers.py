"""Answers that all protocols share: files with ranges, thumbnails, pages for people."""

import html
import io
import re
from pathlib import Path

from PIL import Image
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def not_found(text: str = "404 Not Found") -> Response:
    """The site's page for what is not there."""
    return HTMLResponse(f"<h1>{html.escape(text)}</h1>", 404)


def file_answer(request: Request, path: Path | None, media_type: str) -> Response:
    """A file, or the part that `Range` asks for if `If-Range` still holds (RFC 9110, 14)."""
    if path is None:
        return not_found()
    try:
        content = path.read_bytes()
        changed_ns = path.stat().st_mtime_ns
    except FileNotFoundError:
        return not_found()
    etag = f'"{len(content):x}-{changed_ns:x}"'
    headers = {"etag": etag, "accept-ranges": "bytes"}
    wanted = request.headers.get("range")
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return Response(content, media_type=media_type, headers=headers)
    span = _span(wanted, len(content))
    if span is None:
        headers["content-range"] = f"bytes */{len(content)}"
        return Response(b"", 416, headers=headers)
    start, end = span
    headers["content-range"] = f"bytes {start}-{end - 1}/{len(content)}"
    return Response(content[start:end], 206, media_type=media_type, headers=headers)


def _span(wanted: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None if the range cannot be had."""
    found = _RANGE.fullmatch(wanted.strip())
    if not found or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2] or size) + 1, size)
    return (start, end) if start < end else None


def scaled(path: Path | None, side: int, *, upper_part: bool = False) -> Response:
    """A smaller JPEG of a file, or 404 where that cannot be made.

    Args:
        path: The file.
        side: The longer side at most [px].
        upper_part: Only the upper half: head and shoulders of a standing figure.
    """
    if path is None:
        return not_found()
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
            if upper_part:
                small = small.crop((0, 0, small.width, max(small.height // 2, 1)))
            small.thumbnail((side, side))
    except OSError:  # the file is one of the broken ones
        return not_found()
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return Response(stream.getvalue(), media_type="image/jpeg")


def gallery(num_posts: int, shown: list[tuple[str, str]]) -> Response:
    """The front page for people.

    Args:
        num_posts: How many there are.
        shown: Address of the page and of the thumbnail of each.
    """
    images = "".join(
        f'<a href="{html.escape(page)}"><img loading="lazy" alt="" src="{html.escape(image)}"></a>'
        for page, image in shown
    )
    return HTMLResponse(
        "<!DOCTYPE html><title>practice booru</title><h1>practice booru</h1>"
        f"<p>{num_posts} posts, the newest:</p>{images}"
    )


def post_page(post_id: int, tags: list[str], image: str) -> Response:
    """One post for people."""
    words = html.escape(" ".join(tags))
    return HTMLResponse(
        f"<!DOCTYPE html><title>post {post_id}</title><h1>{post_id}</h1><p>{words}</p>"
        f'<img alt="" src="{html.escape(image)}">'
    )
