"""What a model package says of its model: `model.json`."""

from typing import Any, Literal

from pydantic import Field, field_validator

from ganime.config import Config

SHA256 = r"^[0-9a-f]{64}$"
MODEL_ID = r"^[0-9a-f]{12}$"
MOST_STYLES = 2 * 8  # layers of a generator of 512 px, and room
Plain = str | int | float | None


class TrainingSet(Config):
    """The images that a model was trained on."""

    dataset: str = Field(
        pattern=r"^[^/\s]+/[^/\s]+$", max_length=300, description="name/version, where it was made."
    )
    num_images: int = Field(ge=0, description="Images shown to the model, the hold-out left out.")
    members_sha256: str | None = Field(
        None, pattern=SHA256, description="Of their ids in order, one per line; null if not known."
    )
    sites: dict[str, int] = Field(
        default_factory=dict, description="Images by site; one that several show counts at each."
    )
    ratings: dict[str, int] = Field(
        default_factory=dict, description="Images by the strictest rating of their posts."
    )
    rules: tuple[dict[str, Any], ...] = Field(
        (), description="The rules that chose the images, with their settings."
    )
    obeyed_robots: bool | None = Field(
        None, description="Whether all crawls obeyed robots.txt and noai; null if not known."
    )


class Description(Config):
    """A model besides its weights, pictures and graphs."""

    made_by: str = Field(max_length=100, description="ganime and its version.")
    model_id: str = Field(pattern=MODEL_ID, description="The model.")
    nimg: int = Field(ge=0, lt=10**9, description="Real images shown at the snapshot.")
    blueprint: dict[str, Any] = Field(
        description="Recipe, resolution, tags and nimg, as the weights' own metadata has them."
    )
    num_latents: int = Field(ge=1, le=65_536, description="Length Z of a latent vector.")
    latents: Literal["normal", "binary"] | None = Field(
        description="What latent numbers are: normal, or -1 and 1; null if only torch can tell."
    )
    num_styles: int = Field(
        ge=0, le=MOST_STYLES, description="Layers L that take a style of their own; 0 without any."
    )
    settings: dict[str, Any] = Field(description="The model's config.json.")
    finished: dict[str, Plain] | None = Field(
        None, description="The model's finished.json; null if it was still training."
    )
    trained_on: TrainingSet = Field(description="The images.")
    scores: tuple[dict[str, Plain], ...] = Field(
        (), description="Evaluations of the snapshot, and floors: rows of EvaluationRow."
    )
    health: dict[str, float] = Field(
        default_factory=dict, description="What training measured at the snapshot."
    )

    @field_validator("blueprint")
    @classmethod
    def _is_a_blueprint(cls, found: dict[str, Any]) -> dict[str, Any]:
        side, tags, recipe = (found.get(name) for name in ("resolution", "tags", "recipe"))
        if not isinstance(side, int) or side not in (32, 64, 128, 256, 512):
            raise ValueError("resolution: wanted 32, 64, 128, 256 or 512")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise ValueError("tags: wanted a list of names")
        if not isinstance(recipe, dict) or not isinstance(recipe.get("name"), str):
            raise ValueError("recipe: wanted settings with a name")  # noqa: TRY004 - for pydantic
        return found

    @property
    def resolution(self) -> int:
        """R, side of its images [px]."""
        side: int = self.blueprint["resolution"]
        return side

    @property
    def tag_names(self) -> tuple[str, ...]:
        """The T tags that it can be asked for."""
        return tuple(self.blueprint["tags"])

    @property
    def recipe(self) -> str:
        """Name of what it was trained by."""
        name: str = self.blueprint["recipe"]["name"]
        return name
