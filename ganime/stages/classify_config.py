"""Settings of classifying."""

from pydantic import Field, field_validator

from ganime.backbones import BackboneConfig
from ganime.classifiers.finetune import FineTuneConfig
from ganime.classifiers.head import HeadConfig
from ganime.classifiers.questions import BACKGROUND, CHIBI, MULTIPLE, VIEWPOINT, QuestionConfig
from ganime.config import Config


class ClassifyConfig(Config):
    """What is asked of each image, and by which network's features."""

    backbone: BackboneConfig = BackboneConfig()
    questions: tuple[QuestionConfig, ...] = Field(
        (CHIBI, MULTIPLE, VIEWPOINT, BACKGROUND), description="What is asked of each image."
    )
    head: HeadConfig = HeadConfig()
    finetune: FineTuneConfig = FineTuneConfig()
    min_precision: float = Field(
        0.5, ge=0, le=1, description="A classifier with a lower held-out precision is not obeyed."
    )
    min_answers: int = Field(
        8, ge=2, description="A question with fewer yes or fewer no gets no classifier."
    )
    max_training: int = Field(
        20_000, ge=16, description="A head learns from at most so many images."
    )
    seed: int = Field(0, ge=0, description="Of the folds.")
    shard_size: int = Field(1000, ge=1, description="Images per part of the features.")

    @field_validator("questions")
    @classmethod
    def _asked_once(cls, questions: tuple[QuestionConfig, ...]) -> tuple[QuestionConfig, ...]:
        names = [question.question for question in questions]
        if len(set(names)) < len(names):
            raise ValueError(f"a question is asked twice: {', '.join(names)}")
        return questions
