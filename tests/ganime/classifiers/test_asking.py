import numpy as np
import pytest

from ganime.classifiers.asking import Known, next_to_label, uncertainty, ways
from ganime.classifiers.head import Examples, HeadConfig, fit_head


def test_uncertainty_peaks_at_the_threshold() -> None:
    found = uncertainty(np.array([0.0, 0.1, 0.2, 0.6, 1.0]), threshold=0.2)
    assert found == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert uncertainty(np.array([0.0, 1.0]), threshold=1.0) == pytest.approx([0, 1])


def clusters(
    rng: np.random.Generator, sizes: list[int], dim: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """Features around one direction per cluster, and the cluster of each."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    features = np.eye(dim)[cluster] + rng.normal(0, 0.03, (len(cluster), dim))
    # Turned: a network's features have no axis that is nothing but noise.
    turn = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    return (features @ turn).astype(np.float32), cluster


def test_every_cluster_is_asked_about_before_any_is_asked_twice() -> None:
    rng = np.random.default_rng(2)
    features, cluster = clusters(rng, [500, 200, 50, 20, 10, 5, 3, 2])
    scores = rng.uniform(0.45, 0.55, len(cluster))

    chosen = next_to_label(scores, features, 8, seed=0)

    assert sorted(cluster[chosen]) == list(range(8))
    # The most uncertain alone would ask about the largest clusters again and again.
    unsure = np.argsort(-uncertainty(scores))[:8]
    assert len(set(cluster[unsure])) < 6


def test_of_unsure_and_certain_images_one_in_four_is_a_look_elsewhere() -> None:
    rng = np.random.default_rng(3)
    features, cluster = clusters(rng, [100] * 10)
    scores = np.where(cluster < 5, 0.5, 0.999)

    chosen = next_to_label(scores, features, 12, seed=0)

    assert ways(scores)[3] == "unlike the known ones"
    assert (np.delete(cluster[chosen], [3, 7, 11]) < 5).all()
    assert set(cluster[chosen[:4]]) > set(cluster[chosen[:3]])
    assert len(set(cluster[chosen])) > 5


def test_copies_are_asked_about_last() -> None:
    features = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 2, 3]]
    chosen = next_to_label(np.full(6, 0.5), features, 6, seed=0).tolist()
    assert {min(i - 2, 1) if i > 2 else 0 for i in chosen[:4]} == {0, 1}
    assert {3, 4, 5} < set(chosen[:4])
    assert sorted(chosen) == list(range(6))


def test_a_choice_depends_on_the_seed_alone() -> None:
    rng = np.random.default_rng(4)
    features, cluster = clusters(rng, [50] * 6)
    scores = rng.random(len(cluster))
    first = next_to_label(scores, features, 20, seed=1)
    assert next_to_label(scores, features, 20, seed=1).tolist() == first.tolist()
    assert next_to_label(scores, features, 5, seed=1).tolist() == first[:5].tolist()
    assert next_to_label(scores, features, 20, seed=2).tolist() != first.tolist()


@pytest.mark.parametrize(("num", "count"), [(-1, 0), (0, 0), (2, 2), (9, 3)])
def test_no_more_is_chosen_than_there_is(num: int, count: int) -> None:
    features = np.zeros((3, 4), np.float32)
    chosen = next_to_label(np.array([0.0, 1.0, 1.0]), features, num, seed=0)
    assert len(set(chosen.tolist())) == count
    assert not len(next_to_label(np.empty(0), np.empty((0, 0), np.float32), num, seed=0))


def rare_kind(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features of ten usual clusters and two small ones that are the kind, 6 in 100 images."""
    features, cluster = clusters(rng, [80] * 10 + [25, 25])
    features += rng.normal(0, 0.12, features.shape).astype(np.float32)
    return features, cluster >= 10


def asked(features: np.ndarray, answers: np.ndarray, seed: int) -> list[int]:
    """The first 80 images asked for, a head being fitted after each round."""
    config = HeadConfig(kind="linear", folds=3, l2=(0.1,))
    labelled: list[int] = []
    scores = np.full(len(features), 0.5)
    for _ in range(8):
        rest = np.setdiff1d(np.arange(len(features)), labelled)
        known = Known(features[labelled], answers[labelled])
        labelled += rest[next_to_label(scores[rest], features[rest], 10, seed, 0.5, known)].tolist()
        said = answers[labelled]
        if min(said.sum(), (~said).sum()) > 1:
            keys = [str(i) for i in labelled]
            sure = np.ones(len(keys), bool)
            examples = Examples(keys, features[labelled], said, sure, keys)
            scores = fit_head(examples, config, seed=0).head.scores(features)
    return labelled


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rare_kind_is_found(seed: int) -> None:
    features, answers = rare_kind(np.random.default_rng(seed))

    labelled = asked(features, answers, seed)

    assert len(set(labelled)) == 80
    assert answers[labelled].sum() >= 20  # by chance 5 of 80 are


@pytest.mark.parametrize("answer", [True, False])
def test_the_likeliest_of_the_rarer_answer_are_asked_for_and_not_all_of_one_cluster(
    answer: bool,
) -> None:
    rng = np.random.default_rng(6)
    features, cluster = clusters(rng, [50] * 12)
    scores = np.where(cluster < 4, 0.98, 0.01) + rng.uniform(0, 0.01, len(cluster))
    likely = np.flatnonzero(cluster < 4)
    common = np.flatnonzero(cluster >= 4)[:20]
    known = Known(features[common], np.full(20, not answer))

    chosen = next_to_label(scores if answer else 1 - scores, features, 16, 0, 0.5, known)

    assert ways(scores, known).count("likely yes" if answer else "likely no") == 2
    assert 8 <= np.isin(chosen, likely).sum() < 16
    assert set(cluster[chosen]) >= {0, 1, 2, 3}


def test_a_known_image_makes_its_cluster_the_last_to_be_asked_about() -> None:
    features, cluster = clusters(np.random.default_rng(7), [40] * 5)
    known = Known(features[cluster == 2][:6], np.array([True, False] * 3))
    scores = np.full(len(cluster), 0.5) + 0.01 * (cluster == 2)

    chosen = next_to_label(scores, features, 4, 0, 0.5, known)

    assert sorted(cluster[chosen]) == [0, 1, 3, 4]


def test_without_scores_typical_images_and_far_ones_take_turns() -> None:
    rng = np.random.default_rng(9)
    features, cluster = clusters(rng, [300, 300, 3])
    features[:600] += rng.normal(0, 0.1, (600, 32)).astype(np.float32)
    scores = np.full(len(cluster), 0.5)

    chosen = next_to_label(scores, features, 6, seed=0)

    assert ways(scores) == ("typical", "unlike the known ones")
    assert set(cluster[chosen]) == {0, 1, 2}
    centres = np.stack([features[cluster == i].mean(axis=0) for i in range(3)])
    apart = np.linalg.norm(features - centres[cluster], axis=1)
    # The first is drawn, the typical ones merely being likelier.
    assert apart[chosen[2::2]].mean() < np.median(apart) < apart[chosen[1::2]].max()


def test_one_image_is_chosen_and_copies_of_one_are_all_chosen() -> None:
    one = np.ones((1, 8), np.float32)
    assert next_to_label(np.array([0.3]), one, 5, seed=0).tolist() == [0]
    copies, scores = np.repeat(one, 700, axis=0), np.linspace(0, 1, 700)
    known = Known(one, np.array([True]))
    assert sorted(next_to_label(scores, copies, 700, 0, 0.5, known)) == list(range(700))


def test_answers_of_both_kinds_leave_the_turns_to_unsure_images() -> None:
    scores = np.array([0.1, 0.9])
    known = Known(np.zeros((4, 2), np.float32), np.array([True, True, False, False]))
    assert ways(scores, known).count("unsure") == 3
    assert ways(scores, known) == ways(scores, None)
    assert ways(np.empty(0), known) == ways(np.array([0.5, 0.5]), known)
