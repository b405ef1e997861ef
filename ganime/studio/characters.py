"""One character as settings, plain data that an address can hold."""

import base64
import binascii
import json
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ganime.config import Config, explain
from ganime.errors import ConfigError

LARGEST_SEED = 2**53 - 1  # JavaScript knows no larger whole number exactly
LARGEST_SIZE = 1024  # [px]; four times what most models draw
MOST_TAGS = 64
MOST_SHIFTS = 64
MOST_STEPS = 16  # of refining a character
LONGEST_NAME = 60_000  # characters; a server reads addresses of 64 kB
LONGEST_CODE = 20_000  # numbers; 18 layers of 1024

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Number = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Tag = Annotated[str, Field(max_length=200)]
Tags = Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS)]
Amount = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)]
Row = Annotated[tuple[Number, ...], Field(min_length=1, max_length=LONGEST_CODE)]
Format = Literal["png", "jpeg", "webp"]


class Mix(Config):
    """Layers that come from another character (1812.04948, figure 3)."""

    seed: Seed = Field(description="Of the other.")
    layers: (
        Literal["coarse", "middle", "fine"]
        | Annotated[tuple[Annotated[int, Field(ge=0, lt=64)], ...], Field(max_length=64)]
    ) = Field("coarse", description="Which ones: pose and shape, features, colours; or numbers.")
    share: Share = Field(1.0, description="How far to go towards the other in them.")


class Near(Config):
    """A variation of a character: some way towards another latent."""

    number: Seed = Field(description="Seed of the latent to go towards.")
    distance: Share = Field(0.25, description="How far: 0 is the character, 1 the other one.")
    of: "Near | None" = Field(None, description="The variation that this one is a variation of.")

    def steps(self) -> list["Near"]:
        """All variations, the first one first."""
        found: list[Near] = []
        here: Near | None = self
        while here is not None:
            found.append(here)
            here = here.of
        return found[::-1]


class Wishes(Config):
    """What is wished of characters, whatever their seeds."""

    model: str = Field(
        "", max_length=200, description="Id as GET /v1/models has it; empty for the current one."
    )
    tags: Tags | None = Field(None, description="What to show; null for tags of training images.")
    not_tags: Tags = Field((), description="What not to show.")
    truncation: Share = Field(1.0, description="From 0, the average image, to 1, all learnt.")
    mix: Mix | None = Field(None, description="Layers of another; models with styles only.")
    shift: Annotated[dict[Tag, Amount], Field(max_length=MOST_SHIFTS)] = Field(
        {}, description="How far to go along directions, by their names."
    )
    hold: Annotated[tuple[Tag, ...], Field(max_length=MOST_SHIFTS)] = Field(
        (), description="Directions that the shift leaves as they are (1907.10786, 2.2)."
    )
    near: Near | None = Field(None, description="A variation instead of the character itself.")
    size: int | None = Field(
        None, ge=16, le=LARGEST_SIZE, description="Side [px]; null for the model's own."
    )
    background: Literal["opaque", "transparent"] = Field(
        "opaque", description="Whether to cut the character out of its ground."
    )

    @model_validator(mode="after")
    def _few_steps(self) -> Self:
        if self.near is not None and len(self.near.steps()) > MOST_STEPS:
            raise ValueError(f"near: at most {MOST_STEPS} variations of variations")
        return self


class Character(Wishes):
    """Everything that decides about one image."""

    seed: Seed | None = Field(None, description="Which character; null where codes are given.")
    codes: Row | Annotated[tuple[Row, ...], Field(min_length=1, max_length=64)] | None = Field(
        None, description="A code instead: a style, a style for each layer, or a latent."
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.seed is None) == (self.codes is None):
            raise ValueError("wanted either a seed or codes")
        return self

    def plain(self) -> dict[str, object]:
        """As JSON, without what is as usual."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def name(self) -> str:
        """Base64url of it as JSON with sorted keys; equal characters have equal names."""
        text = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def character_of(name: str) -> Character:
    """The settings in a name.

    Raises:
        ConfigError: it holds none.
    """
    if len(name) > LONGEST_NAME:
        raise ConfigError(f"the image's name is longer than {LONGEST_NAME} characters")
    try:
        text = base64.b64decode(name + "=" * (-len(name) % 4), altchars=b"-_", validate=True)
        found = json.loads(text)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise ConfigError(
            "the image's name is no settings: wanted base64url of their JSON"
        ) from error
    if not isinstance(found, dict):
        raise ConfigError("the image's name holds no JSON object: wanted settings of a character")
    try:
        return Character.model_validate(found)
    except ValidationError as error:
        raise ConfigError(explain(error, Character)) from error
