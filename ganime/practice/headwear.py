# ruff: noqa: E501 - the path data of a shape is one line
"""What is worn on the head, ears and horns included."""

from ganime.practice.characters import Character, View
from ganime.practice.palette import CLOTH, HAIR, light, outline, shade
from ganime.practice.svg import LINE, both, ellipse, group, line, mirror, path, shape, star

GOLD = "#f2c14a"


def draw_headwear(character: Character, view: View) -> str:
    """It lies over the hair; a maid without any other wears a maid's headdress."""
    kind = character.headwear
    colour = _contrast(character)
    base = HAIR[character.hair_colour]
    sided = (view == "back") != character.flipped
    if kind in ("cat_ears", "fox_ears"):
        tall = 0 if kind == "cat_ears" else 3
        outer = (
            f"M12,6 C16,-6 26,{-13 - tall} 38,{-15 - tall} C44,-4 45,12 42,26 C34,14 24,8 12,6 Z"
        )
        inner = f"M22,4 C26,-3 31,-8 36,{-9 - tall} C39,-2 40,8 38,14 C34,8 28,5 22,4 Z"
        tint = "#ffb3c0" if kind == "cat_ears" else "#fff4e6"
        ear = shape(outer, base) + (path(inner, tint) if view != "back" else "")
        return both(ear) if view != "side" else group([ear], "translate(-14 0)")
    if kind == "horns":
        horn = shape("M22,10 C22,-2 30,-10 44,-13 C40,-6 40,4 38,16 Z", "#5b4a55") + line(
            "M27,6 L37,8 M30,-1 L39,1", "#9a8792", 1.6
        )
        return both(horn) if view != "side" else group([horn], "translate(-20 0)")
    if kind == "witch_hat":
        cone = (
            "M-34,20 C-26,2 -14,-8 2,-16 C14,-18 22,-14 27,-8 C20,-9 18,-6 22,0 C28,6 32,12 34,20 Z"
        )
        brim = "M-62,25 C-40,12 40,12 62,25 C48,37 -48,37 -62,25 Z"
        hat = (
            shape(brim, colour)
            + shape(cone, colour)
            + shape("M-34,20 C-14,27 14,27 34,20 L31,11 C12,17 -12,17 -31,11 Z", GOLD, 1.6)
        )
        return mirror(hat) if sided else hat
    if kind == "beret":
        cap = shape(
            "M-46,22 C-56,2 -30,-14 4,-12 C38,-10 50,6 42,20 C20,10 -20,12 -46,22 Z", colour
        )
        cap += path("M-40,16 C-30,4 10,0 38,14 C18,8 -18,8 -40,16 Z", shade(colour))
        cap += line("M2,-11 q1,-5 5,-5", outline(colour), 3)
        return mirror(cap) if sided else cap
    if kind == "headphones":
        band = line("M-46,58 C-56,-20 56,-20 46,58", outline(colour), 9)
        band += line("M-46,58 C-56,-20 56,-20 46,58", colour, 9 - 2 * LINE)
        cup = ellipse(46, 62, 10, 16, colour, outline(colour)) + ellipse(
            49, 62, 5, 10, light(colour)
        )
        if view == "side":
            band = line("M6,62 C0,20 4,4 8,-5", outline(colour), 9) + line(
                "M6,62 C0,20 4,4 8,-5", colour, 9 - 2 * LINE
            )
            return (
                band
                + ellipse(6, 66, 14, 17, colour, outline(colour))
                + ellipse(6, 66, 8, 11, light(colour))
            )
        return band + both(cup)
    return _small(character, view, colour, sided)


def _small(character: Character, view: View, colour: str, sided: bool) -> str:
    kind = character.headwear
    if kind == "ribbon":
        bow = shape("M34,22 C44,2 64,2 60,20 C64,34 46,36 36,26 Z", colour) + shape(
            "M34,22 C24,4 8,6 14,22 C14,34 26,32 34,26 Z", colour
        )
        bow += shape("M32,26 L24,46 L34,40 L42,48 L38,26 Z", shade(colour), 1.8)
        bow += ellipse(34, 23, 5.5, 6, light(colour), outline(colour))
        return mirror(bow) if sided else bow
    if kind == "bow":
        wing = shape("M2,4 C16,-20 44,-18 42,2 C46,20 18,22 2,10 Z", colour) + path(
            "M8,6 C18,0 28,0 36,6 C28,6 18,8 8,9 Z", shade(colour)
        )
        return both(wing) + ellipse(0, 6, 7, 8, light(colour), outline(colour))
    if kind == "flower":
        petals = path(star(30, 24, 17, 5, 0.55), colour, outline(colour), LINE)
        flower = petals + ellipse(30, 24, 5, 5, "#ffe27a", outline("#ffe27a"))
        return mirror(flower) if sided else flower
    if kind == "hairband":
        arc = "M-44,40 C-36,4 36,4 44,40 L42,28 C34,-8 -34,-8 -42,28 Z"
        band = shape(arc, colour)
        return band if view != "side" else group([band], "translate(7 0) scale(0.9 1)")
    if kind == "tiara":
        crown = "M-24,14 L-20,-2 L-10,7 L0,-13 L10,7 L20,-2 L24,14 C10,8 -10,8 -24,14 Z"
        return shape(crown, GOLD) + path(star(0, 3, 5.5, 4, 0.5), "#e0344c")
    if character.outfit == "maid":
        frill = "M-42,26 C-40,-2 -22,-10 0,-11 C22,-10 40,-2 42,26 C36,14 30,10 24,12 C20,2 12,4 10,7 C6,0 -6,0 -10,7 C-12,4 -20,2 -24,12 C-30,10 -36,14 -42,26 Z"
        return shape(frill, "#fbfbff")
    return ""


def _contrast(character: Character) -> str:
    """A colour that stands out from the hair."""
    dark_hair = character.hair_colour in ("black", "purple", "brown", "blue")
    near = {"red": ("red", "orange", "pink"), "blue": ("blue", "purple")}
    wanted = character.outfit_colour
    for names in near.values():
        if wanted in names and character.hair_colour in names:
            wanted = "aqua" if "red" in names else "yellow"
    if wanted == character.hair_colour or (wanted in ("black", "purple") and dark_hair):
        wanted = "pink" if dark_hair else "black"
    if wanted == "yellow" and character.hair_colour == "blonde":
        wanted = "red"
    return CLOTH[wanted]
