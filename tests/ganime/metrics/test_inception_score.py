import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Sets
from ganime.metrics.inception_score import inception_scores


def test_sure_and_even_classes_give_their_number() -> None:
    logits = np.tile(np.eye(7) * 1000, (10, 1))

    assert inception_scores(logits, 1)[0] == pytest.approx(7)


def test_answers_that_do_not_depend_on_the_image_give_one() -> None:
    logits = np.tile(np.array([3.0, 1.0, -2.0]), (20, 1))

    assert inception_scores(logits, 2) == pytest.approx([1, 1])


def test_it_is_the_papers_formula_by_a_naive_loop() -> None:
    logits = np.random.default_rng(0).normal(size=(31, 5)) * 2
    scores = []
    for part in np.array_split(logits, 4):
        chances = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        marginal = chances.mean(axis=0)
        divergences = [
            sum(p * np.log(p / q) for p, q in zip(row, marginal, strict=True)) for row in chances
        ]
        scores.append(np.exp(np.mean(divergences)))

    assert inception_scores(logits, 4) == pytest.approx(scores)


def test_logits_are_features_times_the_extractors_head() -> None:
    rng = np.random.default_rng(1)
    fake, head = (rng.normal(size=shape).astype(np.float32) for shape in ((60, 4), (4, 9)))
    value = METRICS.build("inception_score").measure(Sets(fake, fake, head=head))[0]

    assert value.value == pytest.approx(inception_scores(fake @ head, 10).mean())
    assert value.low < value.value < value.high


def test_without_classes_it_says_which_extractor_to_take() -> None:
    features = np.zeros((40, 4), np.float32)

    with pytest.raises(ConfigError, match="take the inception extractor"):
        METRICS.build("inception_score").measure(Sets(features, features))
