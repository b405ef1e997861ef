"""What a practice booru will hold: every post decided before anything is drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from ganime.config import Config
from ganime.practice import grounds
from ganime.practice.characters import Cast
from ganime.practice.files import FAULTS, RELATIONS, TURNS
from ganime.practice.scenes import FILL, Scene

REVISION = 1  # raise it whenever a drawing or a post changes: corpora are then drawn afresh
VIEWPOINTS = ("from_behind", "from_side", "from_above", "from_below", "lying")
# poses whose hands would be out of sight, and what takes their place
HIDDEN_POSES = {
    "from_behind": {"together": "sides", "chest": "hip", "v": "waving"},
    "chibi": {"up": "outstretched", "waving": "hip", "v": "hips"},  # behind so large a head
}
RATINGS = ("general", "safe", "questionable")


class PracticeConfig(Config):
    """How many posts of which kind a practice booru has; shares are of all posts."""

    seed: int = Field(0, ge=0, description="Another seed draws other characters.")
    posts: int = Field(2000, ge=1, le=100_000, description="Number of posts.")
    height_min: int = Field(480, ge=64, le=4000, description="Smallest picture height [px].")
    height_max: int = Field(900, ge=64, le=4000, description="Largest picture height [px].")
    chibi: float = Field(0.08, ge=0, le=1, description="Share of chibi figures.")
    multiple: float = Field(0.08, ge=0, le=1, description="Share with two or three characters.")
    flashy: float = Field(0.07, ge=0, le=1, description="Share on a busy background.")
    viewpoint: float = Field(
        0.06, ge=0, le=1, description="Share seen from behind, aside, above, below, or lying."
    )
    exact: float = Field(0.03, ge=0, le=1, description="Share of exact copies of another post.")
    near: float = Field(0.07, ge=0, le=1, description="Share of altered copies of another post.")
    broken: float = Field(0.03, ge=0, le=1, description="Share whose file or record is broken.")
    tag_recall: float = Field(
        0.7, ge=0, le=1, description="How often a nuisance carries the tag that gives it away."
    )
    attribute_recall: float = Field(
        0.95, ge=0, le=1, description="How often any other true tag is given."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.height_min > self.height_max:
            raise ValueError("height_min is larger than height_max")
        shares = [getattr(self, name) for name in SHARES]
        if sum(shares) > 1 + 1e-9:
            raise ValueError(f"the shares of {', '.join(SHARES)} sum to {sum(shares):.3f} > 1")
        if self.exact + self.near > 0 and sum(shares) > 1 - 1 / self.posts:
            raise ValueError("copies need at least one plain standing post to copy")
        return self


SHARES = ("chibi", "multiple", "flashy", "viewpoint", "exact", "near", "broken")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPost:
    """One post: its scene, its file, its record."""

    index: int
    post_id: int
    scene: Scene
    sort: str  # of file, a key of `files.FORMATS`
    quality: int
    orientation: int
    relation: str  # `original`, `exact` or one of `files.RELATIONS`
    base: "PlannedPost | None"
    fault: str | None
    tags: tuple[str, ...]
    rating: str
    score: int | None
    created: int  # seconds since 1970
    changed: int
    parent_id: int | None

    @property
    def original(self) -> "PlannedPost":
        """The post that was drawn for this picture: itself unless it is a copy."""
        return self.base or self


def plan_posts(config: PracticeConfig) -> list[PlannedPost]:
    """Decide every post of the site, oldest first."""
    rng = np.random.default_rng((config.seed, config.posts))
    roles = _roles(config, rng)
    ids = 1_000_000 + np.cumsum(rng.integers(1, 9, config.posts))
    cast = Cast()
    posts: dict[int, PlannedPost] = {}
    faults = _cycle(FAULTS)
    viewpoints = _cycle(VIEWPOINTS)
    for index, role in enumerate(roles):
        if role in ("exact", "near"):
            continue
        own = np.random.default_rng((config.seed, index))
        kind = "standing" if role == "broken" else role
        viewpoint = next(viewpoints) if kind == "viewpoint" else "front"
        scene = _scene(config, kind, viewpoint, cast, own, index)
        fault = next(faults) if role == "broken" else None
        posts[index] = _post(config, own, index, int(ids[index]), scene, fault)
    bases = _bases(posts, rng)
    relations = _cycle(RELATIONS)
    for index, role in enumerate(roles):
        if role in ("exact", "near"):
            relation = "exact" if role == "exact" else next(relations)
            base = next(bases)
            if relation != "exact":  # an alteration is seen only on an opaque picture
                while base.sort == "png_alpha":
                    base = next(bases)
            posts[index] = _copy(config, base, index, int(ids[index]), relation)
    return [posts[index] for index in range(config.posts)]


def _roles(config: PracticeConfig, rng: np.random.Generator) -> list[str]:
    roles = [name for name in SHARES for _ in range(round(getattr(config, name) * config.posts))]
    roles = roles[: config.posts]
    roles += ["standing"] * (config.posts - len(roles))
    return [roles[int(i)] for i in rng.permutation(config.posts)]


def _cycle(names: Sequence[str]) -> Iterator[str]:
    while True:
        yield from names


def _bases(posts: dict[int, PlannedPost], rng: np.random.Generator) -> Iterator[PlannedPost]:
    """Posts to copy, mostly plain ones, none twice before all were copied once."""
    sound = [post for post in posts.values() if post.fault is None]
    plain = [post for post in sound if post.scene.kind == "standing"] or sound
    while True:
        for i in rng.permutation(len(plain)):
            if rng.random() < 0.12:
                yield sound[int(rng.integers(len(sound)))]
            else:
                yield plain[int(i)]


def _scene(
    config: PracticeConfig,
    kind: str,
    viewpoint: str,
    cast: Cast,
    rng: np.random.Generator,
    index: int,
) -> Scene:
    count = int(rng.choice((2, 3), p=(0.7, 0.3))) if kind == "multiple" else 1
    if kind == "flashy":
        ground = str(rng.choice(list(grounds.BUSY)))
    elif viewpoint in ("from_above", "from_below"):
        ground = grounds.WHITE
    else:
        ground = _ground(rng)
    spread = config.height_max - config.height_min
    instead = HIDDEN_POSES.get(kind if kind == "chibi" else viewpoint)
    characters = [cast.add(rng, instead) for _ in range(count)]
    return Scene(
        kind=kind,
        characters=tuple(characters),
        viewpoint=viewpoint,
        ground=ground,
        height=config.height_min + int(spread * rng.beta(1.1, 3.2)),
        slack=float(rng.uniform(0.03, 0.16)),
        fill=float(rng.uniform(*FILL)),
        seed=(config.seed, index),
    )


def _ground(rng: np.random.Generator) -> str:
    draw = rng.random()
    if draw < 0.78:
        return grounds.WHITE
    if draw < 0.9:
        return str(rng.choice(grounds.OFF_WHITE))
    return str(rng.choice(list(grounds.PALE))) if draw < 0.95 else "transparent"


def _post(
    config: PracticeConfig,
    rng: np.random.Generator,
    index: int,
    post_id: int,
    scene: Scene,
    fault: str | None,
) -> PlannedPost:
    if scene.ground == "transparent":
        sort = "png_alpha"
    elif scene.kind == "flashy":
        sort = "jpeg"
    else:
        sorts = ("jpeg", "png", "jpeg_turned", "png_palette")
        sort = str(rng.choice(sorts, p=(0.7, 0.24, 0.03, 0.03)))
    created = 1_640_995_200 + index * 600 + int(rng.integers(500))
    return PlannedPost(
        index=index,
        post_id=post_id,
        scene=scene,
        sort=sort,
        quality=int(rng.integers(85, 96)),
        orientation=int(rng.choice(list(TURNS))) if sort == "jpeg_turned" else 1,
        relation="original",
        base=None,
        fault=fault,
        tags=choose_tags(scene, config, rng),
        rating=str(rng.choice(RATINGS, p=(0.77, 0.2, 0.03))),
        score=int(rng.integers(0, 60)) if rng.random() < 0.3 else None,
        created=created,
        changed=created + int(rng.integers(0, 10_000_000)),
        parent_id=None,
    )


def _copy(
    config: PracticeConfig, base: PlannedPost, index: int, post_id: int, relation: str
) -> PlannedPost:
    rng = np.random.default_rng((config.seed, index))
    fresh = _post(config, rng, index, post_id, base.scene, None)
    parent_id = base.post_id if rng.random() < 0.25 else None
    fresh = replace(fresh, relation=relation, base=base, parent_id=parent_id)
    if relation == "exact":
        return replace(fresh, sort=base.sort, quality=base.quality, orientation=base.orientation)
    sort = fresh.sort if fresh.sort in ("jpeg", "png") else "jpeg"
    if relation == "reencoded":
        return replace(fresh, sort="jpeg", quality=int(rng.integers(50, 80)), orientation=1)
    return replace(fresh, sort=sort, orientation=1)


def true_tags(scene: Scene) -> tuple[set[str], set[str]]:
    """Every tag that is true of a scene: those that tell a nuisance, and the others."""
    telling: set[str] = set()
    plain = {"full_body"}
    if scene.viewpoint == "lying":
        telling.update(("lying", "on_back"))
    else:
        plain.add("standing")
    if scene.kind == "multiple":
        telling.update((f"{len(scene.characters)}girls", "multiple_girls"))
    else:
        plain.update(("1girl", "solo"))
    if scene.kind == "chibi":
        telling.add("chibi")
    if scene.viewpoint not in ("front", "lying"):
        telling.add(scene.viewpoint)
        if scene.viewpoint in ("from_above", "from_below"):
            telling.add("foreshortening")
    if scene.kind == "flashy":
        telling.update(grounds.BUSY[scene.ground])
    else:
        plain.add("simple_background")
        if scene.ground == "transparent":
            plain.add("transparent_background")
        elif scene.ground in grounds.PALE:
            plain.add(grounds.PALE[scene.ground])
        else:
            plain.add("white_background")
    for character in scene.characters:
        plain.update(character.tags(scene.view))
    return telling, plain


ALWAYS = frozenset({"full_body", "standing", "1girl", "solo", "simple_background",
                    "white_background", "transparent_background"})  # fmt: skip


def choose_tags(scene: Scene, config: PracticeConfig, rng: np.random.Generator) -> tuple[str, ...]:
    """The tags a post carries: true ones only, but not all of them."""
    telling, plain = true_tags(scene)
    given = telling if rng.random() < config.tag_recall else set()
    kept = {tag for tag in sorted(plain) if tag in ALWAYS or rng.random() < config.attribute_recall}
    return tuple(sorted(given | kept))
