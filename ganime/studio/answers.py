"""From requests to characters, and from characters to answers."""

import base64
import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
from fastapi.responses import StreamingResponse

import ganime
from ganime.images import encode_png
from ganime.studio.characters import Character, Format, Wishes
from ganime.studio.directions import named
from ganime.studio.finishing import resized
from ganime.studio.models import RIGHTS, Listed
from ganime.studio.points import bands
from ganime.studio.schemas import (
    Direction,
    Drawn,
    ImagesAnswer,
    ImagesRequest,
    InterpolationRequest,
    Layers,
    Model,
    SpritesRequest,
)
from ganime.studio.service import Service
from ganime.training.sheets import tile
from ganime.training.video import animation

Pixels = npt.NDArray[np.uint8]
# An image never changes under its settings; `private`, since a token may guard it.
_FOR_EVER = "private, max-age=31536000, immutable"
_PIECE = 65_536  # bytes of a long answer at a time
_LARGEST_DRAWN = 2**31  # of seeds drawn here: short enough to be read out


def model(found: Listed) -> Model:
    """A model as a page offers it."""
    outline = found.outline
    usual = named(outline.num_principal, outline.telling_tags)
    return Model(
        id=found.reference,
        name=found.model_id,
        recipe=outline.recipe,
        resolution=outline.resolution,
        tags=list(outline.tag_names),
        styles=outline.num_styles > 0,
        num_styles=outline.num_styles,
        current=found.is_current,
        nimg=found.nimg,
        dataset=found.dataset,
        metrics=dict(found.metrics),
        rights=RIGHTS,
        directions=[Direction(**asdict(one)) for one in [*found.sought.found, *usual]],
        unsought=[one.question for one in found.sought.unsought],
        without=list(found.sought.without),
        layers=Layers(**bands(outline.num_styles)),
    )


async def characters(service: Service, request: ImagesRequest) -> list[Character]:
    """The characters of a request; their seeds are drawn where none are given."""
    if request.codes is not None:
        reference = (await service.opened(request.model)).reference
        wishes = {**_wishes(request), "model": reference}
        return [Character.parse({**wishes, "codes": code}) for code in request.codes]
    drawn = (secrets.randbelow(_LARGEST_DRAWN) for _ in range(request.count))
    return await of_seeds(service, request, request.seeds or tuple(drawn))


async def of_seeds(service: Service, request: Wishes, seeds: Iterable[int]) -> list[Character]:
    """Characters of seeds under the wishes of a request."""
    reference = (await service.opened(request.model)).reference
    wishes = {**_wishes(request), "model": reference}
    return [Character.parse({**wishes, "seed": seed}) for seed in seeds]


def _wishes(request: Wishes) -> dict[str, object]:
    """What a request wishes of all its characters, without the rest of it."""
    return request.model_dump(include=set(Wishes.model_fields), exclude_defaults=True)


async def images(
    service: Service, wanted: Sequence[Character], format: Format = "png", *, inline: bool = False
) -> ImagesAnswer:
    """Several images: their addresses, and their files if these are asked for as well."""
    data: list[str | None] = [None] * len(wanted)
    if inline:
        files = await service.files(wanted, format)
        data = [base64.b64encode(file).decode() for file in files]
    return ImagesAnswer(
        images=[
            Drawn(
                seed=one.seed, url=f"/v1/images/{one.name()}.{format}", settings=one, data=content
            )
            for one, content in zip(wanted, data, strict=True)
        ]
    )


def about(wanted: Sequence[Character]) -> dict[str, str]:
    """Headers that say what an image is."""
    seeds = [str(one.seed) for one in wanted if one.seed is not None]
    headers = {"x-ganime-model": wanted[0].model, "cache-control": "no-store"}
    if seeds:
        headers["x-ganime-seed"] = ",".join(seeds)
    if len(wanted) == 1:
        headers["x-ganime-settings"] = wanted[0].name()
    return headers


def lasting(wanted: Character, ending: str, *, pinned: bool) -> dict[str, str]:
    """Headers of an image at its own address.

    Args:
        wanted: What it is.
        ending: Of its address.
        pinned: Whether the address names the snapshot; else the newest one draws it.
    """
    told = f"{wanted.name()}.{ending} {ganime.__version__}"
    tag = hashlib.sha256(told.encode()).hexdigest()[:32]
    cached = _FOR_EVER if pinned else "no-cache"
    return {**about([wanted]), "cache-control": cached, "etag": f'"{tag}"'}


def as_sprite(wanted: Character, request: SpritesRequest) -> Character:
    """A character with the size and the ground of a request for sprites."""
    background = "transparent" if request.matte else wanted.background
    size = wanted.size if request.size is None else request.size
    return wanted.model_copy(update={"size": size, "background": background})


def moving(request: InterpolationRequest, frames: Sequence[Pixels]) -> tuple[bytes, str]:
    """A walk as a file, and its media type."""
    if request.size is not None:
        frames = [resized(frame, request.size) for frame in frames]
    if request.format == "strip":
        return encode_png(tile(np.stack(frames), len(frames))), "image/png"
    hold = not request.loop  # at the last one, before it begins again
    content = animation(frames, request.fps, f".{request.format}", hold=hold)
    return content, f"image/{request.format}"


def stream(content: bytes, media_type: str) -> StreamingResponse:
    """A long answer, piece by piece: no slow reader makes the server hold it twice."""

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), _PIECE):
            yield content[start : start + _PIECE]

    headers = {"content-length": str(len(content)), "cache-control": "no-store"}
    return StreamingResponse(pieces(), media_type=media_type, headers=headers)
