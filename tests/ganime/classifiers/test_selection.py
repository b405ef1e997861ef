import numpy as np

from ganime.classifiers.selection import Selected, better, cross_validate, learn


def selected(kind: str, losses: list[float]) -> Selected:
    return Selected(kind, 0.1, np.zeros(len(losses)), np.array(losses))  # type: ignore[arg-type]


def test_the_other_must_be_clearly_better() -> None:
    line = selected("linear", [0.5, 0.6, 0.4, 0.5])

    by_luck = selected("mlp", [0.9, 0.1, 0.5, 0.4])
    clearly = selected("mlp", [0.4, 0.5, 0.3, 0.41])

    assert better(line, by_luck) is line
    assert better(line, clearly) is clearly


def test_the_penalty_with_the_least_held_out_loss_is_taken() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 40))
    answers = inputs[:, 0] + rng.normal(size=60) > 0
    folds = np.arange(60) % 5
    used = np.ones(60, bool)

    both = cross_validate("linear", (1e-4, 1.0), inputs, answers, used, folds, 0)

    each = [
        cross_validate("linear", (l2,), inputs, answers, used, folds, 0).losses.mean()
        for l2 in (1e-4, 1.0)
    ]
    assert both.l2 == 1.0
    assert both.losses.mean() == min(each)


def test_one_answer_alone_teaches_nothing() -> None:
    for kind in ("linear", "mlp"):
        scorer = learn(kind, (0.1,), np.ones((4, 3)), np.ones(4, bool), 0)[0]  # type: ignore[arg-type]
        assert scorer(np.ones((2, 3))).tolist() == [0, 0]


def test_what_is_not_used_is_scored_but_neither_learned_from_nor_counted() -> None:
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(40, 3))
    answers = inputs[:, 0] > 0
    used = np.arange(40) >= 10
    lied = np.where(used, answers, ~answers)

    true, false = (
        cross_validate("linear", (0.1,), inputs, given, used, np.arange(40) % 4, 0)
        for given in (answers, lied)
    )

    np.testing.assert_array_equal(true.logits, false.logits)
    assert not true.losses[~used].any()
