"""What is asked of each image, and which tags give a weak answer."""

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from ganime.classifiers.thresholds import ThresholdWish
from ganime.config import Config


class QuestionConfig(Config):
    """One yes/no question.

    A search is a tag, or several separated by spaces that must all be there; `-tag` must not.
    """

    question: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Its name, in labels and scores."
    )
    positive_tags: tuple[str, ...] = Field(
        (), description="Searches; an image that any of them finds is a weak yes."
    )
    negative_tags: tuple[str, ...] = Field(
        (),
        description="Searches; an image that any of them finds and no positive one does is a weak "
        "no. With none, tags say no to nothing.",
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | ThresholdWish | None = Field(
        None,
        description='Yes above this score, or {"precision": 0.95} or {"recall": 0.9}: chosen to '
        "reach that on held-out answers; empty chooses the best F1.",
    )

    def weak_answer(self, tags: Collection[str]) -> bool | None:
        """What the tags say; None if nothing."""
        if any(_finds(search, tags) for search in self.positive_tags):
            return True
        if any(_finds(search, tags) for search in self.negative_tags):
            return False
        return None


def _finds(search: str, tags: Collection[str]) -> bool:
    terms = search.split()
    return bool(terms) and all(
        term[1:] not in tags if term.startswith("-") and len(term) > 1 else term in tags
        for term in terms
    )


# Spelt as at Danbooru, which Safebooru and Gelbooru follow.
CHIBI = QuestionConfig(
    question="chibi",
    positive_tags=("chibi", "chibi_only"),
    negative_tags=("solo -chibi_inset", "2girls -chibi_inset", "multiple_girls -chibi_inset"),
)
MULTIPLE = QuestionConfig(
    question="multiple",
    positive_tags=(
        *(f"{count}{who}s" for who in ("girl", "boy", "other") for count in (2, 3, 4, 5, "6+")),
        *("multiple_girls", "multiple_boys", "multiple_others", "1girl 1boy", "multiple_views"),
    ),
    negative_tags=("solo",),
)
VIEWPOINT = QuestionConfig(
    question="viewpoint",
    positive_tags=(
        *("from_behind", "from_side", "from_above", "from_below"),
        *("lying", "on_back", "on_side", "on_stomach", "upside-down"),
    ),
    negative_tags=("standing",),
)
BACKGROUND = QuestionConfig(
    question="background",
    positive_tags=(
        *("detailed_background", "gradient_background", "patterned_background"),
        *("striped_background", "checkered_background", "floral_background", "starry_background"),
        *("blurry_background", "scenery", "outdoors", "indoors", "cityscape", "landscape"),
    ),
    negative_tags=("white_background", "simple_background", "transparent_background"),
)
