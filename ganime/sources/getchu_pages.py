"""What Getchu's pages say: the products of a month, the images and facts of a product.

Read tag by tag, in one pass: the pages are older than XML, and may be anything.
"""

import html
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from urllib.parse import urljoin, urlsplit

from ganime.sources.robots import forbids_training

logger = logging.getLogger(__name__)

_BRAND, _ARTIST, _RELEASE = "ブランド", "原画", "発売日"
_LIST_CLASSES = frozenset({"category_pc_b", "product", "dd"})  # what holds a month's products

_IMAGE = re.compile(
    r".*/brandnew/(\d+)/(r?)c(\d+)(charab|chara|sample|package)(\d{0,4})(?:_s)?"
    r"\.(jpg|jpeg|png|gif|webp)"
)
_PRODUCT = re.compile(r".*/(?:soft\.phtml\?(?:[^&]*&)*id=|item/)(\d{1,9})(?:[/&?].*)?")
_ANCHOR = re.compile(r"chara(\d{1,4})")
_DATE = re.compile(r"(?:19|20)\d\d/\d{1,2}/\d{1,2}")
_TAG = re.compile(r"<!--|<(/?)([a-zA-Z][a-zA-Z0-9]{0,15})\b([^<>]{0,4000})>")
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]{1,40})\s*=\s*("[^"]*"|'[^']*'|[^\s"']+)""")


@dataclass(frozen=True, slots=True)
class Token:
    """A tag with its attributes, or text, which has no tag."""

    tag: str = ""
    is_end: bool = False
    said: dict[str, str] = field(default_factory=dict)
    text: str = ""


def tokens(page: str) -> Iterator[Token]:
    """Tags and the text between them, in one pass over whatever it is; comments left out."""
    at = 0
    while match := _TAG.search(page, at):
        yield Token(text=_unescaped(page[at : match.start()]))
        at = match.end()
        if match[2] is None:
            end = page.find("-->", at)
            at = end + 3 if end >= 0 else len(page)
            continue
        pairs = _ATTRIBUTE.findall(match[3]) if not match[1] else []
        said = {name.lower(): _unescaped(value.strip("\"'")) for name, value in reversed(pairs)}
        yield Token(match[2].lower(), bool(match[1]), said)
    yield Token(text=_unescaped(page[at:]))


@dataclass(frozen=True, slots=True)
class Image:
    """One file that a product's page shows."""

    word: str
    number: int
    name: str


class ProductPage:
    """What a product's page says.

    Args:
        product: Its id; images of others are left out.
        url: Of the page.
        is_own: Whether a URL is the site's.
    """

    def __init__(self, product: int, url: str, is_own: Callable[[str], bool]) -> None:
        self.images: dict[str, Image] = {}
        self.names: dict[int, str] = {}
        self.title = ""
        self.is_noai = False
        self._product, self._url, self._is_own = product, url, is_own
        self._number = 0  # of the character whose part of the page this is
        self._values: dict[str, str] = {}  # of the table of facts
        self._key = ""
        self._cell: list[str] | None = None
        self._until = ""  # the tag that ends the name or title that is being read
        self._is_title = False
        self._text: list[str] = []

    @property
    def brands(self) -> list[str]:
        """Who made it."""
        return [_without_notes(self._values.get(_BRAND, ""))]

    @property
    def artists(self) -> list[str]:
        """Who drew the characters."""
        names = re.split("[、,，/／]", self._values.get(_ARTIST, ""))
        return [name for part in names if (name := _without_notes(part))]

    @property
    def released_at(self) -> datetime | None:
        """Day of the release."""
        found = _DATE.search(self._values.get(_RELEASE, ""))
        try:
            return datetime.strptime(found[0], "%Y/%m/%d").replace(tzinfo=UTC) if found else None
        except ValueError:
            return None

    def read(self, page: str) -> Self:
        """Take in the page."""
        for token in tokens(page):
            if not token.tag:
                self._take_text(token.text)
            elif token.is_end:
                self._end(token.tag)
            else:
                self._begin(token.tag, token.said)
        return self

    def _begin(self, tag: str, said: Mapping[str, str]) -> None:
        """Note what this tag says by itself; begin what it encloses."""
        if tag == "meta" and said.get("name", "").lower() == "robots":
            self.is_noai |= forbids_training([said.get("content", "")])
        for anchor in (said.get("id", ""), said.get("name", "")):
            if match := _ANCHOR.fullmatch(anchor):
                self._number = int(match[1])
        if tag in ("img", "a"):
            self._note_image(said.get("src" if tag == "img" else "href", ""))
        if tag in ("td", "th"):
            self._end_cell()
            self._cell = []
        if self._is_title and tag in ("a", "nobr"):  # links behind the title
            self._end_text()
        classes = said.get("class", "").split()
        if tag == "charalist" or "chara-name" in classes or said.get("id") == "soft-title":
            self._until, self._is_title, self._text = tag, said.get("id") == "soft-title", []

    def _end(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._end_cell()
        if tag == self._until:
            self._end_text()

    def _take_text(self, text: str) -> None:
        if self._cell is not None:
            self._cell.append(text)
        if self._until:
            self._text.append(text)

    def _end_cell(self) -> None:
        text = " ".join("".join(self._cell or ()).split())
        if self._cell is None:
            return
        if self._key:
            self._values.setdefault(self._key, text)
            self._key = ""
        elif (key := text.rstrip("：: ")) in (_BRAND, _ARTIST, _RELEASE):
            self._key = key
        self._cell = None

    def _end_text(self) -> None:
        text = " ".join("".join(self._text).split())
        if self._is_title:
            self.title = self.title or text
        elif name := _without_notes(text):
            # Where no anchor or image tells which character this is, they come in order.
            is_new = self._number and self._number not in self.names
            self.names[self._number if is_new else len(self.names) + 1] = name
        self._until, self._is_title = "", False

    def _note_image(self, source: str) -> None:
        if "brandnew/" not in source:
            return
        url = _joined(self._url, source)
        match = _IMAGE.fullmatch(urlsplit(url).path) if self._is_own(url) else None
        if not match or {match[1], match[3]} != {str(self._product)}:
            logger.debug("getchu: %.200r is no image of product %d", source, self._product)
            return
        small, word, number, extension = match[2], match[4], match[5], match[6]
        key = f"{word}{number}"
        if word.startswith("chara") and number:
            self._number = int(number)
        if not small or key not in self.images:  # of two packages, the larger
            name = f"{small}c{self._product}{key}.{extension}"
            self.images[key] = Image(word, int(number or 0), name)


def products_of_month(page: str, url: str) -> set[int]:
    """Ids of the products that a month lists; of all it links to if it marks no list.

    Args:
        page: Its text.
        url: Its address.
    """
    listed: set[int] = set()
    elsewhere: set[int] = set()
    parents: list[tuple[str, bool]] = []  # elements that are open, and whether in the list
    for token in tokens(page):
        inside = bool(parents) and parents[-1][1]
        if token.tag in ("div", "td", "li") and token.is_end:
            # One that was never closed is left with the one around it.
            while parents and parents.pop()[0] != token.tag:
                pass
        elif token.tag in ("div", "td", "li"):
            is_list = not _LIST_CLASSES.isdisjoint(token.said.get("class", "").split())
            parents.append((token.tag, inside or is_list))
        elif token.tag == "a" and (product := product_of(_joined(url, token.said.get("href", "")))):
            (listed if inside else elsewhere).add(product)
    return listed or elsewhere


def product_of(url: str) -> int:
    """Id of the product that a URL leads to, else 0."""
    parts = urlsplit(url)
    match = _PRODUCT.fullmatch(f"{parts.path}?{parts.query}" if parts.query else parts.path)
    return int(match[1]) if match else 0


def _joined(url: str, link: str) -> str:
    try:
        joined = urljoin(url, link.strip())
        urlsplit(joined)
    except ValueError:  # for example an unclosed bracket
        return ""
    return joined


def _without_notes(text: str) -> str:
    """A name without its reading, its voice and links, which stand in brackets behind it."""
    return re.split(r"[（(]|\bCV[：:]", text)[0].strip()


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # a number of thousands of digits
        return text
