"""Sleeves: they follow the arm, wherever it goes."""

from ganime.practice.characters import Character
from ganime.practice.outfits import GOLD, WHITE
from ganime.practice.palette import CLOTH, deep, light, shade
from ganime.practice.svg import Limb, ellipse, line, number, path, shape, star

HAND_COVER = {"armor"}  # outfits with gloves


def sleeve(character: Character, name: str, limb: Limb) -> str:
    """The sleeve of one arm; drawn over the arm, below the hand."""
    colour = CLOTH[character.outfit_colour]
    tone = shade(colour)
    outfit = character.outfit
    if outfit == "kimono":
        return _wide_sleeve(character, name, limb)
    if outfit == "serafuku":
        return (
            shape(limb.tube(0, 0.93, 2.2), WHITE)
            + path(limb.tube(0.08, 0.78, -3.6), shade(WHITE), extra=' fill-opacity="0.6"')
            + shape(limb.tube(0.78, 0.95, 2.8), colour)
            + path(limb.tube(0.84, 0.88, 2.4), WHITE)
        )
    if outfit == "armor":
        return (
            shape(limb.tube(0, 0.5, 1.0), deep(colour))
            + shape(limb.tube(0.5, 1.0, 3.0), colour)
            + path(limb.tube(0.62, 0.92, -2.0), light(colour))
            + shape(limb.tube(0.5, 0.6, 5), GOLD, 1.6)
            + shape(limb.tube(0, 0.24, 6.5), colour)
            + path(limb.tube(0.03, 0.13, 2), light(colour))
            + shape(limb.tube(0.2, 0.26, 7), GOLD, 1.6)
        )
    if outfit == "dress":
        return (
            shape(limb.tube(0, 0.32, 6.0), colour)
            + path(limb.tube(0.05, 0.24, 0), light(colour))
            + shape(limb.tube(0.3, 0.36, 3.6), WHITE, 1.6)
        )
    if outfit == "maid":
        return (
            shape(limb.tube(0.1, 0.88, 1.6), colour)
            + shape(limb.tube(0, 0.3, 6.0), colour)
            + path(limb.tube(0.05, 0.24, 0), light(colour))
            + shape(limb.tube(0.86, 1.0, 3.4), WHITE, 1.6)
        )
    loose = {"hoodie": 4.2, "coat": 3.6, "blazer": 2.4}[outfit]
    parts = [
        shape(limb.tube(0, 0.97, loose), colour),
        path(limb.tube(0.1, 0.85, -2.6), tone, extra=' fill-opacity="0.7"'),
    ]
    if outfit == "hoodie":
        parts.append(shape(limb.tube(0.9, 1.0, 2.4), tone, 1.8))
    elif outfit == "coat":
        parts.append(shape(limb.tube(0.82, 0.98, 5), colour))
    else:
        parts.append(shape(limb.tube(0.95, 1.0, 1.4), WHITE, 1.4))
    return "".join(parts)


def _wide_sleeve(character: Character, name: str, limb: Limb) -> str:
    """A kimono's: a bag that hangs from the forearm, straight down whatever the arm does."""
    colour = CLOTH[character.outfit_colour]
    places = [limb.at(i / 10) for i in range(10)]
    side = 1 if limb.at(0.5)[0] > 0 else -1
    drop = 66 if name not in ("up", "wave", "v", "out") else 58
    (sx, sy, _), (ex, ey, _), (wx, wy, _) = places[0], limb.at(0.5), limb.at(0.92)
    if name in ("up", "wave", "v"):
        hang = [
            (wx + side * 12, wy + 4),
            (wx + side * 14, wy + drop),
            (ex + side * 8, ey + 46),
            (ex - side * 10, ey + 50),
            (sx - side * 2, sy + 26),
        ]
    elif name in ("together", "chest", "behind"):
        hang = [
            (wx + side * 1, wy + 8),
            (wx + side * 4, wy + drop),
            (ex + side * 6, ey + drop),
            (ex + side * 9, ey),
        ]
    else:
        spread = 10 if name == "down" else 2
        hang = [
            (wx + side * 8, wy),
            (wx + side * spread, wy + drop * 0.8),
            (wx - side * 16, wy + drop * 0.86),
            (sx - side * 4, sy + 30),
        ]
    top = (
        [(x - side * r * 0.2, y - r - 2) for x, y, r in places]
        if name in ("out", "up", "wave", "v")
        else [(x + side * (r + 3), y) for x, y, r in places]
    )
    points = [(sx - side * 8, sy - 6), *top, *hang]
    data = "M" + "L".join(f"{number(x)},{number(y)}" for x, y in points) + "Z"
    x, y = hang[1]
    flower = CLOTH[character.accent]
    return (
        shape(data, colour)
        + path(star(x - side * 4, y - 16, 9, 5, 0.6), flower)
        + ellipse(x - side * 4, y - 16, 2.6, 2.6, WHITE)
        + line(
            f"M{number(wx)},{number(wy)} L{number(hang[0][0])},{number(hang[0][1] + 16)}", WHITE, 3
        )
    )
