"""From the settings of a character to the point that it is drawn from."""

from collections.abc import Sequence

import numpy as np

from ganime.errors import ConfigError
from ganime.studio.characters import Character, Mix
from ganime.studio.directions import Directions
from ganime.studio.engine import Engine, Floats, Point

STRAIGHT = 1e-4  # below this angle [rad] the sine of it is no divisor
COARSE, MIDDLE = 4, 8  # first layers of the next band: maps to 8 px, to 32 px (1812.04948, 3.1)


def bands(num_styles: int) -> dict[str, list[int]]:
    """Layers by what they decide; none without styles."""
    layers = list(range(num_styles))
    return {"coarse": layers[:COARSE], "middle": layers[COARSE:MIDDLE], "fine": layers[MIDDLE:]}


def point_of(engine: Engine, directions: Directions, wanted: Character) -> Point:
    """The point of a character.

    Args:
        engine: Who draws it.
        directions: Of the model.
        wanted: Its settings.

    Raises:
        ConfigError: the model cannot do what is wished.
    """
    tags = _tags(engine, directions, wanted)
    code = _origin(engine, wanted, tags)
    for name, amount in wanted.shift.items():
        code = directions.move(engine, name, code, amount, wanted.hold)
    if wanted.mix is not None:
        code = _mixed(engine, wanted, wanted.mix, code)
    return Point(code.astype(np.float32), tags)


def between(engine: Engine, start: Point, end: Point, share: float) -> Point:
    """A point on the way: straight between styles, on an arc between latents."""
    one, other = np.broadcast_arrays(*_alike(start.code, end.code))
    way = straight if engine.num_styles else spherical
    return Point(way(one, other, share), straight(start.tags, end.tags, share))


def straight(start: Floats, end: Floats, share: float) -> Floats:
    """On the line between two, which suits styles; 0 is the start and 1 the end."""
    return np.asarray(start + (end - start) * np.float32(share), np.float32)


def spherical(start: Floats, end: Floats, share: float) -> Floats:
    """On the arc between two latents (White, Sampling Generative Networks, 1609.04468, 2.1)."""
    units = [point / max(float(np.linalg.norm(point)), 1e-12) for point in (start, end)]
    angle = np.arccos(np.clip(np.sum(units[0] * units[1]), -1, 1))
    if np.sin(angle) < STRAIGHT:
        return straight(start, end, share)
    arc = np.sin((1 - share) * angle) * start + np.sin(share * angle) * end
    return np.asarray(arc / np.sin(angle), np.float32)


def _alike(one: Floats, other: Floats) -> Sequence[Floats]:
    """Two codes with as many dimensions: a style stands for the styles of all layers."""
    deep = max(one.ndim, other.ndim)
    return [code[None] if code.ndim < deep else code for code in (one, other)]


def _tags(engine: Engine, directions: Directions, wanted: Character) -> Floats:
    tags = engine.tags(wanted.seed or 0, wanted.tags, wanted.not_tags)
    return directions.shift_tags(engine, wanted.shift, tags)


def _origin(engine: Engine, wanted: Character, tags: Floats) -> Floats:
    steps = wanted.near.steps() if wanted.near else []
    if wanted.codes is None:
        assert wanted.seed is not None  # a character has one of the two
        z = engine.latents(wanted.seed)
        for step in steps:
            z = spherical(z, engine.latents(step.number), step.distance)
        return _code(engine, z, tags, wanted.truncation)
    code = _given(engine, wanted.codes)
    for step in steps:
        other = Point(_code(engine, engine.latents(step.number), tags, wanted.truncation), tags)
        code = between(engine, Point(code, tags), other, step.distance).code
    return code


def _code(engine: Engine, z: Floats, tags: Floats, truncation: float) -> Floats:
    """One at a time: products of matrices, too, differ with the size of a batch."""
    return np.asarray(engine.codes(z[None], tags[None], truncation)[0])


def _given(engine: Engine, codes: Sequence[object]) -> Floats:
    try:
        code = np.asarray(codes, np.float32)
    except ValueError as error:
        raise ConfigError("codes: the rows differ in length") from error
    width, layers = engine.code_length, engine.num_styles
    shapes = [(width,), (layers, width)] if layers else [(width,)]
    if code.shape not in shapes:
        raise ConfigError(
            f"codes: found {list(code.shape)} numbers, this model wants "
            + " or ".join(str(list(shape)) for shape in shapes)
        )
    return code


def _mixed(engine: Engine, wanted: Character, mix: Mix, code: Floats) -> Floats:
    """Styles of each layer [L, W], some of them those of another seed under the same wishes."""
    num = engine.num_styles
    if not num:
        raise ConfigError("mix: this model has no styles to mix; train stylegan2 for that")
    layers = bands(num)[mix.layers] if isinstance(mix.layers, str) else list(mix.layers)
    if any(layer >= num for layer in layers):
        raise ConfigError(f"mix.layers: found {layers}; this model has layers 0 to {num - 1}")
    tags = engine.tags(mix.seed, wanted.tags, wanted.not_tags)
    other = _code(engine, engine.latents(mix.seed), tags, wanted.truncation)
    styles = np.array(np.broadcast_to(code, (num, engine.code_length)))
    styles[layers] = straight(styles[layers], other[None], mix.share)
    return styles
