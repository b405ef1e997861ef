import numpy as np
import pytest

from ganime.classifiers.folds import assign_folds
from ganime.classifiers.head import Examples, Fitted, HeadConfig, fit_head
from ganime.classifiers.thresholds import choose_threshold

LINE = HeadConfig(kind="linear")  # where the kind is not what is tested


def examples(
    count: int = 600, dim: int = 24, share: float = 0.15, missing: float = 0.0, seed: int = 0
) -> tuple[Examples, np.ndarray]:
    """Two overlapping clouds; some of the true yes are called no."""
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < share
    features = rng.normal(size=(count, dim)) + truth[:, None] * rng.normal(size=dim) * 0.9
    answers = truth & (rng.random(count) >= missing)
    keys = [f"{i:04d}" for i in range(count)]
    made = Examples(keys, features.astype(np.float32), answers, np.zeros(count, bool), keys)
    return made, truth


def f1(said: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (said & truth).sum() / (said.sum() + truth.sum()))


def cut(fitted: Fitted, data: Examples) -> float:
    used = ~fitted.set_aside
    return choose_threshold(fitted.held_out[used], data.answers[used]).threshold


def test_held_out_scores_tell_yes_from_no() -> None:
    data, truth = examples()

    fitted = fit_head(data, LINE, seed=0)

    assert f1(fitted.held_out > cut(fitted, data), truth) > 0.9
    assert ((fitted.held_out >= 0) & (fitted.held_out <= 1)).all()


def test_the_head_answers_about_images_it_never_saw() -> None:
    data, truth = examples(900)
    half = Examples(
        data.keys[:600], data.features[:600], data.answers[:600], data.sure[:600], data.keys[:600]
    )

    fitted = fit_head(half, HeadConfig(), seed=0)

    assert f1(fitted.head.scores(data.features[600:]) > cut(fitted, half), truth[600:]) > 0.9


def test_forgotten_tags_are_found_and_set_aside() -> None:
    data, truth = examples(1500, missing=0.3)
    forgotten = truth & ~data.answers

    cleaned = fit_head(data, LINE, seed=0)
    trusting = fit_head(data, HeadConfig(kind="linear", clean_rounds=0), seed=0)

    assert (cleaned.set_aside & forgotten).sum() > 0.7 * forgotten.sum()
    assert (cleaned.set_aside & ~truth).sum() < 0.1 * cleaned.set_aside.sum() + 3
    assert f1(cleaned.held_out > cut(cleaned, data), truth) >= f1(
        trusting.held_out > cut(trusting, data), truth
    )


def test_peoples_answers_are_never_set_aside() -> None:
    data, truth = examples(800, missing=0.3)
    sure = truth & ~data.answers
    insisted = Examples(data.keys, data.features, data.answers, sure, data.groups)

    assert not fit_head(insisted, LINE, seed=0).set_aside[sure].any()


def test_features_that_say_nothing_set_next_to_nothing_aside() -> None:
    data, _ = examples()
    noise = np.random.default_rng(5).normal(size=data.features.shape).astype(np.float32)

    fitted = fit_head(
        Examples(data.keys, noise, data.answers, data.sure, data.groups), LINE, seed=0
    )

    assert fitted.set_aside.mean() < 0.01


def test_scores_are_calibrated() -> None:
    data, truth = examples(3000, share=0.3)

    scores = fit_head(data, LINE, seed=0).held_out

    for low in (0.0, 0.8):
        inside = (scores >= low) & (scores <= low + 0.2)
        assert truth[inside].mean() == pytest.approx(scores[inside].mean(), abs=0.06)


def test_the_order_of_the_examples_does_not_matter() -> None:
    data, _ = examples(200)
    order = np.random.default_rng(1).permutation(200)
    keys = [data.keys[i] for i in order]
    mixed = Examples(keys, data.features[order], data.answers[order], data.sure, keys)

    plain, shuffled = (fit_head(item, LINE, seed=0) for item in (data, mixed))

    np.testing.assert_allclose(plain.held_out[order], shuffled.held_out, atol=1e-6)


def test_more_dimensions_than_examples_are_no_special_case() -> None:
    data, truth = examples(40, dim=300, share=0.4)

    fitted = fit_head(data, LINE, seed=0)

    assert np.isfinite(fitted.held_out).all()
    assert f1(fitted.head.scores(data.features) > cut(fitted, data), truth) > 0.9


def test_constant_features_are_no_special_case() -> None:
    data, _ = examples(60)
    flat = Examples(data.keys, np.ones_like(data.features), data.answers, data.sure, data.groups)

    fitted = fit_head(flat, HeadConfig(), seed=0)

    assert np.ptp(fitted.held_out) < 0.2
    assert np.isfinite(fitted.head.scores(flat.features)).all()


def test_twins_in_one_group_are_not_judged_by_each_other() -> None:
    # Pure noise, each image twice: only a head that saw the twin can know the answer.
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(60, 200)), 2, axis=0).astype(np.float32)
    answers = np.repeat(rng.random(60) < 0.5, 2)
    keys = [f"{i:03d}" for i in range(120)]
    sure = np.ones(120, bool)
    pairs = [str(i // 2) for i in range(120)]

    leaky = fit_head(Examples(keys, features, answers, sure, keys), LINE, seed=0)
    honest = fit_head(Examples(keys, features, answers, sure, pairs), LINE, seed=0)

    assert ((leaky.held_out > 0.5) == answers).mean() > 0.85
    assert ((honest.held_out > 0.5) == answers).mean() < 0.7


def test_a_fold_is_scored_by_what_was_fitted_without_it() -> None:
    data, _ = examples(200, share=0.4, missing=0.2)
    config = HeadConfig(kind="linear", folds=2)
    folds = assign_folds(data.keys, data.answers, data.groups, folds=2, seed=0)
    kept = np.flatnonzero(folds == 1)
    keys = [data.keys[i] for i in kept]
    others = Examples(keys, data.features[kept], data.answers[kept], data.sure[kept], keys)

    # Standardised, chosen, cleaned and calibrated as if the fold did not exist.
    alone = fit_head(others, config, seed=0).head.scores(data.features[folds == 0])

    found = fit_head(data, config, seed=0).held_out[folds == 0]
    np.testing.assert_allclose(found, alone, atol=1e-9)


def test_held_out_figures_of_noise_are_those_of_chance() -> None:
    # Calibrating on what is reported would make noise look a little better than chance.
    rng = np.random.default_rng(3)
    gains = []
    for seed in range(12):
        features = rng.normal(size=(60, 10)).astype(np.float32)
        answers = rng.permutation(60) < 30
        keys = [f"{i:02d}" for i in range(60)]
        data = Examples(keys, features, answers, np.ones(60, bool), keys)
        scores = fit_head(data, HeadConfig(kind="linear"), seed=seed).held_out
        gains.append(np.mean(np.where(answers, scores, 1 - scores)) - 0.5)

    assert np.mean(gains) < 0.01


def test_a_network_is_taken_where_no_plane_parts_yes_from_no() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 4)).astype(np.float32)
    answers = features[:, 0] * features[:, 1] > 0  # exclusive or
    keys = [f"{i:03d}" for i in range(400)]
    data = Examples(keys, features, answers, np.ones(400, bool), keys)

    line = fit_head(data, HeadConfig(kind="linear"), seed=0)
    found = fit_head(data, HeadConfig(), seed=0)

    assert found.kind == "mlp"
    assert ((found.held_out > 0.5) == answers).mean() > 0.85
    assert ((line.held_out > 0.5) == answers).mean() < 0.65


def test_a_line_is_kept_where_it_will_do() -> None:
    assert fit_head(examples(300)[0], HeadConfig(), seed=0).kind == "linear"


def test_a_network_repeats_and_does_not_follow_the_order_of_the_examples() -> None:
    data, _ = examples(120, dim=6)
    order = np.random.default_rng(1).permutation(120)
    keys = [data.keys[i] for i in order]
    mixed = Examples(keys, data.features[order], data.answers[order], data.sure, keys)
    config = HeadConfig(kind="mlp")

    plain, again, shuffled = (fit_head(item, config, seed=0) for item in (data, data, mixed))

    np.testing.assert_array_equal(plain.held_out, again.held_out)
    np.testing.assert_allclose(plain.held_out[order], shuffled.held_out, atol=1e-6)


def test_two_of_either_answer_are_enough_to_run() -> None:
    rng = np.random.default_rng(0)
    answers = np.array([True, True, False, False])
    data = Examples(
        list("abcd"), rng.normal(size=(4, 3)).astype(np.float32), answers, ~answers, list("abcd")
    )

    assert np.isfinite(fit_head(data, HeadConfig(), seed=0).held_out).all()


def test_scores_change_only_with_a_new_revision() -> None:
    """Where this fails on purpose, raise HEAD_REVISION in `ganime.stages.classify_answers`."""
    data, _ = examples(120, dim=6, missing=0.3)

    fitted = fit_head(data, HeadConfig(), seed=0)

    assert np.round(fitted.held_out[:6], 5).tolist() == [
        0.01975,
        0.22718,
        0.35979,
        0.73783,
        0.02875,
        0.10243,
    ]
