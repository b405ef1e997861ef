"""Getchu: a shop's pages in EUC-JP behind an age gate; a product is a few consecutive posts."""

import asyncio
import hashlib
import html
import re
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from ganime.practice.answers import file_answer, scaled
from ganime.practice.collection import Derived
from ganime.practice.corpus import PostRecord
from ganime.practice.protocol import Protocol, Route, root_of

COOKIE = "getchu_adalt_flag=getchu.com"  # spelt so by the site
THUMBNAIL, BUST, SAMPLE, PACKAGE = 120, 300, 640, 400  # [px]
CHARSET = "euc_jp"
MOST_POSTS = 4  # of one product
NUM_SAMPLES = 2
BRANDS = ("星空ソフト", "月見亭", "PRACTICE GARDEN", "若葉工房")
TITLES = ("春色", "放課後", "星降る夜の", "硝子の", "夏空")
NOUNS = ("約束", "図書館", "アトリエ", "方程式", "ものがたり")
FAMILIES = ("朝比奈", "白石", "水無月", "桐生", "綾瀬", "天野")
GIVEN = ("さくら", "ひなた", "ユイ", "しおり", "まこと", "リン")
ARTISTS = ("星野まり", "hoshi", "青木そら")
_IMAGE = re.compile(r"/brandnew/(\d+)/(r?c\1(?:charab?|sample|package)\d*)(_s)?\.jpg")


@dataclass(frozen=True)
class Product:
    """One product: consecutive posts of the corpus, one character each."""

    number: int
    posts: tuple[PostRecord, ...]

    @property
    def released(self) -> datetime:
        """When it comes out: when its first post came."""
        return datetime.fromtimestamp(self.posts[0].created, UTC)

    @property
    def is_adult(self) -> bool:
        """Whether any of its posts is not for all."""
        return any(post.rating not in ("general", "safe") for post in self.posts)

    def pick(self, names: tuple[str, ...], what: str) -> str:
        """One of some names, always the same for the same product and purpose."""
        draw = hashlib.sha256(f"{self.number} {what}".encode()).digest()[0]
        return names[draw % len(names)]

    @property
    def title(self) -> str:
        """Its name."""
        return self.pick(TITLES, "title") + self.pick(NOUNS, "noun")

    def name(self, place: int) -> str:
        """Of the character in a place, from 1."""
        return f"{self.pick(FAMILIES, f'family {place}')} {self.pick(GIVEN, f'given {place}')}"


class Getchu(Protocol):
    """www.getchu.com: no JSON, no MD5, no search but by month."""

    NAME: ClassVar[str] = "getchu"
    PAGE_LIMIT: ClassVar[int] = 1000  # products of a month; the site gives them all

    def prepare(self) -> None:
        """See `Protocol.prepare`."""
        self._products = Derived(self.collection, self._shown)
        self._by_month = Derived(self.collection, self._months)

    def route(self, request: Request) -> Route | None:
        """See `Protocol.route`."""
        path = request.url.path
        if path == "/all/month_title.html":
            return "list", self._month
        if path == "/soft.phtml" or path.startswith("/item/"):
            return "list", self._product
        found = _IMAGE.fullmatch(path)
        if found:
            return ("thumbnail" if found[3] else "file"), self._image
        return ("page", self._front) if path == "/" else None

    def products(self) -> list[Product]:
        """All that are on sale, oldest first: those whose last post is shown."""
        return list(self._products().values())

    def _shown(self) -> dict[int, Product]:
        shown = {post.id for post in self.collection.shown()}
        found = {}
        for group in _groups(list(self.collection.all())):
            left = tuple(post for post in group if post.id not in self.collection.deleted)
            if left and group[-1].id in shown:
                # A character keeps its place when another goes, so its images keep their names.
                found[group[0].id] = Product(group[0].id, tuple(group))
        return found

    def _months(self) -> dict[tuple[int, int], list[Product]]:
        months: dict[tuple[int, int], list[Product]] = {}
        for product in self.products():
            moment = product.released
            months.setdefault((moment.year, moment.month), []).append(product)
        return months

    def _month(self, request: Request) -> Response:
        query = request.query_params
        if not _is_of_age(request):
            return _gate(request)
        year, month = query.get("year", ""), query.get("month", "")
        if not (year.isdigit() and month.isdigit()):
            return _written("<title>Getchu.com</title><p>検索条件に誤りがあります。</p>")
        found = self._by_month().get((int(year), int(month)), [])
        if query.get("gage") in ("adult", "all"):
            found = [item for item in found if item.is_adult == (query["gage"] == "adult")]
        rows = "".join(
            f'<tr><td>{item.released:%Y/%m/%d}</td><td><a href="/soft.phtml?id={item.number}">'
            f"{html.escape(item.title)}</a></td><td>{item.pick(BRANDS, 'brand')}</td></tr>\n"
            for item in found[: self.page_cap]
        )
        return _written(f"<title>発売日一覧 {year}年{month}月</title>\n<table>\n{rows}</table>")

    def _product(self, request: Request) -> Response:
        path = request.url.path
        wanted = request.query_params.get("id", "") or path.removeprefix("/item/").strip("/")
        product = self._products().get(int(wanted)) if _is_number(wanted) else None
        if not _is_of_age(request):
            return _gate(request)
        if product is None:
            return _written("<title>Getchu.com</title><p>ページが見つかりません。</p>", 404)
        sheet = self._sheet(product)
        # The newer address lies two folders deep, so it cannot use the same relative ones.
        return _written(sheet.replace("./brandnew", "/brandnew") if "/item/" in path else sheet)

    def _sheet(self, product: Product) -> str:
        title, brand = html.escape(product.title), product.pick(BRANDS, "brand")
        has_file = any(post.file for post in self._left(product))
        characters = "".join(
            self._character(product, place, post)
            for place, post in enumerate(product.posts, 1)
            if post.id not in self.collection.deleted
        )
        return (
            f"<title>{title} ({brand}) | Getchu.com</title>\n"
            f'<h1 id="soft-title">{title}</h1>\n{_package(product) if has_file else ""}\n'
            f'<table><tr><td>ブランド：</td><td><a id="brandsite" href="#">{brand}</a></td></tr>\n'
            '<tr><td>発売日：</td><td><a id="tooltip-day" href="#">'
            f"{product.released:%Y/%m/%d}</a></td></tr>\n"
            f'<tr><td>原画：</td><td><a href="#">{product.pick(ARTISTS, "artist")}</a></td></tr>'
            f"</table>\n<table>{characters}</table>\n{_samples(product) if has_file else ''}"
        )

    def _left(self, product: Product) -> list[PostRecord]:
        return [post for post in product.posts if post.id not in self.collection.deleted]

    def _character(self, product: Product, place: int, post: PostRecord) -> str:
        number = product.number
        start = f"./brandnew/{number}/c{number}"
        name = html.escape(product.name(place))
        images = (
            f'<img src="{start}chara{place}.jpg" alt="{name}">'
            f'<a href="{start}charab{place}.jpg"><img src="{start}charab{place}_s.jpg" alt=""></a>'
        )
        return (
            f'<tr><td><a name="chara{place}" id="chara{place}"></a>'
            f'{"" if post.ghost else images}</td><td><h2 class="chara-name">'
            f"<charalist>{name}</charalist></h2></td></tr>\n"
        )

    def _image(self, request: Request) -> Response | Awaitable[Response]:
        if not request.headers.get("referer") or COOKIE not in request.headers.get("cookie", ""):
            return _written("<title>403 Forbidden</title><h1>Forbidden</h1>", 403)
        found = _IMAGE.fullmatch(request.url.path)
        product = self._products().get(int(found[1])) if found else None
        if found is None or product is None:
            return _written("<h1>404 Not Found</h1>", 404)
        kind, place = _kind_and_place(found[2], product.number)
        post = self._pictured(product, kind, place)
        path = None if post is None else self.collection.path(post)
        if kind == "charab" and not found[3]:
            return file_answer(request, path, post.media_type if post else "")
        side = {"charab": THUMBNAIL, "chara": BUST, "sample": SAMPLE, "package": PACKAGE}[kind]
        side = THUMBNAIL if found[3] else side
        return asyncio.to_thread(scaled, path, side, upper_part=kind == "chara")

    def _pictured(self, product: Product, kind: str, place: int) -> PostRecord | None:
        """The post whose picture an image is made of."""
        gone = self.collection.deleted
        posts = [None if post.id in gone else post for post in product.posts]
        if kind in ("chara", "charab"):
            return posts[place - 1] if 1 <= place <= len(posts) else None
        drawn = [post for post in posts if post and post.file]
        return drawn[place % len(drawn)] if drawn and place <= NUM_SAMPLES else None

    def _front(self, request: Request) -> Response:
        if not _is_of_age(request):
            return _gate(request)
        return _written(f"<title>Getchu.com</title><p>{len(self._products())} タイトル</p>")


def _groups(posts: list[PostRecord]) -> Iterator[list[PostRecord]]:
    """Posts in rows of one to `MOST_POSTS`, always cut in the same places."""
    start = 0
    while start < len(posts):
        draw = hashlib.sha256(f"product {posts[start].id}".encode()).digest()[0]
        size = 1 + draw % MOST_POSTS
        yield posts[start : start + size]
        start += size


def _package(product: Product) -> str:
    start = f"./brandnew/{product.number}/"
    name = f"c{product.number}package.jpg"
    return f'<a href="{start}{name}"><img src="{start}r{name}" alt=""></a>'


def _samples(product: Product) -> str:
    start = f"./brandnew/{product.number}/c{product.number}sample"
    return "".join(
        f'<a href="{start}{i}.jpg"><img src="{start}{i}_s.jpg" alt=""></a>'
        for i in range(1, NUM_SAMPLES + 1)
    )


def _kind_and_place(name: str, number: int) -> tuple[str, int]:
    rest = name.removeprefix("r").removeprefix(f"c{number}")
    kind = rest.rstrip("0123456789")
    return kind, int(rest[len(kind) :] or 0)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _is_of_age(request: Request) -> bool:
    return request.query_params.get("gc") == "gc" or COOKIE in request.headers.get("cookie", "")


def _gate(request: Request) -> Response:
    address = html.escape(f"{root_of(request)}{request.url.path}?{request.url.query}&gc=gc")
    return _written(
        "<title>年齢認証 | Getchu.com</title><h1>年齢認証</h1>"
        f'<p>あなたは18歳以上ですか？</p><a href="{address}">はい</a><a href="/">いいえ</a>'
    )


def _written(body: str, status: int = 200) -> Response:
    page = f'<!DOCTYPE html>\n<html><head><meta charset="EUC-JP">\n{body}\n</html>\n'
    content = page.encode(CHARSET, "xmlcharrefreplace")
    return Response(content, status, media_type="text/html; charset=EUC-JP")
