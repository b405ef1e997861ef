# ruff: noqa: E501 - the path data of a shape is one line
"""The body below the head: skeleton, skin, hands, legs, legwear and shoes.

Figure units: x = 0 is the axis of the body, y = 0 the crown, y = 500 the soles.
"""

import math

from ganime.practice.characters import Character, View
from ganime.practice.palette import CLOTH, LEATHER, SKIN, light, outline, shade
from ganime.practice.svg import LINE, Limb, ellipse, group, line, number, path, shape

# shoulder, elbow, wrist of the arm on the side x > 0
ARMS = {
    "down": ((33, 129), (43, 180), (46, 231)),
    "hip": ((33, 129), (74, 172), (35, 208)),
    "up": ((33, 128), (68, 88), (66, 32)),
    "wave": ((33, 129), (76, 158), (90, 104)),
    "behind": ((33, 129), (52, 178), (16, 214)),
    "together": ((33, 129), (47, 180), (7, 222)),
    "out": ((33, 128), (82, 146), (128, 134)),
    "v": ((33, 129), (66, 170), (64, 116)),
    "chest": ((33, 129), (58, 176), (12, 158)),
}
POSED = {  # the arm on the side x > 0 and the other
    "sides": ("down", "down"),
    "hip": ("hip", "down"),
    "hips": ("hip", "hip"),
    "up": ("up", "up"),
    "waving": ("wave", "down"),
    "behind": ("behind", "behind"),
    "together": ("together", "together"),
    "outstretched": ("out", "out"),
    "v": ("v", "down"),
    "chest": ("chest", "down"),
}
OPEN_HANDS = {"up", "wave", "out"}
STANCE = {  # x of knee and ankle on both sides
    "together": ((15, 11), (15, 11)),
    "apart": ((22, 28), (22, 28)),
    "shifted": ((15, 10), (23, 27)),
}
TORSO = "M-10,108 C-12,118 -26,118 -35,124 C-38,134 -30,142 -28,150 C-27,166 -22,176 -22,186 C-24,204 -33,212 -33,230 L33,230 C33,212 24,204 22,186 C22,176 27,166 28,150 C30,142 38,134 35,124 C26,118 12,118 10,108 Z"


def arms(character: Character, view: View) -> list[tuple[str, Limb]]:
    """The arms that are seen: the name of what each does, and its course in place."""
    names = POSED[character.pose]
    if view == "side":
        return [("side", Limb(((2, 130, 8.5), (6, 182, 7.2), (-6, 232, 6))))]
    if (view == "back") != character.flipped:
        names = names[::-1]
    right = _arm(names[0], 1)
    left = _arm(names[1], -1)
    return [right, left]


def _arm(name: str, side: int) -> tuple[str, Limb]:
    shoulder, elbow, wrist = ARMS[name]
    joints = ((*shoulder, 8.6), (*elbow, 7.4), (*wrist, 5.8))
    return name, Limb([(side * x, y, radius) for x, y, radius in joints])


def is_behind(name: str, view: View) -> bool:
    """Whether the body hides part of this arm."""
    return (name == "behind" and view == "front") or (
        name in ("together", "chest") and view == "back"
    )


def draw_arm(limb: Limb, skin: str) -> str:
    """The bare arm without its hand."""
    tone = SKIN[skin]
    return shape(limb.tube(), tone) + _inner_shade(limb, 0.0, 1.0, shade(tone))


def _inner_shade(limb: Limb, start: float, end: float, colour: str) -> str:
    x0, _, _ = limb.at(0)
    side = -1 if x0 > 0 else 1
    points = [limb.at(start + (end - start) * i / 6) for i in range(7)]
    data = "M" + "L".join(f"{number(x + side * r * 0.5)},{number(y)}" for x, y, r in points)
    return path(data, "none", colour, points[0][2] * 0.6, ' stroke-opacity="0.55"')


def draw_hand(name: str, limb: Limb, colour: str) -> str:
    """The hand at the end of an arm, pointing along it."""
    x, y, _ = limb.tip
    dark = outline(colour)
    if name in OPEN_HANDS:
        fingers = [(-30, 18), (-10, 21.5), (10, 20.5), (30, 16.5), (82, 12)]
        width = 4.4
    elif name == "v":
        fingers = [(-16, 20), (14, 20)]
        width = 5.0
    else:
        fingers = [(-14, 14), (2, 15.5), (16, 14)]
        width = 5.6
    sticks = [
        f"M4,0 L{number(reach * math.cos(math.radians(angle)))},"
        f"{number(reach * math.sin(math.radians(angle)))}"
        for angle, reach in fingers
    ]
    parts = [line(stick, dark, width + 2 * LINE * 0.8) for stick in sticks]
    parts.append(ellipse(4.5, 0, 7.2, 6.4, colour, dark))
    parts += [line(stick, colour, width) for stick in sticks]
    parts.append(ellipse(4.5, 0, 6.2, 5.4, colour))
    if name in ("down", "hip", "side", "v"):
        parts.append(line("M2,5 Q8,8 11,5", dark, 1.4))
    turn = limb.angle if x >= 0 else 180 - limb.angle
    mirrored = "" if x >= 0 else "scale(-1 1) "
    place = f"translate({number(abs(x))} {number(y)}) rotate({number(turn)})"
    return group(parts, mirrored + place)


def legs(character: Character, view: View) -> list[Limb]:
    """Both legs, the farther one first."""
    if view == "side":
        return [
            Limb(((2, 226, 17), (9, 356, 11.5), (14, 404, 11.5), (17, 477, 7))),
            Limb(((-2, 226, 18), (-4, 356, 12), (-1, 404, 12), (-3, 479, 7))),
        ]
    placed = STANCE[character.stance]
    if (view == "back") != character.flipped:
        placed = placed[::-1]
    found = []
    for side, (knee, ankle) in zip((-1, 1), placed, strict=True):
        joints = (
            (15, 226, 17.5),
            (knee, 352, 11.8),
            (0.5 * (knee + ankle) + 1, 402, 12.2),
            (ankle, 478, 7),
        )
        found.append(Limb([(side * x, y, radius) for x, y, radius in joints]))
    return found


def draw_legs(character: Character, view: View) -> str:
    """Legs with what they wear and shoes."""
    parts = []
    for limb in legs(character, view):
        parts.append(shape(limb.tube(), SKIN[character.skin]))
        parts.append(_inner_shade(limb, 0.1, 0.95, shade(SKIN[character.skin])))
        if view == "front":
            x, y, _ = limb.at(0.36)
            parts.append(
                line(f"M{number(x - 4)},{number(y)} q4,4 8,0", shade(SKIN[character.skin]))
            )
        parts.append(_legwear(character.legwear, limb))
        parts.append(_shoe(character, limb, view))
    return "".join(parts)


def _legwear(name: str, limb: Limb) -> str:
    starts = {"pantyhose": 0.0, "kneehighs": 0.46, "socks": 0.8}
    start = starts.get(name, 0.2)
    if name == "bare":
        return ""
    colour = "#4a3f49" if name == "pantyhose" else "#363440" if "black" in name else "#fafafe"
    if name == "kneehighs":
        colour = CLOTH["black"]
    parts = [shape(limb.tube(start, 1.0, 0.7), colour)]
    if name == "striped_thighhighs":
        parts += [
            path(limb.tube(start + i * 0.095, start + i * 0.095 + 0.05, 0.2), "#5b7fd6")
            for i in range(9)
        ]
        parts.append(path(limb.tube(start, 1.0, 0.7), "none", outline(colour)))
    else:
        parts.append(_inner_shade(limb, start + 0.03, 0.95, shade(colour)))
    if name != "pantyhose":
        parts.append(shape(limb.tube(start, start + 0.045, 1.6), light(colour), 1.6))
    return "".join(parts)


def _shoe(character: Character, limb: Limb, view: View) -> str:
    colour = LEATHER[character.shoe_colour]
    x, _, _ = limb.tip
    parts = []
    if character.shoes == "boots":
        parts.append(shape(limb.tube(0.62, 1.0, 2.6), colour))
        parts.append(_inner_shade(limb, 0.66, 0.97, shade(colour)))
        parts.append(shape(limb.tube(0.62, 0.67, 4), light(colour), 1.6))
    place = f"translate({number(x)} 0)"
    if view == "side":
        outer = (
            "M9,476 C14,488 12,497 8,499 L-26,499 C-31,494 -24,487 -12,484 C-9,480 -8,477 -8,476 Z"
        )
        sole = "M11,494 L-28,494 L-27,499.5 L9,499.5 Z"
    else:
        outer = "M-8.5,474 C-9,484 -14,488 -15,494 C-15,498 -12,499 0,499 C12,499 15,498 15,494 C14,488 9,484 8.5,474 Z"
        sole = "M-15,493 C-15,499 -12,500 0,500 C12,500 15,499 15,493 C8,496 -8,496 -15,493 Z"
    parts.append(group([shape(outer, colour), path(sole, shade(colour))], place))
    if character.shoes == "sneakers":
        parts.append(group([path(sole, "#ffffff", outline(colour), 1.2)], place))
        if view == "front":
            parts.append(group([line("M-5,482 h10 M-6,487 h12", "#ffffff", 2)], place))
    elif character.shoes == "mary_janes" and view != "back":
        gap = "M-6,480 C-5,488 5,488 6,480 Z"
        skin = SKIN[character.skin] if character.legwear == "bare" else "#ffffff"
        parts.append(group([path(gap, skin), line("M-9,482 L9,482", outline(colour), 3)], place))
    elif character.shoes == "loafers" and view == "front":
        parts.append(group([line("M-9,486 C-4,490 4,490 9,486", light(colour), 2.2)], place))
    return "".join(parts)


def draw_torso(skin: str) -> str:
    """Neck and bare torso; clothes go on top."""
    tone = SKIN[skin]
    return shape(TORSO, tone) + path("M-10,110 C-6,120 6,120 10,110 L9,104 L-9,104 Z", shade(tone))
