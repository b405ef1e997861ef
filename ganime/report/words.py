"""How the page says things: numbers, codes, times, and what may become a link."""

import re
import unicodedata
from datetime import datetime, timedelta
from urllib.parse import urlsplit

_CODES = {
    "background": "busy background",
    "chibi": "chibi proportions",
    "decodable": "readable file",
    "decode_error": "damaged file",
    "duplicate": "near-duplicate",
    "empty": "empty file",
    "excluded_tag": "a tag rules it out",
    "flashy_background": "busy background",
    "ghost": "listed without a file",
    "html": "a web page instead of an image",
    "md5_mismatch": "not the file the site announced",
    "min_side": "size",
    "multiple": "more than one character",
    "near_duplicate": "near-duplicate of a kept image",
    "no_fact": "not measured",
    "not_an_image": "not an image",
    "not_asked": "nobody was asked",
    "person": "a person's answer",
    "tags": "tags",
    "too_elongated": "too long and narrow",
    "too_small": "too small",
    "truncated": "cut off in the middle",
    "viewpoint": "unusual viewpoint",
}
# Controls, and marks that reorder the text around them: a hostile tag could otherwise rewrite the
# line it stands in. Right-to-left letters themselves are left alone.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def say(code: str) -> str:
    """A short code in words: `near_duplicate` -> near-duplicate of a kept image."""
    return _CODES.get(code) or code.replace("_", " ")


def visible(value: object) -> object:
    """Text with controls and direction marks shown as U+FFFD; anything else as it is."""
    return _UNSEEN.sub("\ufffd", value) if type(value) is str else value


def web_link(url: str | None) -> str | None:
    """The URL if it may become a link: http or https, a host, nothing unprintable; else None."""
    if not url or any(unicodedata.category(letter) in ("Cc", "Cf", "Zs") for letter in url):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None


def host(url: str | None) -> str | None:
    """Host and port of a web address; None for files and for what is no address."""
    link = web_link(url)
    return urlsplit(link).netloc.rpartition("@")[2] if link else None


def count(number: float) -> str:
    """A whole number with thin groups: 12345 -> 12,345."""
    return f"{round(number):,}"


def number(value: float) -> str:
    """A measurement with as many decimals as its size is worth."""
    if value != value or value in (float("inf"), float("-inf")):
        return "not finite"
    size = abs(value)
    if size >= 100 or value == round(value):
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:,.1f}"
    return f"{value:.2f}" if size >= 0.01 else f"{value:.2g}"


def compact(value: float) -> str:
    """For axes: 40000 -> 40k."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.4g}{suffix}"
    return f"{value:.4g}"


def share(part: float, whole: float) -> str:
    """A percentage; a few of many is never said to be none, nor most to be all."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %" if percent not in (0, 100) else f"{percent:.0f} %"


def size(num_bytes: float) -> str:
    """A length of data: 1234567 -> 1.2 MB."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= limit:
            return f"{num_bytes / limit:.1f} {unit}"
    return f"{num_bytes:.0f} bytes"


def moment(at: datetime | None) -> str:
    """Minutes, in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else ""


def duration(span: timedelta) -> str:
    """How long: 7 min 30 s."""
    seconds = round(span.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
