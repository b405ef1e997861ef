"""What requests ask and answers say."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ganime.config import Config
from ganime.studio.characters import Character, Format, Row, Seed, Share, Wishes

MOST_IMAGES = 64  # of one request
MOST_POOL = 512  # characters looked at to choose from
MOST_FRAMES = 240  # of an animation: ten seconds
MOST_STATIONS = 64  # characters on a walk
MOST_SPRITES = 64

Seeds = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MOST_IMAGES)]
Codes = Annotated[tuple[Row, ...], Field(min_length=1, max_length=MOST_IMAGES)]


class Problem(Config):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Direction(Config):
    """A way to change a character."""

    name: str
    kind: Literal["pca", "tag", "question"]
    scale: float = Field(description="Amount at which a slider ends, to either side.")
    correlation: float | None = Field(
        None, description="Of a question's: with its classifier's scores of new characters."
    )
    low: float | None = Field(
        None, description="Of a question's: mean score of new characters at the lower end, 0-1."
    )
    high: float | None = Field(None, description="The same at the upper end.")


class Layers(Config):
    """Layers by what they decide."""

    coarse: list[int]
    middle: list[int]
    fine: list[int]


class Model(Config):
    """A model that can be drawn from."""

    id: str = Field(description="With its snapshot, so that images stay while training goes on.")
    name: str = Field(description="Its id in the workspace.")
    recipe: str
    resolution: int = Field(description="Side of its images [px].")
    tags: list[str] = Field(description="What it can be asked for.")
    styles: bool = Field(description="Whether it can mix.")
    num_styles: int
    current: bool = Field(description="Whether it is the one where none is named.")
    nimg: int = Field(description="Real images shown.")
    dataset: str | None
    metrics: dict[str, float]
    rights: str
    directions: list[Direction]
    unsought: list[str] = Field(
        description="Questions whose directions POST /v1/directions looks for."
    )
    without: list[str] = Field(description="Questions for which it found none.")
    layers: Layers


class ModelsAnswer(Config):
    """All models."""

    models: list[Model]


class DirectionsRequest(Config):
    """Whose directions to look for."""

    model: str = Field(
        "", max_length=200, description="Id as GET /v1/models has it; empty for the current one."
    )


class ImagesRequest(Wishes):
    """One image or several."""

    seeds: Seeds | None = Field(None, description="One image each; null to draw some.")
    codes: Codes | None = Field(None, description="Codes instead of seeds, one image each.")
    count: int = Field(1, ge=1, le=MOST_IMAGES, description="How many, without seeds and codes.")
    format: Format = "png"
    sheet: bool = Field(False, description="All on one PNG.")
    inline: bool = Field(False, description="The files in the answer instead of addresses.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.seeds and self.codes:
            raise ValueError("wanted either seeds or codes")
        if self.background == "transparent" and self.format == "jpeg":
            raise ValueError("jpeg has no transparency: wanted png or webp")
        return self


class Drawn(Config):
    """One image of several."""

    seed: int | None
    url: str = Field(description="Where it is; the same image for ever.")
    settings: Character
    data: str | None = Field(None, description="The file in base64, where it was asked for.")


class ImagesAnswer(Config):
    """Several images."""

    images: list[Drawn]


class NeighboursRequest(Config):
    """Variations of one character."""

    image: Character | None = Field(None, description="The character by its settings.")
    seed: Seed | None = Field(None, description="Or by its seed.")
    code: Row | None = Field(None, description="Or by its code.")
    model: str = Field("", max_length=200, description="Of seed or code.")
    distance: Share = Field(0.25, description="How far they lie: 0 is the character itself.")
    count: int = Field(8, ge=1, le=MOST_IMAGES)
    first: Seed = Field(0, description="Number of the first one; others follow.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(one is not None for one in (self.image, self.seed, self.code)) != 1:
            raise ValueError("wanted one of image, seed and code")
        return self

    @property
    def character(self) -> Character:
        """Whose variations."""
        if self.image is not None:
            return self.image
        return Character(model=self.model, seed=self.seed, codes=self.code)


class DiverseRequest(Wishes):
    """Characters that differ."""

    count: int = Field(8, ge=1, le=MOST_IMAGES)
    pool: int = Field(64, ge=1, le=MOST_POOL, description="How many to choose from.")
    first: Seed = Field(0, le=2**52, description="Seed of the first of these; others follow.")

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.pool < self.count:
            raise ValueError(f"pool: {self.pool} are too few to choose {self.count} from")
        return self


Stations = Annotated[tuple[Character, ...], Field(min_length=2, max_length=MOST_STATIONS)]


class InterpolationRequest(Wishes):
    """A walk from character to character."""

    images: Stations | None = Field(None, description="Through these; all of one model.")
    seeds: Annotated[tuple[Seed, ...], Field(min_length=2, max_length=MOST_STATIONS)] | None = (
        Field(None, description="Or through these, under the wishes beside it.")
    )
    frames: int = Field(48, ge=2, le=MOST_FRAMES, description="Pictures in all.")
    fps: float = Field(24.0, ge=1, le=60, allow_inf_nan=False, description="Pictures a second.")
    format: Literal["gif", "webp", "strip"] = "webp"
    loop: bool = Field(True, description="Whether it leads back to the first.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.images is None) == (self.seeds is None):
            raise ValueError("wanted either images or seeds, two or more")
        return self


class SpritesRequest(Config):
    """Characters cut out, as files that a game engine reads."""

    images: Annotated[tuple[Character, ...], Field(min_length=1, max_length=MOST_SPRITES)]
    size: int | None = Field(None, ge=16, le=1024, description="Longer side [px].")
    power_of_two: bool = Field(False, description="Sides of the sheet as powers of two.")
    trim: bool = Field(True, description="Leave out empty borders.")
    matte: bool = Field(True, description="Cut them out of their ground.")
    sheet: bool = Field(True, description="A sheet and an atlas beside the single files.")
