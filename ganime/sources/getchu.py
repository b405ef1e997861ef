"""Getchu, a shop of visual novels whose product pages show the characters standing.

There is no API: lists and products are pages, in EUC-JP, behind an age gate. A post is one image of
a product. What the pages look like was taken from public clients of the site.
"""

import dataclasses
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal
from urllib.parse import urlencode

from pydantic import Field

from ganime.errors import ConfigError, SourceRefused, SourceUnavailable
from ganime.sources import SOURCES, Budget, Page, Post, Received, SiteFacts, WebSource
from ganime.sources.addresses import host_of
from ganime.sources.client import Client
from ganime.sources.getchu_pages import ProductPage, product_of, products_of_month
from ganime.sources.sidecars import as_tag

logger = logging.getLogger(__name__)

_COOKIE = {"Cookie": "getchu_adalt_flag=getchu.com"}  # the answer to the age gate; spelt so there
_GATE_WORDS, _GATE_PAGE = "年齢認証", "/attestation"  # the second in its URL
_OWN_WORDS = ("getchu", "soft.phtml", "month_title")  # every page of the site holds one of them
_MONTHS_PATH, _PRODUCT_PATH = "/all/month_title.html", "/soft.phtml"
_KINDS = {  # by the word in the file's name: our word, tags
    "charab": ("standing", ["full_body", "standing"]),
    "chara": ("bust", ["upper_body"]),
    "sample": ("sample", ["game_cg"]),
    "package": ("package", ["cover"]),
}

_PAGE_BYTES = 4 << 20  # products take about 100 kB, months about 500 kB
_ASKS = 3  # for a page that is none of the site's
_PRODUCTS_PER_PAGE = 8  # at 0.7 calls a second: what a kill can cost at most
_MOST_PRODUCTS = 5000  # of a month; the fullest have some hundreds


_MONTH = r"((?:19|20)\d\d)-(0[1-9]|1[0-2])"
_MONTHS = re.compile(rf"month:{_MONTH}(?:\.\.{_MONTH})?")
_ID = re.compile(r"id:([1-9]\d{0,8})")
_CURSOR = re.compile(rf"({_MONTH}|id)/(\d{{1,9}})(?:/(\d{{1,5}}))?")
_NONE = "none"  # in place of an image
_ALL_KINDS = frozenset(kind for kind, _ in _KINDS.values())
_IDS = "id"  # the section of products that the query names itself


@SOURCES.register("getchu")
class Getchu(WebSource):
    """Getchu by months of release, `month:2026-01..2026-06`, or by products, `id:123456`."""

    FACTS: ClassVar[SiteFacts] = SiteFacts(
        hosts=("getchu.com",),
        page_limit=100,
        list_budget=Budget(rate_per_s=0.7, in_flight=1),  # clients in the wild wait 0.7-2 s
        file_budget=Budget(rate_per_s=1, in_flight=1),
        file_headers={"Referer": "https://www.getchu.com/", **_COOKIE},
    )

    url: str = Field("https://www.getchu.com", description="Address of the site.")
    genre: str = Field("pc_soft", pattern="^[a-z_]{1,32}$", description="As in the site's URLs.")
    gage: Literal["all", "adult"] = Field("all", description="Of all ages, or adult products.")
    kinds: tuple[Literal["standing", "bust", "sample", "package"], ...] = Field(
        ("standing",), min_length=1, description="Which images of a product are wanted."
    )

    def check(self, tags: str) -> None:
        """Refuse all but months and products.

        Raises:
            ConfigError: shows what is understood.
        """
        _sections(tags)

    def first_call(self, tags: str, limit: int) -> str:
        """URL of the first list call; see `Source.first_call`."""
        section, products = next(iter(_sections(tags).items()))
        if section == _IDS:
            return f"{self.root}{_PRODUCT_PATH}?{urlencode(self._product_query(products[0]))}"
        return f"{self.root}{_MONTHS_PATH}?{urlencode(self._month_query(section))}"

    async def older(self, client: Client, tags: str, cursor: str | None, limit: int) -> Page:
        """The images of a few products, the newest months first; see `Source.older`.

        Within a month products come by falling id, so that the place holds if the month changes.
        The cursor names the last one, `2026-05/1234567`, and how many of its images were listed
        if `limit` has cut it, `2026-05/1234567/2`.
        """
        sections, place = _sections(tags), _place(cursor, tags)
        posts: list[Post] = []
        num_products = 0
        for section, named in sections.items():
            if _is_newer(sections, section, place):
                continue
            for product in await self._products(client, section, named):
                if place.covers(section, product):
                    continue
                skip = place.num_images if place.names(section, product) else 0
                found = (await self._product(client, product, self.kinds))[skip:]
                room = limit - len(posts)
                posts += found[:room]
                num_products += 1
                if len(found) > room:
                    return Page(posts, f"{section}/{product}/{skip + room}")
                if len(posts) == limit or num_products == _PRODUCTS_PER_PAGE:
                    return Page(posts, f"{section}/{product}")
        return Page(posts, None)

    async def newer(
        self, client: Client, tags: str, listed: Collection[str], cursor: str | None, limit: int
    ) -> list[Post]:
        """Products that months still changing have gained; see `Source.newer`.

        A product is never cut, so the first one may exceed `limit`.
        """
        sections, place = _sections(tags), _place(cursor, tags)
        known = {post_id.partition("/")[0] for post_id in listed}
        posts: list[Post] = []
        num_products = 0
        for section in _changing(sections):
            for product in reversed(await self._products(client, section, [])):
                passed = _is_newer(sections, section, place) or place.covers(section, product)
                if str(product) in known or not (cursor is None or passed):
                    continue
                found = await self._product(client, product, self.kinds)
                num_products += 1
                if posts and len(posts) + len(found) > limit:
                    return posts
                posts += found
                if len(posts) >= limit or num_products == _PRODUCTS_PER_PAGE:
                    return posts
        return posts

    async def again(self, client: Client, post: Post) -> Post | None:
        """The image as its product's page shows it now; see `Source.again`."""
        product, _, image = post.post_id.partition("/")
        found = await self._product(client, int(product), _ALL_KINDS)
        if found[0].state == "gone":
            return None
        same = next((item for item in found if item.post_id == post.post_id), None)
        return same or (post if image == _NONE else None)

    async def _products(self, client: Client, section: str, named: list[int]) -> list[int]:
        """Ids of a section's products, falling."""
        if section == _IDS:
            return named
        months: dict[str, list[int]] = client.remember(f"months of {self.canonical()}", dict)
        if section not in months:
            text, received = await self._page(client, _MONTHS_PATH, self._month_query(section))
            if not text:
                raise SourceRefused(
                    f"{received.url} answers {received.problem or received.status} to its list of "
                    "a month; is this Getchu?"
                )
            products = products_of_month(text, received.url)
            if len(products) > _MOST_PRODUCTS:
                raise SourceRefused(
                    f"{received.url} lists {len(products)} products, wanted "
                    f"{_MOST_PRODUCTS} at most; is this a month of Getchu?"
                )
            months[section] = sorted(products, reverse=True)
            logger.info("getchu: %d products in %s", len(months[section]), section)
        return months[section]

    async def _product(self, client: Client, product: int, kinds: Collection[str]) -> list[Post]:
        """The images of a product, or one post without a file that says there are none."""
        query = self._product_query(product)
        text, received = await self._page(client, _PRODUCT_PATH, query)
        if received.status in (404, 410) or (text and product_of(received.url) != product):
            return [dataclasses.replace(self._post(product, _NONE), state="gone")]
        if not text:
            logger.warning("%s cannot be used: %s", received.url, received.problem)
            meta_tags = ["noai"] if received.problem == "noai" else []
            return [dataclasses.replace(self._post(product, _NONE), meta_tags=meta_tags)]
        page = ProductPage(product, received.url, self._is_own).read(text)
        posts = [
            self._post(product, key, page)
            for key, image in page.images.items()
            if _KINDS[image.word][0] in kinds
        ]
        return posts or [self._post(product, _NONE, page)]

    async def _page(self, client: Client, path: str, query: dict[str, str]) -> tuple[str, Received]:
        """A page of the site; no text if it cannot be used or is not there.

        Raises:
            SourceUnavailable: what comes is none of the site's pages.
            SourceRefused: the age gate, or another refusal.
        """
        for ask in range(_ASKS):
            if ask:
                await client.back_off(ask - 1)
            received = await client.get(
                f"{self.root}{path}",
                purpose="list",
                params=query,
                headers=_COOKIE,
                max_bytes=_PAGE_BYTES,
            )
            if received.status in (404, 410) or received.problem not in (None, "truncated"):
                return "", received
            if (received.status or 0) >= 400:
                raise SourceRefused(
                    f"{received.url} answers {received.status}: the site refuses this client; "
                    "set the crawl's user and ask the site"
                )
            text = received.content.decode("euc_jp", errors="replace")
            if _is_gate(text, received.url):
                raise SourceRefused(
                    f"{received.url} is the age gate, though the cookie that answers it was sent; "
                    "the site may have changed it"
                )
            if any(word in text.lower() for word in _OWN_WORDS):
                return text, received
        raise SourceUnavailable(
            f"{received.url} is no page of Getchu ({text.strip()[:60]!r}); "
            "run the same command again later"
        )

    def _post(self, product: int, key: str, page: ProductPage | None = None) -> Post:
        """One image of a product; of no image, what is known of the product."""
        page_url = f"{self.root}{_PRODUCT_PATH}?id={product}"
        image = page.images.get(key) if page else None
        word = image.word if image else ""
        rating = "general" if self.gage == "all" else "questionable"
        if self.gage == "adult" and word == "sample":
            rating = "explicit"
        if page is None:
            return Post(post_id=f"{product}/{key}", post_url=page_url, file_url=None, rating=rating)
        name = page.names.get(image.number) if image and word.startswith("chara") else None
        path = f"/brandnew/{product}/{image.name}" if image and not page.is_noai else None
        return Post(
            post_id=f"{product}/{key}",
            post_url=page_url,
            file_url=f"{self.root}{path}" if path else None,
            tags=sorted(_KINDS[word][1]) if word else [],
            artist_tags=_as_tags(page.artists or page.brands),
            copyright_tags=_as_tags([page.title]),
            character_tags=_as_tags([name or ""]),
            meta_tags=["noai"] if page.is_noai else [],
            rating=rating,
            posted_at=page.released_at,
        )

    def _is_own(self, url: str) -> bool:
        host = host_of(url)
        known = any(f".{host}".endswith(f".{own}") for own in self.FACTS.hosts)
        return host == host_of(self.root) or known

    def _month_query(self, month: str) -> dict[str, str]:
        year, _, number = month.partition("-")
        asked = {"genre": self.genre, "gage": self.gage, "year": year, "month": number}
        return {**asked, "gc": "gc"}

    def _product_query(self, product: int) -> dict[str, str]:
        return {"id": str(product), "gc": "gc"}


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a listing has got; at the start there is no section."""

    section: str = ""
    product: int = 0
    num_images: int = 0

    def names(self, section: str, product: int) -> bool:
        return (section, product) == (self.section, self.product)

    def covers(self, section: str, product: int) -> bool:
        """Whether this product of the same section is done."""
        if self.names(section, product):
            return self.num_images == 0
        return section == self.section and product > self.product


def _sections(query: str) -> dict[str, list[int]]:
    """Months, the newest first, then the products named, by falling id.

    Raises:
        ConfigError: shows what is understood.
    """
    months: set[str] = set()
    products: set[int] = set()
    for word in query.split():
        if match := _ID.fullmatch(word):
            products.add(int(match[1]))
            continue
        match = _MONTHS.fullmatch(word)
        first = match and int(match[1]) * 12 + int(match[2]) - 1
        last = int(match[3]) * 12 + int(match[4]) - 1 if match and match[3] else first
        if first is None or last is None or last < first:
            raise ConfigError(
                f"{word!r} is nothing to ask Getchu for: wanted months like month:2026-05 or "
                "month:2026-01..2026-06, or a product like id:123456"
            )
        months.update(f"{at // 12}-{at % 12 + 1:02d}" for at in range(first, last + 1))
    if not months and not products:
        raise ConfigError("no months: name some, for example tags='month:2026-01..2026-06'")
    sections: dict[str, list[int]] = {month: [] for month in sorted(months, reverse=True)}
    return sections | ({_IDS: sorted(products, reverse=True)} if products else {})


def _place(cursor: str | None, query: str) -> _Place:
    if cursor is None:
        return _Place()
    match = _CURSOR.fullmatch(cursor)
    if not match or match[1] not in _sections(query):
        raise SourceRefused(f"{cursor!r} is no place in the listing of {query!r} at Getchu")
    return _Place(match[1], int(match[4]), int(match[5] or 0))


def _is_newer(sections: Mapping[str, list[int]], section: str, place: _Place) -> bool:
    """Whether a section comes before the one where the listing is."""
    order = list(sections)
    return bool(place.section) and order.index(section) < order.index(place.section)


def _changing(sections: Mapping[str, list[int]]) -> list[str]:
    """Months whose lists may have grown, the oldest first: two at most."""
    today = datetime.now(UTC)
    at = today.year * 12 + today.month - 1
    soon = {f"{month // 12}-{month % 12 + 1:02d}" for month in (at, at + 1)}
    months = [section for section in sections if section != _IDS]
    return [month for month in months if month in soon][::-1] or months[:1]


def _is_gate(text: str, url: str) -> bool:
    shows_products = "brandnew/" in text or "soft-title" in text
    return _GATE_PAGE in url or (_GATE_WORDS in text and not shows_products)


def _as_tags(words: Sequence[str]) -> list[str]:
    return sorted({as_tag(word) for word in words if word.strip()})
