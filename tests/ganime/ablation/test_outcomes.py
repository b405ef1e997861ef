import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from ganime.ablation import AblateConfig
from ganime.ablation.forecast import forecast
from ganime.ablation.outcomes import (
    Ablation,
    Outcome,
    check_metrics,
    check_unseen,
    half_interval,
    weigh,
    write_result,
)
from ganime.ablation.scores import reference_name, score
from ganime.ablation.variants import decide_arms, read_variant
from ganime.errors import ConfigError
from ganime.metrics import METRICS
from ganime.report.ablation import ablation_page_key, build_ablation_page, sentence, tables
from ganime.rows import EvaluationRow
from ganime.stages import train
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig
from ganime.stages.train import TrainConfig
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace
from ganime.training.batches import Examples

TRAIN = TrainConfig.parse(
    {
        "recipe": {"name": "dcgan", "latent": 8, "width_generator": 4, "width_discriminator": 4},
        **{"resolution": 32, "nimg": 8, "batch": 4, "device": "cpu", "num_threads": 1},
    }
)


class ColourExtractor:
    """Mean colours: three features that can be worked out by hand."""

    name, metric, weights_digest, resize, dim = "colours", "fd_colours", "0" * 12, "none", 3

    def features(self, images: np.ndarray) -> np.ndarray:
        return images.mean(axis=(1, 2)).astype(np.float32)


def row(value: float, metric: str = "fd_colours", better: str = "lower") -> EvaluationRow:
    return EvaluationRow(
        **{"model_id": "m", "nimg": 8, "metric": metric, "value": value, "better": better},
        **{"extractor": "colours", "weights": "0" * 12, "resize": "none", "num_real": 9},
        **{"num_fake": 9, "reference": "a/b holdout", "seed": 0},
    )


def weighed(base: list[float], other: list[float], better: str = "lower") -> list[Outcome]:
    scored = {
        "base": [[row(value, better=better)] for value in base],
        "other": [[row(value, better=better)] for value in other],
    }
    return weigh(scored)


def verdicts(base: list[float], other: list[float], better: str = "lower") -> str:
    return weighed(base, other, better)[1].verdict


def test_the_interval_is_students() -> None:
    gaps = [1.0, 2.0, 4.0]

    # Tables give t = 4.303 for 97.5 % and two degrees of freedom.
    assert half_interval(gaps) == pytest.approx(4.303 * statistics.stdev(gaps) / 3**0.5)
    assert half_interval([1.0]) is None


def test_a_variant_is_better_only_where_chance_does_less() -> None:
    assert verdicts([10, 11, 10.5], [5, 6.1, 5.4]).startswith("better by 5 ± ")
    assert verdicts([10, 11, 10.5], [5, 6.1, 5.4], "higher").startswith("worse by 5 ± ")
    assert verdicts([10, 14, 8], [9, 16, 5]).startswith("no difference shown (-0.667 ± ")
    assert verdicts([10], [1]) == "better by 9 in the only training: chance may do as much"


@pytest.mark.parametrize(
    ("base", "other", "better", "tone"),
    [
        ([10, 11, 10.5], [5, 6.1, 5.4], "lower", "better"),
        ([10, 11, 10.5], [5, 6.1, 5.4], "higher", "worse"),
        ([10, 14, 8], [9, 16, 5], "lower", ""),
        ([10], [1], "lower", ""),
    ],
)
def test_only_what_is_shown_is_coloured(
    base: list[float], other: list[float], better: str, tone: str
) -> None:
    held_against, variant = weighed(base, other, better)
    assert (held_against.tone, variant.tone) == ("", tone)


def test_copies_of_training_images_are_not_a_question_for_a_common_reference() -> None:
    check_metrics([METRICS.build("kid")])
    with pytest.raises(ConfigError, match="ganime evaluate MODEL --metrics memorisation"):
        check_metrics([METRICS.build("kid"), METRICS.build("memorisation")])


def test_a_reference_that_somebody_was_trained_on_is_refused(
    store: Workspace, base: DatasetRef
) -> None:
    dataset = Dataset(store, base.name, base.version)
    arms = decide_arms(store, base, [read_variant("curate.rules=[]")], labels=[], run_id="r")

    check_unseen(store, dataset, arms)
    for member in dataset.members:
        object.__setattr__(member, "split", "holdout")
    with pytest.raises(ConfigError, match=r"trains on \d+ of the 39 held-out images"):
        check_unseen(store, dataset, arms)
    for member in dataset.members:
        object.__setattr__(member, "split", "train")
    with pytest.raises(ConfigError, match="holds 0 images out of training"):
        check_unseen(store, dataset, arms)


def test_without_a_model_like_these_nobody_knows_how_long(store: Workspace) -> None:
    asked = AblateConfig(variants=(read_variant("a.b=1"),), repeats=2)

    told = forecast(store, asked, TRAIN)

    assert (told.trainings, told.seconds) == (4, None)
    assert "nothing tells how long" in told.line()


def test_from_rules_to_a_page_and_again_for_nothing(
    store: Workspace, base: DatasetRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = AblateConfig(variants=(read_variant("all <b>: curate.rules=[]"),), repeats=2)
    reference = Dataset(store, base.name, base.version)
    scoring = EvaluateConfig.parse({"metrics": ["fd"], "num_fake": 12, "floor": False})

    def whole() -> tuple[dict[str, list[str]], dict[str, list[list[EvaluationRow]]]]:
        arms = decide_arms(store, base, asked.variants, labels=[], run_id="r")
        models: dict[str, list[str]] = {arm.name: [] for arm in arms}
        scored: dict[str, list[list[EvaluationRow]]] = {arm.name: [] for arm in arms}
        for seed in range(asked.repeats):
            for arm in arms:
                images = Dataset(store, *arm.dataset.split("/")).split("train")
                config = TRAIN.model_copy(update={"seed": seed})
                identity = train.run(store, config, Examples(images), arm.dataset, "r")
                models[arm.name].append(identity)
                scored[arm.name].append(
                    score(
                        store,
                        scoring,
                        model_id=identity,
                        reference=reference,
                        extractor=ColourExtractor(),
                        run_id="r",
                    )
                )
        return models, scored

    models, scored = whole()
    outcomes = weigh(scored)
    assert [one.arm for one in outcomes] == ["base", "all <b>"]
    assert {rows[0].reference for rows in scored["base"]} == {reference_name(reference)}
    assert outcomes[1].gap == pytest.approx(outcomes[1].mean - outcomes[0].mean)
    assert len({model for each in models.values() for model in each}) == 4

    told = forecast(store, asked, TRAIN)
    assert told.seconds is None or told.seconds > 0

    def refuse(*_: object) -> None:
        raise AssertionError("something was measured twice")

    monkeypatch.setattr(ColourExtractor, "features", refuse)
    assert whole()[0] == models

    arms = decide_arms(store, base, asked.variants, labels=[], run_id="r")
    found = Ablation(
        ablation_id="0123",
        base=str(base),
        reference=reference_name(reference),
        extractor=("colours", "0" * 12, "none"),
        counts=(10, 12),
        train=TRAIN.model_dump(mode="json"),
        seeds=[0, 1],
        arms=arms,
        models=models,
        outcomes=outcomes,
    )
    written = json.loads(Path(store.local_path(write_result(store, found))).read_text())
    assert written["outcomes"][1]["verdict"] == outcomes[1].verdict
    assert build_ablation_page(store, found) == ablation_page_key("0123")
    page = store.read_bytes(ablation_page_key("0123")).decode()
    assert "all &lt;b&gt;" in page
    assert "all <b>" not in page
    assert page.count("data:image/webp") == 2  # samples of each arm
    assert outcomes[1].verdict in sentence(found)
    assert all(4 <= dot <= 96 for table in tables(found) for r in table.rows for dot in r.dots)
