# ruff: noqa: E501 - the path data of a shape is one line
"""The face, from the front and in profile."""

from ganime.practice.characters import Character
from ganime.practice.palette import EYES, HAIR, SKIN, deep, light, outline, shade
from ganime.practice.svg import both, ellipse, group, line, mirror, path, shape

FACE = "M-37,44 C-38,64 -35,80 -23,92 C-15,99 -6,104.5 0,104.5 C6,104.5 15,99 23,92 C35,80 38,64 37,44 C36,14 -36,14 -37,44 Z"
PROFILE = "M-31,30 C-35,44 -37,52 -36,60 C-38,66 -43,73 -43,77 C-43,80 -38,80 -37,82 C-38,85 -39,87 -36,89 C-36,92 -36,93 -34,96 C-32,104 -24,104 -16,101 C-4,97 8,92 12,82 C30,70 34,30 0,16 C-14,14 -28,20 -31,30 Z"
BIG_EYES = 1.16  # of a chibi
LIPS = {
    "smile": "M-8,88.5 Q0,95 8,88.5",
    "calm": "M-5,90.5 Q0,91.5 5,90.5",
    "frown": "M-6.5,93 Q0,88 6.5,93",
    "wink": "M-8,88 Q1,96 8,87.5",
    "closed": "M-7.5,88.5 Q0,95.5 7.5,88.5",
}
INK = "#3a2733"


def draw_face(character: Character, chibi: bool = False) -> str:
    """The head from the front, without hair."""
    tone = SKIN[character.skin]
    parts = [
        both(shape("M35,56 C44,50 46,66 38,74 Z", tone)),
        shape(FACE, tone),
    ]
    if character.bangs in ("blunt", "between"):  # the fringe's shadow
        shadow = "M-36,44 C-36,58 -34,62 -32,56 C-14,48 14,48 32,56 C34,62 36,58 36,44 Z"
        parts.append(path(shadow, shade(tone)))
    if character.blush:
        parts.append(both(ellipse(25, 82, 8, 4.2, "#ff6f7d", extra=' fill-opacity="0.5"')))
    grow = BIG_EYES if chibi else 1.0
    right, left = _eyes(character)
    for x, eye, mirrored in ((17.5, right, False), (17.5, left, True)):
        placed = group([eye], f"translate({x} 66) scale({grow})")
        parts.append(mirror(placed) if mirrored else placed)
    parts.append(_brows(character))
    parts.append(line("M-0.8,81.5 L1.2,82.6", shade(shade(tone)), 2))
    parts.append(_mouth(character))
    if character.glasses:
        parts.append(_glasses())
    return "".join(parts)


def draw_profile(character: Character) -> str:
    """The head looking to the left, without hair."""
    tone = SKIN[character.skin]
    parts = [shape(PROFILE, tone)]
    if character.blush:
        parts.append(ellipse(-17, 84, 6, 3.8, "#ff6f7d", extra=' fill-opacity="0.5"'))
    eye = _eyes(character)[1]
    parts.append(group([eye], "translate(-23 66) scale(-0.72 1)"))
    parts.append(line("M-30,46 Q-23,42 -16,46", deep(HAIR[character.hair_colour]), 2.2))
    if character.expression in ("grin", "surprised"):
        parts.append(shape("M-37,86 C-32,85 -29,87 -28,89 C-30,94 -34,95 -36,92 Z", "#c94f5a", 1.5))
    else:
        lift = 4 if character.expression == "frown" else -2
        parts.append(line(f"M-37,88 Q-33,89 -29,{88 + lift}", INK, 1.8))
    if character.glasses:
        parts.append(ellipse(-25, 66, 9, 12.5, "#ffffff", INK, ' fill-opacity="0.25"'))
        parts.append(line("M-16,64 L8,62", INK, 2))
    return "".join(parts)


def _eyes(character: Character) -> tuple[str, str]:
    """The eyes around (0, 0), both drawn as the one on the side x > 0."""
    opened = _open_eye(character)
    if character.expression == "closed":
        shut = _shut_eye()
        return shut, shut
    if character.expression == "wink":
        return (opened, _shut_eye()) if character.flipped else (_shut_eye(), opened)
    return opened, opened


def _open_eye(character: Character) -> str:
    colour = EYES[character.eye_colour]
    wide = character.expression == "surprised"
    height = 12.5 if wide else 11.6
    return "".join(
        (
            path("M-11,-1 C-9,-12 8,-13 11,-1 C10,9 6,13 0,13 C-6,13 -10,9 -11,-1 Z", "#ffffff"),
            ellipse(-0.5, 0.5, 7.4 if wide else 8.6, height, deep(colour)),
            ellipse(-0.5, 4, 6.4 if wide else 7.2, 7.6, colour),
            ellipse(-0.5, 7.5, 4.6, 3.6, light(colour)),
            ellipse(-0.5, 0, 2.8, 4.6, INK),
            ellipse(-3.6, -4.6, 3.1, 3.8, "#ffffff"),
            ellipse(2.8, 5.2, 1.7, 1.9, "#ffffff"),
            path(
                "M-12,-1 C-11,-13 6,-17 12.5,-5 L14.5,-6 C14,-3 13,-1 11.6,1 C9,-9 -6,-11 -12,-1 Z",
                INK,
                INK,
                1,
            ),
            line("M3,13.6 Q6,13 8.5,10.6", INK, 1.2),
        )
    )


def _shut_eye() -> str:
    return line("M-11,3 Q0,-9 11.5,3", INK, 3.4) + line("M11.5,3 l2.6,1.4", INK, 2)


def _brows(character: Character) -> str:
    ink = deep(HAIR[character.hair_colour])
    inner, outer = {"frown": (48.5, 45), "surprised": (40, 43), "calm": (46, 46)}.get(
        character.expression, (44.5, 47)
    )
    return both(line(f"M9,{inner} Q17,{min(inner, outer) - 3} 26,{outer}", ink, 2.4))


def _mouth(character: Character) -> str:
    if character.expression == "grin":
        return shape(
            "M-8.5,86.5 Q0,89 8.5,86.5 C8,95 4,98 0,98 C-4,98 -8,95 -8.5,86.5 Z", "#c9404f", 1.8
        ) + path("M-4.6,94 Q0,91 4.6,94 Q0,98.4 -4.6,94 Z", "#ff8f93")
    if character.expression == "surprised":
        return ellipse(0, 91.5, 3.8, 4.8, "#c9404f", outline("#c9404f"))
    return line(LIPS[character.expression], INK, 2.1)


def _glasses() -> str:
    lens = ellipse(17.5, 67, 14.5, 13.5, "#dff1ff", "#33405e", ' fill-opacity="0.22"')
    return both(lens + line("M32,65 L38,62", "#33405e", 2.2)) + line(
        "M-3,66 Q0,63 3,66", "#33405e", 2.2
    )
