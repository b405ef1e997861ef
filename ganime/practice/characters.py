"""Who is drawn: attributes of a character, their truthful tags, and how two differ."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from ganime.practice import palette

View = Literal["front", "back", "side"]

HAIR_STYLES = {
    "straight": ("long_hair", "straight_hair"),
    "wavy": ("long_hair", "wavy_hair"),
    "hime": ("long_hair", "hime_cut"),
    "bob": ("short_hair", "bob_cut"),
    "messy": ("short_hair", "messy_hair"),
    "twintails": ("long_hair", "twintails"),
    "drills": ("long_hair", "twin_drills"),
    "ponytail": ("long_hair", "ponytail"),
    "side_ponytail": ("medium_hair", "side_ponytail"),
    "braids": ("long_hair", "twin_braids"),
    "buns": ("short_hair", "double_bun"),
}
BANGS = {
    "blunt": "blunt_bangs",
    "parted": "parted_bangs",
    "swept": "swept_bangs",
    "between": "hair_between_eyes",
}
OUTFITS = {
    "serafuku": ("school_uniform", "serafuku", "sailor_collar", "pleated_skirt"),
    "blazer": ("school_uniform", "blazer", "necktie", "pleated_skirt"),
    "dress": ("dress", "puffy_sleeves", "frills"),
    "hoodie": ("hoodie", "skirt"),
    "kimono": ("kimono", "obi", "japanese_clothes", "wide_sleeves"),
    "maid": ("maid", "maid_apron", "dress", "apron"),
    "armor": ("armor", "breastplate", "pauldrons", "gauntlets", "cape"),
    "coat": ("coat", "scarf", "long_sleeves"),
}
COLOURED_GARMENT = {  # what of an outfit has the outfit's colour
    "serafuku": ("sailor_collar", "skirt"),
    "blazer": ("jacket",),
    "dress": ("dress",),
    "hoodie": ("hoodie",),
    "kimono": ("kimono",),
    "maid": ("dress",),
    "armor": (),
    "coat": ("coat",),
}
ACCENTED_GARMENT = {
    "serafuku": "neckerchief",
    "blazer": "skirt",
    "dress": "sash",
    "hoodie": "skirt",
    "kimono": "sash",
    "maid": None,
    "armor": "cape",
    "coat": "scarf",
}
LEGWEAR = {
    "bare": ("bare_legs",),
    "black_thighhighs": ("thighhighs", "black_thighhighs"),
    "white_thighhighs": ("thighhighs", "white_thighhighs"),
    "striped_thighhighs": ("thighhighs", "striped_thighhighs"),
    "pantyhose": ("pantyhose", "black_pantyhose"),
    "kneehighs": ("kneehighs", "socks"),
    "socks": ("white_socks", "socks"),
}
SHOES = {
    "loafers": ("loafers",),
    "boots": ("boots",),
    "mary_janes": ("mary_janes",),
    "sneakers": ("sneakers",),
}
HEADWEAR = {
    "none": (),
    "ribbon": ("hair_ribbon",),
    "bow": ("hair_bow",),
    "cat_ears": ("cat_ears", "animal_ears"),
    "fox_ears": ("fox_ears", "animal_ears"),
    "witch_hat": ("witch_hat", "hat"),
    "beret": ("beret", "hat"),
    "headphones": ("headphones",),
    "flower": ("hair_flower",),
    "horns": ("horns",),
    "hairband": ("hairband",),
    "tiara": ("tiara",),
}
POSES = {
    "sides": ("arms_at_sides",),
    "hip": ("hand_on_own_hip",),
    "hips": ("hands_on_own_hips",),
    "up": ("arms_up",),
    "waving": ("waving",),
    "behind": ("arms_behind_back",),
    "together": ("own_hands_together",),
    "outstretched": ("outstretched_arms",),
    "v": ("v",),
    "chest": ("hand_on_own_chest",),
}
EXPRESSIONS = {
    "smile": ("smile", "closed_mouth"),
    "grin": ("open_mouth", "smile", ":d"),
    "calm": ("closed_mouth",),
    "frown": ("frown", "closed_mouth"),
    "surprised": ("open_mouth", ":o"),
    "wink": ("one_eye_closed", "smile"),
    "closed": ("closed_eyes", "smile"),
}
STANCES = ("together", "apart", "shifted")
IN_FRONT = ("neckerchief", "necktie", "breastplate", "hime_cut", "maid_apron")  # unseen from behind
LARGE = ("hair_colour", "hair_style", "outfit", "outfit_colour")
FURTHER = ("pose", "legwear", "headwear")


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """Everything that is decided about a drawn character; two equal ones are drawn equally."""

    hair_colour: str
    hair_style: str
    bangs: str
    eye_colour: str
    skin: str
    outfit: str
    outfit_colour: str
    accent: str
    legwear: str
    shoes: str
    shoe_colour: str
    headwear: str
    glasses: bool
    pose: str
    expression: str
    blush: bool
    stance: str
    flipped: bool  # whether what is one-sided (a waving arm, a parting) is on the other side

    def attributes(self) -> dict[str, str | bool]:
        """All attributes by name."""
        return asdict(self)

    def tags(self, view: View = "front") -> tuple[str, ...]:
        """Tags that are true of the drawing as seen from there; what is out of sight has none."""
        tags = {f"{self.hair_colour}_hair", *HAIR_STYLES[self.hair_style], *self._clothes_tags()}
        tags.update(HEADWEAR[self.headwear])
        if self.outfit == "maid" and self.headwear == "none":
            tags.add("maid_headdress")
        if self.skin == "dark":
            tags.update(("dark_skin", "dark-skinned_female"))
        elif self.skin != "fair":
            tags.add({"pale": "pale_skin", "tan": "tan"}[self.skin])
        if view != "side":  # in profile one arm hides the other
            tags.update(POSES[self.pose])
        if self.stance == "apart" and self.outfit != "kimono" and view != "side":
            tags.add("legs_apart")
        if view != "back":
            tags.update(EXPRESSIONS[self.expression])
            if self.expression != "closed":
                tags.add(f"{self.eye_colour}_eyes")
            if self.blush:
                tags.add("blush")
            if self.glasses:
                tags.add("glasses")
        if view == "back":
            tags = {tag for tag in tags if not tag.endswith(IN_FRONT)}
        if view == "front":
            tags.update(("looking_at_viewer", BANGS[self.bangs]))
            if self.expression == "closed":
                tags.discard("looking_at_viewer")
        return tuple(sorted(tags))

    def _clothes_tags(self) -> set[str]:
        tags = set(OUTFITS[self.outfit])
        tags.update(f"{self.outfit_colour}_{cloth}" for cloth in COLOURED_GARMENT[self.outfit])
        accented = ACCENTED_GARMENT[self.outfit]
        if accented:
            tags.add(f"{self.accent}_{accented}")
        if self.outfit == "kimono":  # it hides the legs
            tags.update(("sandals", "tabi"))
        else:
            if not (self.shoes == "boots" and self.legwear == "socks"):  # boots hide them
                tags.update(LEGWEAR[self.legwear])
            tags.update((*SHOES[self.shoes], f"{self.shoe_colour}_footwear"))
        return tags


ACCENTS = ("red", "blue", "yellow", "green", "pink", "purple", "white", "black", "orange")
MAID_COLOURS = ("black", "blue", "purple", "red", "green", "pink")
VIVID = tuple(name for name in palette.CLOTH if name not in ("white", "grey", "brown"))
SKIN_SHARES = ("fair",) * 10 + ("pale", "tan", "dark") * 2


def random_character(rng: np.random.Generator) -> Character:
    """A character whose attributes go together."""
    draws = iter(rng.random(20).tolist())  # one call: thousands are drawn to find one that fits

    def pick(options: Iterable[str]) -> str:
        names = tuple(options)
        return names[int(next(draws) * len(names))]

    outfit = pick(OUTFITS)
    colour = pick(MAID_COLOURS if outfit == "maid" else VIVID)
    hair_style = pick(HAIR_STYLES)
    headwear = pick(HEADWEAR) if next(draws) < 0.75 else "none"
    if hair_style == "buns" and headwear in ("witch_hat", "cat_ears", "fox_ears", "beret"):
        headwear = "none"  # the buns are where these would be
    return Character(
        hair_colour=pick(palette.HAIR),
        hair_style=hair_style,
        bangs="blunt" if hair_style == "hime" else pick(BANGS),
        eye_colour=pick(palette.EYES),
        skin=pick(SKIN_SHARES),
        outfit=outfit,
        outfit_colour=colour,
        accent=pick(name for name in ACCENTS if name != colour),
        legwear=pick(LEGWEAR),
        shoes="boots" if outfit == "armor" else pick(SHOES),
        shoe_colour=pick(palette.LEATHER),
        headwear=headwear,
        glasses=next(draws) < 0.13,
        pose=pick(POSES),
        expression=pick(EXPRESSIONS),
        blush=next(draws) < 0.5,
        stance=pick(STANCES),
        flipped=next(draws) < 0.5,
    )


def num_differences(one: Character, other: Character, names: tuple[str, ...]) -> int:
    """In how many of the named attributes two characters differ."""
    return sum(getattr(one, name) != getattr(other, name) for name in names)


class Cast:
    """Characters that all differ visibly from one another.

    Every two differ in at least two of hair colour, hair style, outfit and its colour, as long as
    that is possible (some hundreds of characters). Beyond, they differ in at least two of these
    four and pose, legwear and headwear, one of the four among them while those last (thousands).
    """

    TRIES = 20  # for each of the stricter rules

    def __init__(self) -> None:
        self._nearly: set[tuple[str, ...]] = set()
        self._nearly_all: set[tuple[str, ...]] = set()
        self._exactly: set[tuple[str, ...]] = set()

    def add(
        self, rng: np.random.Generator, poses_instead: Mapping[str, str] | None = None
    ) -> Character:
        """One more character.

        Args:
            rng: Decides.
            poses_instead: What to use in place of poses that will not be seen.
        """
        instead = poses_instead or {}
        for attempt in range(1000 * self.TRIES):
            character = random_character(rng)
            character = replace(character, pose=instead.get(character.pose, character.pose))
            four, seven = _shortened(character, LARGE), _shortened(character, LARGE + FURTHER)
            exactly = tuple(str(getattr(character, name)) for name in LARGE)
            if attempt < self.TRIES:
                fits = self._nearly.isdisjoint(four)
            else:
                fits = self._nearly_all.isdisjoint(seven) and (
                    attempt >= 2 * self.TRIES or exactly not in self._exactly
                )
            if fits:
                self._nearly.update(four)
                self._nearly_all.update(seven)
                self._exactly.add(exactly)
                return character
        raise RuntimeError("no further character differs enough from those there are")


def _shortened(character: Character, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The attributes with each one left out in turn: equal for two that differ in one at most."""
    values = [str(getattr(character, name)) for name in names]
    return [(*values[:i], "*", *values[i + 1 :]) for i in range(len(values))]
