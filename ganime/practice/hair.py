# ruff: noqa: E501 - the path data of a shape is one line
"""Hair: what hangs behind, the cap, the fringe, and what is bound."""

from ganime.practice.characters import Character
from ganime.practice.palette import HAIR, light, outline, shade
from ganime.practice.svg import Limb, both, ellipse, group, line, mirror, path, shape, smooth

CAP = "M-45,70 C-52,26 -38,-1 0,-1 C38,-1 52,26 45,70 C42,60 40,52 36,44 L-36,44 C-40,52 -42,60 -45,70 Z"
FRINGE = {  # from the right temple to the left one, below the crown
    "blunt": "L38,49 L31,53 L29,50 L16,53.5 L14,50 L1,54 L-2,50 L-15,53.5 L-17,50 L-30,53 L-38,49",
    "parted": "C40,58 38,64 37,68 C34,56 24,34 -2,17 C-4,20 -5,23 -6,26 C-12,38 -30,46 -37,70 C-40,60 -40,56 -41,50",
    "swept": "C40,56 39,62 38,66 C36,58 32,48 27,36 C22,48 4,57 -12,56 C-8,53 -6,50 -5,46 C-14,56 -24,60 -31,60 C-29,57 -28,54 -28,50 C-31,60 -35,66 -39,69 C-40,62 -40,56 -41,50",
    "between": "C40,58 39,62 36,66 C35,58 33,52 29,44 C28,52 24,57 19,60 C18,53 15,47 11,41 C10,54 6,66 0,74 C-3,66 -5,54 -8,41 C-12,50 -15,55 -21,60 C-22,54 -25,49 -28,44 C-31,54 -34,60 -37,67 C-40,60 -40,56 -41,50",
}
# hanging behind, drawn from the right shoulder down and up again on the left; for the back, too
BEHIND = {
    "straight": "M-40,30 C-60,90 -60,170 -58,252 L-46,244 L-38,260 L-22,250 L-10,264 L4,252 L18,263 L32,249 L46,260 L58,246 C60,170 60,90 40,30 Z",
    "wavy": "M-40,26 C-66,60 -52,90 -64,120 C-78,150 -56,176 -70,206 C-78,226 -66,246 -76,262 C-58,262 -50,252 -44,244 C-36,262 -20,266 -8,252 C2,266 20,266 30,250 C44,264 60,264 76,260 C66,244 78,226 70,204 C58,176 78,150 64,120 C52,90 66,60 40,26 Z",
    "hime": "M-42,30 C-56,90 -56,190 -56,284 L56,284 C56,190 56,90 42,30 Z",
    "bob": "M-42,30 C-58,60 -58,96 -46,116 C-30,122 -20,112 -12,110 L12,110 C20,112 30,122 46,116 C58,96 58,60 42,30 Z",
    "messy": "M-42,26 L-62,58 L-50,64 L-60,88 L-46,88 L-46,108 L-30,98 L-16,112 L0,100 L16,112 L30,98 L46,108 L46,88 L60,88 L50,64 L62,58 L42,26 Z",
    "braids": "M-42,30 C-54,60 -50,90 -44,104 L44,104 C50,90 54,60 42,30 Z",
    "buns": "M-42,30 C-50,60 -48,84 -38,98 L38,98 C48,84 50,60 42,30 Z",
}
TAILS = {"twintails", "drills", "ponytail", "side_ponytail"}
LONG = {"straight", "wavy", "hime"}
SHORT_LOCK = "M31,44 C42,58 44,82 38,104 C35,96 29,84 31,44 Z"
LONG_LOCK = "M31,44 C45,66 48,104 40,146 C34,132 28,92 31,44 Z"
HIME_LOCK = "M29,44 L45,46 C48,80 47,104 45,122 L31,122 C31,96 30,70 29,44 Z"
TAIL = "M38,24 C74,18 92,60 88,120 C86,170 80,206 62,250 C60,228 54,222 50,236 C44,212 60,170 58,120 C56,82 50,52 36,44 Z"
PONYTAIL = "M-4,6 C40,-18 88,14 90,74 C92,126 84,168 62,204 C60,190 56,184 50,194 C46,160 62,128 56,86 C52,54 30,36 10,34 Z"
SIDE_TAIL = "M40,60 C70,52 82,92 78,134 C76,160 70,180 58,198 C56,186 52,184 48,190 C40,160 54,128 50,104 C48,88 42,82 38,80 Z"


def draw_behind(character: Character, drop: float = 1.0) -> str:
    """The hair behind body and head.

    Args:
        drop: How far it hangs; less than 1 for a figure whose head is large.
    """
    base = HAIR[character.hair_colour]
    style = character.hair_style
    tone = shade(base)
    parts = []
    if style in BEHIND:
        parts.append(shape(BEHIND[style], tone))
        if style in LONG:
            for x in (-44, -24, 26, 45):
                parts.append(line(f"M{x * 0.8:.0f},120 C{x},160 {x},200 {x},238", outline(base)))
    elif style != "drills":
        parts.append(shape(BEHIND["buns"], tone))
    else:
        parts.append(shape(BEHIND["bob"], tone))
    if style in LONG:
        return _hung(group(parts), drop, 0.9)
    return group(parts) + _hung(_tails(character), drop, 0.8)


def _hung(part: str, drop: float, slim: float = 1.0) -> str:
    """What hangs, shortened below the temples by `drop` and made narrower by `slim`."""
    if drop == 1:
        return part
    return group([part], f"translate(0 {44 * (1 - drop):.1f}) scale({slim} {drop})")


def _tails(character: Character) -> str:
    base = HAIR[character.hair_colour]
    style = character.hair_style
    if style == "twintails":
        strands = line("M62,50 C78,90 74,150 64,200 M52,40 C70,70 68,130 60,170", outline(base))
        return both(shape(TAIL, base) + strands)
    if style == "drills":
        return both(_drill(base))
    if style == "ponytail":
        strands = line("M40,16 C78,40 78,110 66,160 M26,18 C66,40 66,100 60,140", outline(base))
        return _sided(character, shape(PONYTAIL, base) + strands)
    return ""


def _sided(character: Character, part: str) -> str:
    return mirror(part) if character.flipped else part


def _drill(base: str) -> str:
    """A curl like a corkscrew, from the temple down."""
    rows = [(60 - i * 0.6, 60 + i * 21, 21 - i * 1.5) for i in range(8)]
    parts = []
    for x, y, width in reversed(rows):
        parts.append(
            shape(
                f"M{x - width:.1f},{y - 9:.1f} C{x - width:.1f},{y + 13:.1f} "
                f"{x + width * 0.6:.1f},{y + 17:.1f} {x + width:.1f},{y + 3:.1f} "
                f"C{x + width * 1.05:.1f},{y - 14:.1f} {x - width * 0.7:.1f},{y - 20:.1f} "
                f"{x - width:.1f},{y - 9:.1f} Z",
                base,
            )
        )
        parts.append(
            path(
                f"M{x - width * 0.6:.1f},{y + 4:.1f} q{width * 0.7:.1f},8 {width * 1.3:.1f},0",
                "none",
                shade(base),
                3,
            )
        )
    return "".join(parts)


def draw_front(character: Character, drop: float = 1.0) -> str:
    """Crown, fringe, side locks and bound hair in front, for a head from the front."""
    base = HAIR[character.hair_colour]
    style = character.hair_style
    dark = outline(base)
    parts = []
    lock = HIME_LOCK if style == "hime" else LONG_LOCK if style in LONG | {"drills"} else SHORT_LOCK
    parts.append(both(shape(lock, base) + line("M37,60 C40,74 40,86 38,94", shade(base), 2.4)))
    fringe = f"M-41,50 C-50,18 -34,-1 0,-1 C34,-1 50,18 41,50 {FRINGE[character.bangs]} Z"
    parts.append(_sided(character, shape(fringe, base)))
    if style == "messy":
        parts.append(shape("M-4,2 C-8,-8 2,-14 8,-12 C2,-8 4,-2 8,2 Z", base))
        parts.append(both(shape("M34,10 C44,8 52,14 56,24 C50,22 46,24 44,30 Z", base)))
    gloss = "M-34,28 Q-30,17 -22,13 L-20,21 L-14,10 L-8,19 L0,8 L8,19 L14,10 L20,21 L22,13 Q30,17 34,28 Q18,14 0,15 Q-18,14 -34,28 Z"
    parts.append(path(gloss, light(base), extra=' fill-opacity="0.85"'))
    if character.bangs in ("blunt", "between"):
        parts.append(line("M-16,47 Q-18,38 -14,30 M15,47 Q18,38 14,30", dark, 1.3))
    parts.append(_bound(character, drop))
    return "".join(parts)


def _bound(character: Character, drop: float = 1.0) -> str:
    base = HAIR[character.hair_colour]
    style = character.hair_style
    tie = "#e8475a" if character.hair_colour not in ("red", "pink", "orange") else "#3f6fd8"
    if style in ("twintails", "drills"):
        return both(group([_scrunchie(tie)], "translate(43 31) rotate(14)"))
    if style == "ponytail":
        return _sided(character, group([_scrunchie(tie)], "translate(17 3) rotate(56) scale(0.8)"))
    if style == "side_ponytail":
        strands = line("M60,80 C68,110 64,150 58,176", outline(base))
        tail = _hung(shape(SIDE_TAIL, base) + strands, drop, 0.9)
        return _sided(character, tail + group([_scrunchie(tie)], "translate(44 68)"))
    if style == "braids":
        return both(_hung(_braid(base, tie), drop, 1.06))
    if style == "buns":
        bun = ellipse(35, 8, 18, 17, base, outline(base))
        twist = line("M26,6 C30,-4 44,-2 44,8 C44,16 34,18 32,11", outline(base))
        return both(bun + twist + path("M24,14 Q35,28 48,15 Q36,22 24,14 Z", shade(base)))
    return ""


def _scrunchie(colour: str) -> str:
    ring = "M-6,-13 C2,-17 10,-14 9,-8 C12,-3 12,3 9,8 C10,14 2,17 -6,13 C-11,8 -11,-8 -6,-13 Z"
    return shape(ring, colour) + line("M-3,-7 L5,-6 M-4,0 L6,0 M-3,7 L5,6", outline(colour), 1.4)


def _braid(base: str, tie: str) -> str:
    parts = []
    for i in reversed(range(8)):
        x, y, width = 40 - i * 0.9, 94 + i * 15.5, 11.5 - i * 0.5
        left = f"M{x:.1f},{y - 9:.1f} C{x - width - 3:.1f},{y - 10:.1f} {x - width - 2:.1f},{y + 8:.1f} {x:.1f},{y + 11:.1f} Z"
        right = f"M{x:.1f},{y - 9:.1f} C{x + width + 3:.1f},{y - 10:.1f} {x + width + 2:.1f},{y + 8:.1f} {x:.1f},{y + 11:.1f} Z"
        parts.append(shape(left, shade(base)) + shape(right, base))
    tail = shape("M30,215 C24,226 28,236 33,246 C39,236 42,226 37,215 Z", base)
    return tail + "".join(parts) + shape("M28,210 L39,210 L39,218 L28,218 Z", tie)


def draw_back(character: Character) -> str:
    """All hair of a head seen from behind; it lies over the body."""
    base = HAIR[character.hair_colour]
    style = character.hair_style
    dark = outline(base)
    parts = []
    if style in ("twintails", "drills"):
        parts.append(_tails(character))
    below = BEHIND.get(style, BEHIND["buns"])
    parts.append(shape(below, base))
    parts.append(
        shape("M-42,92 C-54,36 -40,-1 0,-1 C40,-1 54,36 42,92 C20,104 -20,104 -42,92 Z", base)
    )
    parts.append(path("M-40,92 C-20,103 20,103 40,92 C20,99 -20,99 -40,92 Z", shade(base)))
    length = 236 if style in LONG else 92
    for x in (-30, -14, 2, 17, 32):
        parts.append(
            line(
                f"M{x * 0.5:.0f},34 C{x},60 {x * 1.2:.0f},{length * 0.6:.0f} {x * 1.2:.0f},{length}",
                dark,
                1.4,
            )
        )
    gloss = "M-36,34 Q-18,20 0,24 Q18,20 36,34 Q18,28 0,31 Q-18,28 -36,34 Z"
    parts.append(path(gloss, light(base), extra=' fill-opacity="0.85"'))
    if style == "ponytail":
        parts.append(
            shape("M-10,12 C-34,60 -30,150 -4,214 C0,200 6,200 12,212 C32,150 34,60 10,12 Z", base)
        )
        parts.append(line("M-8,50 C-16,100 -8,150 -2,190 M8,50 C16,100 10,150 6,190", dark))
        parts.append(group([_scrunchie("#e8475a")], "translate(0 12) rotate(90)"))
    else:
        parts.append(_bound(character))
    return "".join(parts)


def draw_side_behind(character: Character) -> str:
    """What of the hair hangs behind a head in profile, facing left."""
    base = HAIR[character.hair_colour]
    style = character.hair_style
    if style in LONG:
        width = 74 if style == "wavy" else 62
        low = 284 if style == "hime" else 256
        edge = smooth(
            [
                (4, 40),
                (46, 36),
                (58, 90),
                (width - 4, 150),
                (width, 210),
                (width - 6, low),
                (44, low - 10),
                (30, low),
                (18, low - 12),
                (14, 160),
                (6, 100),
            ]
        )
        return shape(edge, shade(base)) + line(
            f"M40,100 C48,150 46,200 44,{low - 30}", outline(base)
        )
    if style == "ponytail":
        curve = Limb(((30, 14, 10), (74, 40, 17), (82, 120, 18), (62, 206, 3)))
        return shape(curve.tube(), base) + line("M40,22 C76,60 74,120 66,170", outline(base))
    return ""


def draw_side_front(character: Character) -> str:
    """Cap, fringe and bound hair of a head in profile, facing left."""
    base = HAIR[character.hair_colour]
    style = character.hair_style
    dark = outline(base)
    low = {"bob": 116, "messy": 104}.get(style, 96)
    parts = [
        shape(
            f"M-34,52 C-44,20 -24,-1 6,-1 C44,-1 54,34 48,66 C47,84 44,98 34,{low} "
            f"C26,{low - 2} 18,{low - 6} 14,{low - 12} C16,84 8,78 2,70 C-2,60 -4,54 -6,44 "
            "C-10,52 -12,56 -17,58 C-17,52 -19,48 -20,44 C-24,54 -28,58 -33,62 Z",
            base,
        ),
        shape("M-4,44 C6,58 8,82 2,110 C-4,98 -8,70 -4,44 Z", base),
        path(
            "M-28,28 Q-14,12 6,13 Q28,14 42,34 Q26,22 6,22 Q-14,22 -28,28 Z",
            light(base),
            extra=' fill-opacity="0.85"',
        ),
        line("M20,40 C30,56 32,76 28,92 M34,44 C40,60 40,74 38,86", dark, 1.4),
    ]
    tie = "#e8475a" if character.hair_colour not in ("red", "pink", "orange") else "#3f6fd8"
    if style == "twintails":
        tail = Limb(((20, 40, 9), (46, 70, 17), (48, 150, 17), (34, 240, 3)))
        parts += [shape(tail.tube(), base), line("M30,60 C50,100 46,160 40,200", dark)]
        parts.append(ellipse(20, 38, 9, 10, tie, outline(tie)))
    elif style == "drills":
        parts.append(group([_drill(base)], "translate(-34 -6)"))
        parts.append(ellipse(22, 38, 9, 10, tie, outline(tie)))
    elif style == "side_ponytail":
        tail = Limb(((26, 68, 8), (40, 96, 14), (40, 140, 13), (30, 194, 3)))
        parts += [shape(tail.tube(), base), ellipse(24, 66, 8, 9, tie, outline(tie))]
    elif style == "ponytail":
        parts.append(ellipse(34, 12, 8, 10, tie, outline(tie)))
    elif style == "braids":
        parts.append(group([_braid(base, tie)], "translate(-18 -8)"))
    elif style == "buns":
        parts.append(ellipse(30, 8, 19, 18, base, dark))
        parts.append(line("M22,6 C26,-4 40,-2 40,8 C40,16 30,18 28,11", dark))
    elif style == "messy":
        parts.append(shape("M40,14 C52,14 60,22 62,34 C56,32 52,34 48,40 Z", base))
        parts.append(shape("M44,70 C54,76 58,84 58,94 C52,92 46,92 42,96 Z", base))
    return "".join(parts)
