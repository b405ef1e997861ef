"""The studio's HTTP interface; `ganime.studio.schemas` says what requests ask and answers say."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Header, Response
from fastapi import Path as InPath
from fastapi.responses import StreamingResponse

import ganime
from ganime.images import encode_png
from ganime.studio import answers, choice, problems
from ganime.studio.characters import Character, Near, character_of
from ganime.studio.counting import Counted
from ganime.studio.finishing import MEDIA_TYPES, sheet
from ganime.studio.models import provenance
from ganime.studio.schemas import (
    DirectionsRequest,
    DiverseRequest,
    ImagesAnswer,
    ImagesRequest,
    InterpolationRequest,
    ModelsAnswer,
    NeighboursRequest,
    SpritesRequest,
)
from ganime.studio.searching import search
from ganime.studio.service import Service
from ganime.studio.sprites import Pixels, archive, sprite
from ganime.web.guard import App, Guard
from ganime.web.pages import add_static

_Responses = dict[int | str, dict[str, Any]]


def _files(*kinds: str) -> _Responses:
    """What a route that answers with a file says of it in the API's description."""
    file = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "The file.", "content": dict.fromkeys(kinds, file)}}


def build_app(service: Service, *, hosts: frozenset[str], token: str = "") -> App:
    """The ASGI app, guarded and counted.

    Args:
        service: What draws.
        hosts: Names that the server answers to.
        token: What every request must know; empty for none.
    """
    app = FastAPI(
        title="ganime studio",
        version=ganime.__version__,
        description="Characters out of a trained generator. A POST is application/json.",
        docs_url=None,  # its usual page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        responses=problems.RESPONSES,
    )
    problems.add_problems(app)
    _add_models(app, service)
    _add_images(app, service)
    _add_choices(app, service)
    _add_bundles(app, service)
    _add_health(app, service)
    add_static(app, "studio")
    guarded = Guard(
        app, name="studio", hosts=hosts, token=token, page_only=False, tell=problems.tell
    )
    return Counted(guarded, service.meters)


def _add_models(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models")
    def models() -> ModelsAnswer:
        """All models that can be drawn from, the usual one first."""
        return ModelsAnswer(models=[answers.model(one) for one in service.models.listed()])

    @app.post("/v1/directions")
    async def directions(request: DirectionsRequest) -> ModelsAnswer:
        """Look for the directions of a model's questions; answers as GET /v1/models after that.

        The first time it draws more than a thousand images; what was found is kept.
        """
        await search(service, await service.opened(request.model))
        listed = await service.apart(service.models.listed)
        return ModelsAnswer(models=[answers.model(one) for one in listed])


def _add_images(app: FastAPI, service: Service) -> None:
    @app.post("/v1/images", response_model=ImagesAnswer, responses=_files(*MEDIA_TYPES.values()))
    async def images(request: ImagesRequest) -> Response | ImagesAnswer:
        """Draw one image, or several: one as its file, several as their addresses."""
        wanted = await answers.characters(service, request)
        if request.sheet:
            with service.archive():
                drawn = await service.finished(wanted)
                content = await service.apart(lambda: encode_png(sheet(drawn)))
            return Response(content, media_type="image/png", headers=answers.about(wanted))
        if len(wanted) > 1 or request.inline:
            return await answers.images(service, wanted, request.format, inline=request.inline)
        content = await service.file(wanted[0], request.format)
        return Response(
            content, media_type=MEDIA_TYPES[request.format], headers=answers.about(wanted)
        )

    @app.get(
        "/v1/images/{name}.{ending}",
        response_class=Response,
        responses={
            **_files(*MEDIA_TYPES.values()),
            304: {"description": "It is still what If-None-Match names."},
        },
    )
    async def image(
        name: Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]+$")],
        ending: Literal["png", "jpeg", "webp"],
        if_none_match: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        """The image whose settings, as base64url of their JSON, are its name."""
        asked = character_of(name)
        model, wanted = await service.pinned(asked)
        headers = answers.lasting(wanted, ending, pinned=asked.model == model.reference)
        if if_none_match == headers["etag"]:
            return Response(status_code=304, headers=headers)
        content = await service.file(wanted, ending)
        return Response(content, media_type=MEDIA_TYPES[ending], headers=headers)


def _add_choices(app: FastAPI, service: Service) -> None:
    @app.post("/v1/neighbours")
    async def neighbours(request: NeighboursRequest) -> ImagesAnswer:
        """Variations of one character."""
        _, wanted = await service.pinned(request.character)
        found = []
        for number in range(request.first, request.first + request.count):
            step = Near(number=number, distance=request.distance, of=wanted.near)
            found.append(Character.parse({**wanted.plain(), "near": step.model_dump()}))
        return await answers.images(service, found)

    @app.post("/v1/diverse")
    async def diverse(request: DiverseRequest) -> ImagesAnswer:
        """Characters that differ most from each other, of a pool of seeds."""
        seeds = range(request.first, request.first + request.pool)
        pool = await answers.of_seeds(service, request, seeds)
        chosen = choice.farthest(await service.drawn(pool), request.count)
        return await answers.images(service, [pool[place] for place in chosen])


def _add_bundles(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/interpolations",
        response_class=StreamingResponse,
        responses=_files("image/webp", "image/gif", "image/png"),
    )
    async def interpolation(request: InterpolationRequest) -> StreamingResponse:
        """A walk from character to character, as an animation or a strip."""
        stations = request.images or await answers.of_seeds(service, request, request.seeds or ())
        with service.archive():
            frames = await service.walk(stations, request.frames, loop=request.loop)
            content, media_type = await service.apart(lambda: answers.moving(request, frames))
        return answers.stream(content, media_type)

    @app.post("/v1/sprites", response_class=StreamingResponse, responses=_files("application/zip"))
    async def sprites(request: SpritesRequest) -> StreamingResponse:
        """Characters cut out of their ground, as files that a game engine reads."""
        pinned = [await service.pinned(one) for one in request.images]
        wanted = [answers.as_sprite(one, request) for _, one in pinned]
        card = provenance([model for model, _ in pinned], wanted)

        def packed(images: Sequence[Pixels]) -> bytes:
            made = [
                sprite(f"{place:02d}.png", image, trim=request.trim)
                for place, image in enumerate(images)
            ]
            return archive(made, card, sheet=request.sheet, power_of_two=request.power_of_two)

        with service.archive():
            images = await service.finished(wanted)
            content = await service.apart(lambda: packed(images))
        return answers.stream(content, "application/zip")


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    def health() -> dict[Literal["status"], Literal["ok"]]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response, responses=_files("text/plain"))
    def metrics() -> Response:
        """What is counted, for Prometheus."""
        return Response(service.meters.text(), media_type="text/plain; version=0.0.4")
