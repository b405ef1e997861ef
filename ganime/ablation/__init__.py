"""Did cleaning make the generator better: one recipe on variants of a dataset, one reference."""

from pydantic import Field, field_validator

from ganime.ablation.variants import BASE, Variant
from ganime.config import Config


class AblateConfig(Config):
    """What is varied, and how often each is trained."""

    variants: tuple[Variant, ...] = Field(
        description="What else to train on, beside the dataset as it is."
    )
    repeats: int = Field(
        3,
        ge=1,
        le=10,
        description="Trainings of each, under seeds one apart; chance shows from 2 on.",
    )

    @field_validator("variants")
    @classmethod
    def _can_be_told_apart(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        if not variants:
            raise ValueError(
                "wanted at least one, for example --variant 'no-filters: curate.rules=[]'"
            )
        labels = [BASE, *(one.label for one in variants)]
        if twice := sorted({one for one in labels if labels.count(one) > 1}):
            raise ValueError(
                f"{', '.join(twice)} names two datasets: name each variant itself, as in "
                "--variant 'strict: chibi.threshold=0.7'"
            )
        return variants
