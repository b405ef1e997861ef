"""The practice booru's HTTP server, on loopback."""

import asyncio
import html
import io
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ganime.errors import GanimeError
from ganime.practice.corpus import Corpus, PostRecord
from ganime.practice.protocol import Index, as_json, as_xml, refusal

logger = logging.getLogger(__name__)
Fault = Callable[[Request], Response | None]
DEEPEST = 200_000  # records; a page beyond is refused, as at the real site
START_TIMEOUT_S = 10.0


class PracticeSite:
    """The site itself, an ASGI application.

    Args:
        corpus: What it shows.
        latency_s: Wait before every answer [s].
        page_cap: Most posts of one page, whatever is asked for.
        first_posts: Show only so many of the oldest posts, to let the site grow later; all if None.
        faults: Asked first on every request; what it returns is the answer, None means go on.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        latency_s: float = 0.0,
        page_cap: int = 1000,
        first_posts: int | None = None,
        faults: Fault | None = None,
    ) -> None:
        self.corpus = corpus
        self.latency_s = latency_s
        self.page_cap = page_cap
        self.faults = faults
        self.requests: Counter[str] = Counter()  # by kind: list, image, thumbnail, page
        self.paths: list[str] = []  # path and query of every request, in order
        self.show(first_posts)
        self._files = {(str(post.directory), post.image): post for post in corpus.posts}
        self._stems = {post.image.rpartition(".")[0]: post for post in corpus.posts}
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/index.php", self._index_php),
                Route("/images/{directory}/{name}", self._image),
                Route("/thumbnails/{directory}/{name}", self._thumbnail),
                Route("/samples/{directory}/{name}", self._thumbnail),
            ]
        )

    def show(self, first_posts: int | None) -> None:
        """Let the site have only its oldest posts, or all (None)."""
        self._index = Index(self.corpus.posts[:first_posts])

    async def _enter(self, request: Request, kind: str) -> Response | None:
        self.requests[kind] += 1
        query = f"?{request.url.query}" if request.url.query else ""
        self.paths.append(request.url.path + query)
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        return self.faults(request) if self.faults else None

    async def _index_php(self, request: Request) -> Response:
        query = request.query_params
        if query.get("page") == "dapi" and query.get("s") == "post":
            return await self._enter(request, "list") or self._list(request)
        return await self._page(request)

    def _list(self, request: Request) -> Response:
        query = request.query_params
        wants_json = query.get("json") == "1"
        try:
            limit = min(int(query.get("limit", 100)), self.page_cap)
            page = int(query.get("pid", 0))
            only = f" id:{int(query['id'])}" if "id" in query else ""
        except ValueError:
            return _xml(refusal("Search error: a number was expected."))
        offset = max(page, 0) * max(limit, 0)
        if offset > DEEPEST:
            return _xml(refusal("Search error: API limited due to abuse."))
        found = self._index.search(query.get("tags", "") + only)
        shown = found[offset : offset + max(limit, 0)]
        root = str(request.base_url).rstrip("/")
        if wants_json:
            return HTMLResponse(as_json(shown, root) if shown else "")
        return _xml(as_xml(shown, len(found), offset, root))

    async def _image(self, request: Request) -> Response:
        answer = await self._enter(request, "image")
        if answer is not None:
            return answer
        post = self._files.get((request.path_params["directory"], request.path_params["name"]))
        if post is None or post.file is None:
            return HTMLResponse("<h1>404 Not Found</h1>", 404)
        return Response((self.corpus.folder / post.file).read_bytes(), media_type=post.media_type)

    async def _thumbnail(self, request: Request) -> Response:
        answer = await self._enter(request, "thumbnail")
        if answer is not None:
            return answer
        stem = Path(request.path_params["name"]).stem.partition("_")[2]
        post = self._stems.get(stem)
        if post is None or post.file is None:
            return HTMLResponse("<h1>404 Not Found</h1>", 404)
        side = 150 if "/thumbnails/" in request.url.path else 850
        return await asyncio.to_thread(_scaled, self.corpus.folder / post.file, side)

    async def _page(self, request: Request) -> Response:
        answer = await self._enter(request, "page")
        if answer is not None:
            return answer
        if not request.query_params.get("id", "").isdigit():
            return HTMLResponse(_overview(self._index))
        found = self._index.search(f"id:{request.query_params['id']}")
        if not found or found[0].ghost:
            return HTMLResponse("<h1>404 Not Found</h1>", 404)
        return HTMLResponse(_post_page(found[0]))


def _xml(text: str) -> Response:
    return Response(text, media_type="text/xml")


def _scaled(file: Path, side: int) -> Response:
    try:
        with Image.open(file) as image:
            small = image.convert("RGB")
            small.thumbnail((side, side))
    except OSError:  # the file is one of the broken ones
        return HTMLResponse("<h1>404 Not Found</h1>", 404)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return Response(stream.getvalue(), media_type="image/jpeg")


def _overview(index: Index) -> str:
    shown = "".join(
        f'<a href="/index.php?page=post&amp;s=view&amp;id={post.id}"><img loading="lazy" alt="" '
        f'src="/thumbnails/{post.directory}/thumbnail_{post.image.rpartition(".")[0]}.jpg"></a>'
        for post, _ in index.posts[:60]
    )
    return (
        "<!DOCTYPE html><title>practice booru</title><h1>practice booru</h1>"
        f"<p>{len(index.posts)} posts, the newest:</p>{shown}"
    )


def _post_page(post: PostRecord) -> str:
    tags = html.escape(" ".join(post.tags))
    image = f'<img alt="" src="/images/{post.directory}/{post.image}">'
    return f"<!DOCTYPE html><title>post {post.id}</title><h1>{post.id}</h1><p>{tags}</p>{image}"


class PracticeServer(PracticeSite):
    """The site on a port of this machine, in a thread, as long as the `with` block runs.

    Args:
        corpus: What it shows.
        port: 0 takes a free one.
        host: Loopback unless said otherwise.
        latency_s: See `PracticeSite`, as for the others.
    """

    def __init__(
        self,
        corpus: Corpus,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        latency_s: float = 0.0,
        page_cap: int = 1000,
        first_posts: int | None = None,
        faults: Fault | None = None,
    ) -> None:
        super().__init__(
            corpus, latency_s=latency_s, page_cap=page_cap, first_posts=first_posts, faults=faults
        )
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """Root of the site, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._socket = listen(self.host, self.port)
        self.port = self._socket.getsockname()[1]
        self._server = uvicorn.Server(_settings(self))
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="practice-booru", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self._close()
                raise GanimeError(f"the practice booru did not start at {self.url}")
            time.sleep(0.005)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._server.should_exit = True
        self._thread.join(START_TIMEOUT_S)
        self._socket.close()


def listen(host: str, port: int) -> socket.socket:
    """Take a port.

    Raises:
        GanimeError: it is taken already, or the host is not ours.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(512)
    except OSError as error:
        taken.close()
        raise GanimeError(f"cannot serve at {host}:{port}: {error.strerror or error}") from error
    return taken


def serve(corpus: Corpus, host: str = "127.0.0.1", port: int = 8300) -> None:
    """Serve until interrupted.

    Raises:
        GanimeError: the port is taken.
    """
    site = PracticeSite(corpus)
    with listen(host, port) as taken:
        logger.info("practice booru: http://%s:%d", host, taken.getsockname()[1])
        try:
            uvicorn.Server(_settings(site)).run([taken])
        except KeyboardInterrupt:
            logger.info("practice booru: stopped")


def _settings(site: PracticeSite) -> uvicorn.Config:
    return uvicorn.Config(
        site.app,
        log_config=None,
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
    )
