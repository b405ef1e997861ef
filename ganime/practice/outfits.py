# ruff: noqa: E501 - the path data of a shape is one line
"""Clothes: what covers the body and what hangs behind it."""

from collections.abc import Callable

from ganime.practice.characters import Character, View
from ganime.practice.palette import CLOTH, deep, light, outline, shade
from ganime.practice.svg import both, ellipse, line, mirror, number, path, shape, star

WHITE = "#fbfbff"
GOLD = "#f2c14a"
BODICE = "M-12,113 C-16,118 -27,119 -36,125 C-39,136 -32,144 -30,152 C-28,168 -24,178 -24,188 L24,188 C24,178 28,168 30,152 C32,144 39,136 36,125 C27,119 16,118 12,113 C6,119 -6,119 -12,113 Z"
SIDE_SHADE = "M30,140 C26,160 22,176 24,188 L12,188 C14,170 22,156 30,140 Z"


def behind(character: Character, view: View) -> str:
    """What hangs behind the body, as seen from the front."""
    colour = CLOTH[character.outfit_colour]
    if character.outfit == "armor":
        cape = CLOTH[character.accent]
        return shape(
            "M-34,120 C-52,200 -66,290 -70,372 C-40,384 40,384 70,372 C66,290 52,200 34,120 Z", cape
        ) + path("M-30,150 C-40,240 -44,310 -46,376 L46,376 C44,310 40,240 30,150 Z", shade(cape))
    if character.outfit == "hoodie":
        return shape("M-36,124 C-44,100 -24,94 0,94 C24,94 44,100 36,124 Z", deep(colour))
    if character.outfit == "maid" and view == "front":
        return both(shape("M10,186 C40,166 58,180 56,204 C48,196 30,196 12,194 Z", WHITE))
    if character.outfit == "kimono" and view == "front":
        return both(
            shape("M10,170 C34,150 50,156 46,186 C40,196 24,190 10,184 Z", CLOTH[character.accent])
        )
    return ""


def worn(character: Character, view: View) -> str:
    """What covers torso, hips and thighs."""
    return _OUTFITS[character.outfit](character, view)


def over_back(character: Character) -> str:
    """What hangs down the back, as seen from behind: it covers the body."""
    colour, accent = CLOTH[character.outfit_colour], CLOTH[character.accent]
    if character.outfit == "armor":
        return shape(
            "M-36,120 C-50,200 -60,290 -66,372 C-40,386 40,386 66,372 C60,290 50,200 36,120 C16,112 -16,112 -36,120 Z",
            accent,
        ) + line("M-16,150 C-22,230 -28,310 -30,372 M16,150 C22,230 28,310 30,372", outline(accent))
    if character.outfit == "hoodie":
        return shape("M-36,120 C-34,164 34,164 36,120 C20,108 -20,108 -36,120 Z", colour) + path(
            "M-26,122 C-20,148 20,148 26,122 C14,130 -14,130 -26,122 Z", deep(colour)
        )
    bow = {"maid": WHITE, "dress": accent, "kimono": accent}.get(character.outfit)
    if not bow:
        return ""
    loop = "M3,190 C18,164 46,168 44,190 C46,212 18,214 3,194 Z"
    band = shape("M3,196 C12,220 24,236 34,250 L18,254 C12,236 4,220 0,200 Z", bow)
    return both(band + shape(loop, bow) + line("M10,190 L30,186", outline(bow))) + ellipse(
        0, 192, 7, 8, light(bow), outline(bow)
    )


def _pleats(colour: str, hem: float, width: float = 56, top: float = 184) -> str:
    """A pleated skirt from the waist to `hem`."""
    folds = 7
    edge = [
        (-width + 2 * width * i / (2 * folds), hem + (5 if i % 2 else 0))
        for i in range(2 * folds + 1)
    ]
    data = f"M-24,{number(top)} L24,{number(top)} L" + " L".join(
        f"{number(x)},{number(y)}" for x, y in reversed(edge)
    )
    parts = [shape(data + " Z", colour)]
    for i in range(1, 2 * folds, 2):
        (x, y), (x2, y2) = edge[i], edge[i + 1]
        waist = -24 + 48 * i / (2 * folds)
        parts.append(
            path(
                f"M{number(waist)},{number(top + 8)} L{number(x)},{number(y - 1)} "
                f"L{number(x2)},{number(y2 - 1)} Z",
                shade(colour),
            )
        )
    parts.append(
        shape(
            f"M-24,{number(top - 4)} L24,{number(top - 4)} L25,{number(top + 5)} L-25,{number(top + 5)} Z",
            shade(colour),
            1.6,
        )
    )
    return "".join(parts)


def _flare(colour: str, hem: float, width: float, frill: str | None = None) -> str:
    """A flared skirt from the waist to `hem`, wavy below, with an optional frill."""
    waves = "".join(
        f" Q{number(width - width * (2 * i + 1) / 5)},{number(hem + 12)} "
        f"{number(width - width * (2 * i + 2) / 5)},{number(hem + (0 if i < 4 else -2))}"
        for i in range(5)
    )
    data = (
        f"M-24,184 L24,184 C34,214 {number(width - 6)},{number(hem - 60)} {number(width)},{number(hem)}"
        f"{waves} C{number(6 - width)},{number(hem - 60)} -34,214 -24,184 Z"
    )
    parts = []
    if frill:
        parts.append(f'<g transform="translate(0 9)">{shape(data, frill)}</g>')
    parts.append(shape(data, colour))
    tone = shade(colour)
    for x in (-0.55, -0.1, 0.4):
        parts.append(
            path(
                f"M{number(x * 30)},200 Q{number(x * width * 0.8)},{number(hem - 50)} "
                f"{number(x * width)},{number(hem + 2)} L{number((x + 0.2) * width)},{number(hem + 4)} "
                f"Q{number((x + 0.1) * width * 0.8)},{number(hem - 50)} {number(x * 30)},200 Z",
                tone,
            )
        )
    return "".join(parts)


def _bodice(colour: str) -> str:
    return shape(BODICE, colour) + path(SIDE_SHADE, shade(colour))


def _serafuku(character: Character, view: View) -> str:
    colour, accent = CLOTH[character.outfit_colour], CLOTH[character.accent]
    parts = [_pleats(colour, 270), shape(BODICE, WHITE), path(SIDE_SHADE, shade(WHITE))]
    if view == "back":
        parts.append(shape("M-30,120 L-31,160 L31,160 L30,120 C14,112 -14,112 -30,120 Z", colour))
        parts.append(line("M-26,123 L-27,154 L27,154 L26,123", WHITE, 2.2))
        return "".join(parts)
    parts.append(both(shape("M11,111 C20,116 30,118 36,124 L37,140 L0,166 L0,152 Z", colour)))
    parts.append(both(line("M32,125 L32,138 L3,158", WHITE, 2.2)))
    parts.append(both(shape("M0,158 L9,164 L17,196 L4,186 L0,168 Z", accent)))
    parts.append(shape("M-6,153 L6,153 L7,165 L-7,165 Z", accent))
    return "".join(parts)


def _blazer(character: Character, view: View) -> str:
    colour, accent = CLOTH[character.outfit_colour], CLOTH[character.accent]
    jacket = "M-12,113 C-16,118 -27,119 -36,125 C-39,136 -32,144 -31,152 C-29,172 -30,190 -37,222 C-20,228 20,228 37,222 C30,190 29,172 31,152 C32,144 39,136 36,125 C27,119 16,118 12,113 Z"
    parts = [_pleats(accent, 270), shape(jacket, colour)]
    parts.append(
        path("M31,152 C29,172 30,190 37,222 L22,225 C18,196 18,176 31,152 Z", shade(colour))
    )
    if view == "back":
        return "".join([*parts, line("M0,124 L0,226", outline(colour))])
    tie = "#c8323e" if character.outfit_colour != "red" else "#2f56b0"
    parts.append(shape("M-12,113 L0,168 L12,113 C6,119 -6,119 -12,113 Z", WHITE))
    parts.append(shape("M-4,122 L4,122 L3,128 L7,156 L0,166 L-7,156 L-3,128 Z", tie, 1.6))
    parts.append(both(shape("M12,111 L22,119 L18,136 L1,170 L3,160 Z", light(colour))))
    parts.append(line("M0,170 L0,225", outline(colour)))
    parts += [ellipse(5, y, 2.4, 2.4, GOLD) for y in (180, 198, 214)]
    parts.append(both(line("M16,204 L30,202", outline(colour))))
    return "".join(parts)


def _dress(character: Character, view: View) -> str:
    colour, accent = CLOTH[character.outfit_colour], CLOTH[character.accent]
    parts = [_flare(colour, 316, 74, WHITE), _bodice(colour)]
    parts.append(shape("M-25,180 L25,180 L27,194 L-27,194 Z", accent))
    if view == "front":
        parts.append(
            both(
                shape(
                    "M0,120 C8,118 12,112 12,112 C20,114 24,122 20,130 C12,134 4,130 0,120 Z", WHITE
                )
            )
        )
        parts.append(both(shape("M0,129 C6,122 16,122 15,131 C16,138 6,138 0,131 Z", accent, 1.6)))
        parts.append(line("M0,142 L0,178", outline(colour)))
        parts += [ellipse(0, y, 2, 2, WHITE) for y in (148, 160, 172)]
    return "".join(parts)


def _hoodie(character: Character, view: View) -> str:
    colour, accent = CLOTH[character.outfit_colour], CLOTH[character.accent]
    body = "M-14,112 C-20,117 -30,118 -38,124 C-42,140 -36,150 -37,166 C-39,190 -42,212 -40,232 C-20,238 20,238 40,232 C42,212 39,190 37,166 C36,150 42,140 38,124 C30,118 20,117 14,112 C8,122 -8,122 -14,112 Z"
    parts = [_pleats(accent, 272, 54), shape(body, colour)]
    parts.append(
        path("M37,166 C39,190 42,212 40,232 L26,235 C28,206 26,190 37,166 Z", shade(colour))
    )
    parts.append(
        shape("M-39,224 C-20,231 20,231 39,224 L39,236 C20,243 -20,243 -39,236 Z", shade(colour))
    )
    if view == "front":
        parts.append(shape("M-22,222 L-15,192 L15,192 L22,222 Z", light(colour), 1.8))
        hood = "M0,134 C10,132 20,122 24,112 C32,112 36,120 32,130 C22,142 8,146 0,144 Z"
        parts.append(both(shape(hood, light(colour))))
        parts.append(both(line("M7,142 L8,168", WHITE, 2.6)))
    return "".join(parts)


def _kimono(character: Character, view: View) -> str:
    colour, accent = CLOTH[character.outfit_colour], CLOTH[character.accent]
    robe = "M-13,111 C-18,117 -28,119 -36,125 C-38,140 -32,150 -31,166 C-30,186 -36,206 -38,232 C-40,310 -38,390 -42,462 C-20,470 20,470 42,462 C38,390 40,310 38,232 C36,206 30,186 31,166 C32,150 38,140 36,125 C28,119 18,117 13,111 Z"
    parts = [shape(robe, colour)]
    parts.append(
        path("M38,232 C40,310 38,390 42,462 L26,466 C28,390 28,310 24,220 Z", shade(colour))
    )
    for x, y, size in (
        (-22, 436, 13),
        (16, 402, 11),
        (-20, 366, 9),
        (22, 442, 8),
        (-2, 446, 8),
        (-28, 250, 7),
        (20, 258, 8),
    ):
        parts.append(path(star(x, y, size, 5, 0.6), accent))
        parts.append(ellipse(x, y, size * 0.28, size * 0.28, WHITE))
    parts.append(shape("M-31,166 C-30,182 -30,190 -32,204 L32,204 C30,190 30,182 31,166 Z", accent))
    parts.append(path("M-31,182 L31,182 L31,189 L-31,189 Z", light(accent)))
    if view == "front":
        parts.append(line("M-6,206 C4,290 8,380 6,465", outline(colour)))
        parts.append(shape("M13,109 C6,128 -6,146 -20,166 L-9,166 C8,150 16,132 20,116 Z", WHITE))
        parts.append(shape("M-13,109 C-6,128 6,146 20,166 L9,166 C-8,150 -16,132 -20,116 Z", WHITE))
        parts.append(ellipse(0, 185, 5, 5, GOLD, outline(GOLD)))
    return "".join(parts)


def kimono_feet() -> str:
    """Tabi and sandals below a kimono's hem."""
    foot = "M9,456 L8,486 C6,498 34,498 30,484 L25,456 Z"
    return both(
        shape(foot, WHITE)
        + line("M17,478 L19,490", outline(WHITE), 1.4)
        + line("M9,484 C15,478 22,478 30,484", "#d8323f", 3)
        + shape("M4,493 L33,493 L33,500 L4,500 Z", "#9a6a42", 1.6)
    )


def _maid(character: Character, view: View) -> str:
    colour = CLOTH[character.outfit_colour]
    parts = [_flare(colour, 322, 76, WHITE), _bodice(colour)]
    if view == "front":
        parts.append(
            shape(
                "M-22,188 L22,188 C30,214 44,250 46,290 Q34,302 23,296 Q12,306 0,298 Q-12,306 -23,296 Q-34,302 -46,290 C-44,250 -30,214 -22,188 Z",
                WHITE,
            )
        )
        parts.append(
            path(
                "M6,192 L22,192 C30,216 42,250 44,288 Q34,298 26,294 C26,250 16,216 6,192 Z",
                shade(WHITE),
            )
        )
        parts.append(shape("M-17,130 L17,130 L19,188 L-19,188 Z", WHITE))
        frill = "M17,130 C26,122 34,120 38,124 C42,136 30,146 27,158 C24,170 22,180 19,188 Z"
        parts.append(both(shape(frill, WHITE)))
        bow = CLOTH[character.accent]
        parts.append(both(shape("M0,124 C8,114 20,116 18,126 C20,136 8,134 0,126 Z", bow, 1.8)))
        parts.append(ellipse(0, 125, 3.6, 4, light(bow), outline(bow)))
    else:
        parts.append(both(shape("M12,120 L22,120 L10,190 L2,190 Z", WHITE, 1.8)))
    parts.append(shape("M-24,182 L24,182 L26,193 L-26,193 Z", WHITE, 1.8))
    return "".join(parts)


def _armor(character: Character, view: View) -> str:
    colour = CLOTH[character.outfit_colour]
    parts = [_pleats(deep(colour), 258, 50)]
    plate = "M6,190 L30,190 C40,208 46,226 46,246 L28,258 L8,244 Z"
    parts.append(
        both(
            shape(plate, colour)
            + path("M12,196 L24,196 C30,210 34,224 34,238 L27,244 L14,236 Z", light(colour))
        )
    )
    parts.append(
        shape(
            "M-14,112 C-18,118 -30,118 -36,125 C-40,142 -36,160 -26,172 L-24,192 L24,192 L26,172 C36,160 40,142 36,125 C30,118 18,118 14,112 C6,118 -6,118 -14,112 Z",
            colour,
        )
    )
    parts.append(
        path("M34,134 C37,150 32,164 24,172 L22,190 L10,190 C12,172 26,156 34,134 Z", shade(colour))
    )
    if view == "front":
        parts.append(
            path("M-28,132 C-16,126 -8,130 -4,140 C-6,156 -20,160 -28,152 Z", light(colour))
        )
        parts.append(line("M0,118 L0,190 M-26,172 C-12,164 12,164 26,172", outline(colour)))
        parts.append(shape("M0,138 L7,148 L0,160 L-7,148 Z", CLOTH[character.accent], 1.6))
    parts.append(shape("M-15,111 C-8,118 8,118 15,111 L17,119 C8,126 -8,126 -17,119 Z", GOLD, 1.6))
    parts.append(shape("M-25,185 L25,185 L26,195 L-26,195 Z", GOLD, 1.8))
    return "".join(parts)


def _coat(character: Character, view: View) -> str:
    colour, accent = CLOTH[character.outfit_colour], CLOTH[character.accent]
    body = "M-13,112 C-18,117 -28,118 -37,124 C-40,140 -33,150 -32,164 C-30,182 -30,188 -32,204 C-44,260 -52,310 -54,350 C-20,362 20,362 54,350 C52,310 44,260 32,204 C30,188 30,182 32,164 C33,150 40,140 37,124 C28,118 18,117 13,112 Z"
    parts = [shape(body, colour)]
    parts.append(
        path("M32,204 C44,260 52,310 54,350 L34,355 C34,300 28,250 20,206 Z", shade(colour))
    )
    parts.append(shape("M-31,190 L31,190 L33,203 L-33,203 Z", deep(colour), 1.8))
    if view == "front":
        parts.append(line("M0,130 L0,356", outline(colour), 2.2))
        parts += [
            ellipse(x, y, 3.2, 3.2, GOLD, outline(GOLD))
            for y in (154, 174, 222, 248, 274)
            for x in (-10, 10)
        ]
        parts.append(both(line("M22,232 L38,228", outline(colour), 2.2)))
    scarf = "M-32,112 C-20,100 20,100 32,112 C36,126 22,136 0,136 C-22,136 -36,126 -32,112 Z"
    tail = shape("M10,128 L26,124 L32,186 L14,190 Z", accent) + line(
        "M15,180 L31,177", light(accent), 3
    )
    if view != "side":
        parts.append(mirror(tail) if character.flipped else tail)
    parts.append(shape(scarf, accent))
    parts.append(line("M-24,122 C-10,130 12,130 26,120", shade(accent), 3))
    return "".join(parts)


_OUTFITS: dict[str, Callable[[Character, View], str]] = {
    "serafuku": _serafuku,
    "blazer": _blazer,
    "dress": _dress,
    "hoodie": _hoodie,
    "kimono": _kimono,
    "maid": _maid,
    "armor": _armor,
    "coat": _coat,
}
