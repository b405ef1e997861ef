"""A page's own files, some of which it shares with the other pages."""

from collections.abc import Mapping
from importlib import resources

from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "woff2": "font/woff2",
}
_FRESH = {"cache-control": "no-cache"}  # an update of ganime shows at once


def add_static(app: FastAPI, package: str) -> None:
    """Serve `index.html` at / and the other files at /static/.

    They are read now: no name that a client sends ever opens one.

    Args:
        app: To add the routes to.
        package: Name of the page's package; its files win over shared ones of the same name.
    """
    files = _static_files(package)

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return Response(files["index.html"], media_type=_TYPES["html"], headers=_FRESH)

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "no such file")
        kind = _TYPES[name.rpartition(".")[2]]
        return Response(files[name], media_type=kind, headers=_FRESH)


def _static_files(package: str) -> Mapping[str, bytes]:
    shared, own = (resources.files("ganime") / name / "static" for name in ("web", package))
    return {
        file.name: file.read_bytes()
        for folder in (shared, own)
        for file in folder.iterdir()
        if file.name.rpartition(".")[2] in _TYPES
    }
