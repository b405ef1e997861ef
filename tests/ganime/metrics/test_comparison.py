import numpy as np
import pytest

from ganime.errors import ConfigError
from ganime.metrics import METRICS, Sets
from ganime.metrics.comparison import coverage_gap, metric_gaps, verdict


class Plain:
    """An extractor that is never asked for features."""

    name, metric, weights_digest, resize, dim = "plain", "fd_plain", "0" * 12, "none", 4

    def features(self, images: np.ndarray) -> np.ndarray:
        raise AssertionError("features are given")


def normal(count: int, scale: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((count, 4)) * scale).astype(np.float32)


def sets_of(scales: tuple[float, float], seeds: tuple[int, int] = (1, 2)) -> list[Sets]:
    real = normal(200, 1.0, 0)
    return [Sets(real, normal(200, *given)) for given in zip(scales, seeds, strict=True)]


def gaps(name: str, sets: list[Sets], *, paired: bool = False) -> list[tuple[str, str]]:
    metric = METRICS.build(name)
    found = metric_gaps(metric, sets, Plain(), "set/1", 20, paired=paired)
    return [(gap.name, gap.verdict.split(" (")[0].split(" by ")[0]) for gap in found]


@pytest.mark.parametrize("name", ["fd", "kid", "fd_infinity"])
def test_the_set_that_is_nearer_to_the_reals_is_better(name: str) -> None:
    assert gaps(name, sets_of((2.0, 1.0))) == [(f"{name}_plain", "B better")]
    assert gaps(name, sets_of((1.0, 2.0))) == [(f"{name}_plain", "A better")]


def test_two_draws_from_the_same_show_no_difference() -> None:
    found = gaps("fd", sets_of((1.2, 1.2))) + gaps("precision_recall", sets_of((1.2, 1.2)))
    assert {said for _, said in found} == {"no difference shown"}


def test_of_metrics_where_more_is_better_the_higher_wins() -> None:
    assert gaps("precision_recall", sets_of((6.0, 1.0)))[0] == ("precision_plain", "B better")


def test_the_same_set_twice_has_no_difference_and_no_doubt_when_paired() -> None:
    one, _ = sets_of((1.5, 1.5))
    (gap,) = metric_gaps(METRICS.build("fd"), [one, one], Plain(), "set/1", 10, paired=True)
    assert (gap.second - gap.first, gap.half) == (0.0, 0.0)
    assert gap.verdict.startswith("no difference shown")


def test_the_interval_is_as_wide_as_differences_vary() -> None:
    differences, halves = [], []
    for seed in range(0, 60, 2):
        (gap,) = metric_gaps(
            *(METRICS.build("fd"), sets_of((1.3, 1.5), (seed + 1, seed + 2)), Plain()),
            *("set/1", 10),
            paired=False,
        )
        differences.append(gap.second - gap.first)
        halves.append(gap.half)
    truth = 1.96 * np.std(differences, ddof=1)
    assert 0.8 * truth < np.mean(halves) < 2 * truth  # rather too wide than too narrow


def test_verdicts_are_words() -> None:
    assert verdict(30.0, 17.6, "lower", 2.1) == "B better by 12.4 ± 2.1 (95 %)"
    assert verdict(0.5, 0.4, "higher", 0.05) == "A better by 0.1 ± 0.05 (95 %)"
    assert verdict(1.0, 1.5, "lower", 2.0) == "no difference shown (B - A is 0.5 ± 2, 95 %)"
    assert verdict(1.0, float("nan"), "lower", 2.0).startswith("no difference shown")


def test_coverage_of_a_tag_is_compared_real_by_real() -> None:
    first = np.arange(100) < 20
    gap = coverage_gap("smile", first, np.arange(100) < 60)
    assert (gap.name, gap.first, gap.second) == ("smile", 0.2, 0.6)
    deviation = np.std([1.0] * 40 + [0.0] * 60, ddof=1)
    assert gap.half == pytest.approx(1.96 * deviation / 10)
    assert gap.verdict == "B better by 0.4 ± 0.097 (95 %)"


def test_too_few_images_are_refused() -> None:
    sets = [Sets(normal(3, 1, 0), normal(3, 1, seed)) for seed in (1, 2)]
    with pytest.raises(ConfigError, match="a comparison by fd needs at least 4"):
        metric_gaps(METRICS.build("fd"), sets, Plain(), "set/1", 10, paired=False)
