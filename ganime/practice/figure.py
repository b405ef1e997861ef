"""A whole character as SVG, put together from its layers."""

from ganime.practice import body, hair, head, headwear, outfits, sleeves
from ganime.practice.characters import Character, View
from ganime.practice.palette import CLOTH, SKIN
from ganime.practice.svg import Limb, group

HEIGHT = 500.0  # from crown to soles; headwear may rise a little above
HALF_WIDTH = 84.0  # of a figure whose arms stay near the body
HALF_WIDTHS = {"outstretched": 152.0, "waving": 108.0, "up": 96.0, "v": 92.0}
CHIBI_DROP = 0.55  # how far its hair hangs, compared with the head
CHIBI_HEAD = 2.35  # makes the head half of the whole
CHIBI_BODY = (1.28, 0.66)


def half_width(character: Character) -> float:
    """How far a figure reaches to either side of its axis [figure units]."""
    return HALF_WIDTHS.get(character.pose, HALF_WIDTH)


def draw_figure(character: Character, view: View = "front") -> str:
    """A character of 500 units, the axis at x = 0, the crown at y = 0."""
    if view == "back":
        return group([*_body(character, "back"), *_head(character, "back")])
    if view == "side":
        slim = group(_body(character, "side"), "scale(0.68 1)")
        return group([hair.draw_side_behind(character), slim, *_head(character, "side")])
    return group(
        [
            hair.draw_behind(character),
            *_body(character, "front"),
            *_head(character, "front"),
        ]
    )


def draw_chibi(character: Character) -> str:
    """The same character with a head as large as the rest of it."""
    large = f"translate(0 4) scale({CHIBI_HEAD})"
    width, height = CHIBI_BODY
    small = f"translate(0 {HEIGHT - HEIGHT * height:.1f}) scale({width} {height})"
    return group(
        [
            group([hair.draw_behind(character, CHIBI_DROP)], large),
            group(_body(character, "front"), small),
            group(_head(character, "front", chibi=True), large),
        ],
        "translate(0 30) scale(0.94)",  # leaves room for what is worn on so large a head
    )


def _body(character: Character, view: View) -> list[str]:
    parts = [] if view == "back" else [outfits.behind(character, view)]
    arms = body.arms(character, view)
    parts += [_arm(character, name, limb) for name, limb in arms if body.is_behind(name, view)]
    if character.outfit == "kimono":
        parts.append(outfits.kimono_feet())
    else:
        parts.append(body.draw_legs(character, view))
    parts.append(body.draw_torso(character.skin))
    parts.append(outfits.worn(character, view))
    if view == "back":
        parts.append(outfits.over_back(character))
    parts += [_arm(character, name, limb) for name, limb in arms if not body.is_behind(name, view)]
    return parts


def _arm(character: Character, name: str, limb: Limb) -> str:
    covered = character.outfit in sleeves.HAND_COVER
    colour = CLOTH[character.outfit_colour] if covered else SKIN[character.skin]
    hand = body.draw_hand(name, limb, colour)
    if name == "behind":
        hand = ""
    return group([body.draw_arm(limb, character.skin), sleeves.sleeve(character, name, limb), hand])


def _head(character: Character, view: View, chibi: bool = False) -> list[str]:
    worn = headwear.draw_headwear(character, view)
    if view == "back":
        return [hair.draw_back(character), worn]
    if view == "side":
        return [head.draw_profile(character), hair.draw_side_front(character), worn]
    drop = CHIBI_DROP if chibi else 1.0
    return [head.draw_face(character, chibi), hair.draw_front(character, drop), worn]
