"""Ways to change a character: found without labels (GANSpace, 2004.02546), or named.

Names are those of tags, and of questions that classifiers answer (`ganime.studio.attributes`).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from ganime.errors import ConfigError, StoreError
from ganime.store.workspace import Workspace
from ganime.studio.engine import Engine, Floats

NUM_PRINCIPAL = 10  # what a page has room for; later ones change little that is seen
PRINCIPAL_SCALE = 3.0  # deviations: beyond, there are no training images to resemble
NUM_LATENTS = 64  # over which a tag's difference is averaged
NUM_EXAMPLES = 512  # training images, among which one is like most that are asked for
MOST_TAGS = 100  # whose differences are kept; each costs a hundred passes of the mapping
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Named:
    """One direction as a page offers it.

    Attributes:
        name: `pca-1`, `tag:blue_hair`, or `question:chibi@0123456789ab`.
        kind: How it was found.
        scale: The amount, to either side, at which a slider ends.
        correlation: Of a question's, see `ganime.studio.attributes.Fitted`.
        low: Of a question's, mean score at the slider's lower end.
        high: The same at its upper end.
    """

    name: str
    kind: Literal["pca", "tag", "question"]
    scale: float
    correlation: float | None = None
    low: float | None = None
    high: float | None = None


def named(num_principal: int, tag_names: Sequence[str]) -> list[Named]:
    """The directions of a model, the strongest first.

    Args:
        num_principal: How many can be found without labels.
        tag_names: Its tags.
    """
    principal = [
        Named(f"pca-{number + 1}", "pca", PRINCIPAL_SCALE)
        for number in range(min(NUM_PRINCIPAL, num_principal))
    ]
    return [*principal, *(Named(f"tag:{tag}", "tag", 1.0) for tag in tag_names[:MOST_TAGS])]


@dataclass(frozen=True, slots=True)
class Directions:
    """The directions of one model.

    Attributes:
        steps: By name, what an amount of 1 adds to a code, float32 [W]. Tags of a generator
            without styles are not among them: they move in the tag vector itself.
        examples: Tag vectors of training images with a tag or without it, float32 [N, T]; filled
            as they are asked for.
    """

    steps: Mapping[str, Floats]
    examples: dict[tuple[str, bool], Floats] = field(default_factory=dict, compare=False)

    def move(
        self, engine: Engine, name: str, code: Floats, amount: float, hold: Sequence[str] = ()
    ) -> Floats:
        """A code [..., W] moved along a direction.

        Args:
            engine: Whose code it is.
            name: Of the direction.
            code: Where to begin.
            amount: How far.
            hold: Directions that what they name shall not change: the step is made orthogonal to
                all of them (conditional manipulation, 1907.10786, 2.2).

        Raises:
            ConfigError: there is no such direction.
        """
        for one in (name, *hold):
            if one not in self.steps and _place(engine, one) is None:
                known = [one.name for one in named(engine.num_principal, engine.tag_names)]
                listed = ", ".join(dict.fromkeys([*known, *self.steps]))
                raise ConfigError(f"shift: no direction is {one!r:.80}; there are {listed}")
        if name not in self.steps:
            return code
        held = [self.steps[one] for one in hold if one in self.steps and one != name]
        return code + np.float32(amount) * _beside(self.steps[name], held)

    def shift_tags(self, engine: Engine, shift: Mapping[str, float], tags: Floats) -> Floats:
        """A tag vector [T] moved along the tags that are no directions of codes.

        It moves towards the training image that has the tag, or lacks it, and is else most like
        it: with blue hair comes that no other hair is left. An amount of 1 goes all the way.
        """
        moved = tags.copy()
        for name, amount in shift.items():
            place = _place(engine, name)
            if place is not None and amount and moved[place] != (amount > 0):
                goal = self._nearest(engine, place, amount > 0, moved)
                moved += np.float32(min(abs(amount), 1)) * (goal - moved)
        return moved

    def _nearest(self, engine: Engine, place: int, has: bool, tags: Floats) -> Floats:
        tag = engine.tag_names[place]
        key = (tag, has)
        if key not in self.examples:
            wishes = ([tag], ()) if has else (None, [tag])
            drawn = [engine.tags(seed, *wishes) for seed in range(NUM_EXAMPLES)]
            self.examples[key] = np.stack(drawn)
        found = self.examples[key]
        nearest: Floats = found[np.abs(found - tags).sum(axis=1).argmin()]
        return nearest


def _beside(step: Floats, held: Sequence[Floats]) -> Floats:
    """What of a step [W] is orthogonal to others."""
    if not held:
        return step
    left, sizes, _ = np.linalg.svd(np.stack(held, axis=1).astype(np.float64), full_matrices=False)
    basis = left[:, sizes > 1e-6 * sizes[0]]  # two of the same count once
    return np.asarray(step - basis @ (basis.T @ step), np.float32)


def _place(engine: Engine, name: str) -> int | None:
    """Which entry of the tag vector a direction moves; None if it is none of these."""
    kind, _, tag = name.partition(":")
    movable = list(engine.tag_names[:MOST_TAGS]) if not engine.num_styles else []
    return movable.index(tag) if kind == "tag" and tag in movable else None


def find(workspace: Workspace, model_id: str, nimg: int, engine: Engine) -> Directions:
    """The directions of a snapshot, found once and kept beside it.

    Args:
        workspace: Where; if nothing can be written there they are found again next time.
        model_id: Of the model.
        nimg: Of the snapshot.
        engine: The snapshot.
    """
    key = f"models/{model_id}/studio/directions-{nimg:09d}.safetensors"
    wanted = {one.name for one in named(engine.num_principal, engine.tag_names)}
    if workspace.exists(key):
        try:
            kept = safetensors.numpy.load(workspace.read_bytes(key))
        except (SafetensorError, ValueError):
            log.warning("%s is damaged and is made again", workspace.describe(key))
        else:
            if kept.keys() <= wanted:
                return Directions(kept)
    found = computed(engine)
    try:
        workspace.write_bytes(key, safetensors.numpy.save(dict(found.steps)))
    except StoreError as error:
        log.warning("directions are not kept: %s", error)
    return found


def computed(engine: Engine) -> Directions:
    """The directions of a generator."""
    units, deviations = engine.principal(min(NUM_PRINCIPAL, engine.num_principal))
    steps = {
        f"pca-{number + 1}": np.ascontiguousarray(unit * deviation, np.float32)
        for number, (unit, deviation) in enumerate(zip(units, deviations, strict=True))
    }
    return Directions({**steps, **_of_tags(engine)} if engine.num_styles else steps)


def _of_tags(engine: Engine) -> Mapping[str, Floats]:
    """Mean difference of the styles with a tag and without it, all else equal."""
    if not engine.tag_names:
        return {}
    z = np.stack([engine.latents(seed) for seed in range(NUM_LATENTS)])
    drawn = np.stack([engine.tags(seed, None, ()) for seed in range(NUM_LATENTS)])
    steps = {}
    for place, tag in enumerate(engine.tag_names[:MOST_TAGS]):
        with_it, without = drawn.copy(), drawn.copy()
        with_it[:, place], without[:, place] = 1, 0
        difference = engine.codes(z, with_it, 1.0) - engine.codes(z, without, 1.0)
        steps[f"tag:{tag}"] = difference.mean(axis=0, dtype=np.float64).astype(np.float32)
    return steps
