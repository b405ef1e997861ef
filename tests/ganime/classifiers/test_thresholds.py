import numpy as np
import pytest

from ganime.classifiers.figures import confusion, cuts_of
from ganime.classifiers.thresholds import (
    ThresholdWish,
    choose_threshold,
    thresholds_by_fold,
)
from ganime.errors import ConfigError

SCORES = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.4, 0.3, 0.2, 0.1])
ANSWERS = np.array([True, True, True, True, True, False, True, False, True, False])


def precision_of(threshold: float, answers: np.ndarray) -> float:
    said = np.greater(SCORES, threshold)
    return float(answers[said].mean())


def test_a_number_is_taken_as_it_is() -> None:
    assert choose_threshold(SCORES, ANSWERS, 0.33).threshold == 0.33


def test_many_answers_are_cut_where_f1_is_best_and_few_at_half_of_it() -> None:
    scores, answers = np.array([0.9, 0.7, 0.1, 0.0]), np.array([True, True, False, False])

    def threshold(copies: int) -> float:
        return choose_threshold(np.repeat(scores, copies), np.repeat(answers, copies)).threshold

    # Between 0.7 and 0.1, where F1 is 1.
    assert threshold(100_000) == pytest.approx(0.4, abs=1e-3)
    assert threshold(1) == pytest.approx((2 * 0.4 + 50 * 0.5) / 52)


def chances(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are chances, a yes being rare, and answers drawn by them."""
    scores = rng.beta(0.15, 1.5, count)
    return scores, rng.random(count) < scores


def f1(scores: np.ndarray, answers: np.ndarray, threshold: float) -> float:
    said = scores > threshold
    return float(2 * (said & answers).sum() / (said.sum() + answers.sum()))


def test_of_few_rare_answers_comes_a_threshold_that_does_for_all() -> None:
    rng = np.random.default_rng(0)
    every, truth = chances(rng, 20_000)
    best = max(f1(every, truth, cut) for cut in np.linspace(0.05, 0.95, 91))
    reached, by_cut = [], []
    for _ in range(40):
        scores, answers = chances(rng, 40)
        if answers.sum() < 2:
            continue
        reached.append(f1(every, truth, choose_threshold(scores, answers).threshold))
        cuts, tp, said = cuts_of(scores, answers)
        by_cut.append(f1(every, truth, float(cuts[np.argmax(2 * tp / (said + answers.sum()))])))
    assert np.mean(reached) > np.mean(by_cut) + 0.02
    assert np.mean(reached) > best - 0.06


@pytest.mark.parametrize("answer", [True, False])
def test_one_kind_of_answer_leaves_the_threshold_in_the_middle(answer: bool) -> None:
    assert choose_threshold(SCORES, np.full(10, answer)).threshold == 0.5


def test_a_wanted_precision_takes_the_lowest_such_cut() -> None:
    sharp = choose_threshold(SCORES, ANSWERS, ThresholdWish(precision=1.0))
    blunt = choose_threshold(SCORES, ANSWERS, ThresholdWish(precision=0.85))

    assert sharp.threshold == pytest.approx((0.75 + 0.7) / 2)
    assert blunt.threshold == pytest.approx((0.4 + 0.3) / 2)
    assert precision_of(blunt.threshold, ANSWERS) == blunt.value == pytest.approx(6 / 7)
    assert sharp.reached
    # Wilson 1927 for 5 of 5
    assert sharp.interval == pytest.approx([0.5655, 1.0], abs=1e-4)


def test_a_wanted_recall_takes_the_highest_such_cut() -> None:
    found = choose_threshold(SCORES, ANSWERS, ThresholdWish(recall=0.8))

    assert found.threshold == pytest.approx((0.4 + 0.3) / 2)
    assert found.reached
    assert found.value == pytest.approx(6 / 7)
    # Wilson 1927 for 6 of 7
    assert found.interval == pytest.approx([0.4869, 0.9743], abs=1e-4)


def test_a_precision_counted_on_a_handful_is_not_believed() -> None:
    answers = np.array([True, True, False, False, True, False, False, False, False, False])

    found = choose_threshold(SCORES, answers, ThresholdWish(precision=0.9))

    assert not found.reached  # though the first two are right
    assert found.threshold == choose_threshold(SCORES, answers).threshold
    assert found.value == pytest.approx(precision_of(found.threshold, answers))


def test_a_yes_with_the_score_zero_cannot_be_recalled() -> None:
    scores, answers = np.array([0.9, 0.5, 0.0]), np.array([True, False, True])

    assert not choose_threshold(scores, answers, ThresholdWish(recall=1.0)).reached


def test_without_a_yes_no_wish_is_reached() -> None:
    for wish in (ThresholdWish(recall=0.5), ThresholdWish(precision=0.5)):
        found = choose_threshold(SCORES, np.zeros(10, bool), wish)

        assert not found.reached
        assert found.told(wish) is not None


def test_what_was_wished_and_what_came_of_it_is_told() -> None:
    wish = ThresholdWish(recall=0.8)

    told = choose_threshold(SCORES, ANSWERS, wish).told(wish)

    assert told is not None
    assert told.keys() == {"recall", "reached", "value", "interval"}
    assert choose_threshold(SCORES, ANSWERS).told(None) is None


def test_a_fold_is_cut_where_the_others_say() -> None:
    folds = np.array([0, 0, 1, 1])
    scores = np.array([0.9, 0.8, 0.3, 0.1])
    answers = np.array([True, False, True, False])

    everyone = ThresholdWish(recall=1)

    cuts = thresholds_by_fold(scores, answers, folds, np.ones(4, bool), everyone)

    assert cuts == pytest.approx([0.2, 0.2, 0.85, 0.85])
    # One threshold for all would be chosen to suit exactly these four.
    assert confusion(scores, answers, cuts) == {"tp": 1, "fp": 1, "fn": 1, "tn": 1}
    one = choose_threshold(scores, answers, everyone).threshold
    assert confusion(scores, answers, one)["fn"] == 0


@pytest.mark.parametrize("settings", [{}, {"precision": 0.9, "recall": 0.9}, {"recall": 0}])
def test_a_wish_is_one_share_above_zero(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ThresholdWish.parse(settings)
