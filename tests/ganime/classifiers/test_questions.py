import pytest

from ganime.classifiers.questions import BACKGROUND, CHIBI, MULTIPLE, VIEWPOINT, QuestionConfig
from ganime.errors import ConfigError


@pytest.mark.parametrize(
    ("question", "tags", "answer"),
    [
        (CHIBI, {"chibi", "solo"}, True),
        (CHIBI, {"1girl", "solo"}, False),
        (CHIBI, {"solo", "chibi_inset"}, None),
        (CHIBI, {"2girls"}, False),
        (CHIBI, {"1girl", "1boy"}, None),
        (MULTIPLE, {"2girls"}, True),
        (MULTIPLE, {"1girl", "1boy"}, True),
        (MULTIPLE, {"6+boys", "solo"}, True),
        (MULTIPLE, {"1girl", "solo"}, False),
        (MULTIPLE, {"1girl"}, None),
        (VIEWPOINT, {"from_behind", "standing"}, True),
        (VIEWPOINT, {"standing"}, False),
        (BACKGROUND, {"gradient_background", "simple_background"}, True),
        (BACKGROUND, {"white_background"}, False),
        (BACKGROUND, set(), None),
    ],
)
def test_tags_answer_the_usual_questions(
    question: QuestionConfig, tags: set[str], answer: bool | None
) -> None:
    assert question.weak_answer(frozenset(tags)) is answer


def test_without_searches_tags_say_nothing() -> None:
    assert QuestionConfig(question="keep").weak_answer({"solo"}) is None


def test_an_empty_search_finds_nothing() -> None:
    assert QuestionConfig(question="q", positive_tags=("", " ")).weak_answer({"solo"}) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"question": "../up"}, "question"),
        ({"question": "q", "threshold": 2}, "threshold"),
        ({"question": "q", "threshold": {"precision": 0.9, "recall": 0.9}}, "one of the two"),
        ({"question": "q", "threshold": {"precisoin": 0.9}}, "precisoin"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        QuestionConfig.parse(settings)
