import json
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ganime.backbones import BackboneConfig
from ganime.errors import ConfigError, WeightsError
from ganime.metrics.frechet import frechet_distance, statistics
from ganime.rows import EvaluationRow
from ganime.stages import evaluate
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
from ganime.training.keys import config_key

CONFIG = EvaluateConfig(num_fake=60)


class ColourExtractor:
    """Mean colours: three features that can be worked out by hand."""

    name = "colours"
    metric = "fd_colours"
    weights_digest = "0" * 12
    dim = 3
    resize = "none"

    def __init__(self) -> None:
        self.num_images = 0

    def features(self, images: np.ndarray) -> np.ndarray:
        self.num_images += len(images)
        return images.mean(axis=(1, 2)).astype(np.float32)


def pictures(count: int, shift: int = 0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 100, (count, 1, 1, 3)) + shift
    return np.broadcast_to(colours, (count, 8, 8, 3)).astype(np.uint8)


REALS = pictures(200)


def sample(nimg: int, num: int, seed: int) -> np.ndarray:
    """The more images were shown the closer the samples."""
    return pictures(num, shift=max(0, 50 - nimg), seed=seed + 1)


def run(workspace: Workspace, snapshots: list[int], **changes: object) -> list[EvaluationRow]:
    arguments = {
        "model_id": "m",
        "reals": REALS,
        "reference": "set/1",
        "extractor": ColourExtractor(),
        "sample": sample,
        "run_id": "r",
        **changes,
    }
    config = arguments.pop("config", CONFIG)
    return evaluate.run(workspace, config, snapshots=snapshots, **arguments)  # type: ignore[arg-type]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def test_each_snapshot_gets_its_distance(workspace: Workspace) -> None:
    rows = run(workspace, [50, 0, 20])

    features = ColourExtractor().features
    expected = [
        frechet_distance(*statistics(features(REALS)), *statistics(features(sample(n, 60, 0))))
        for n in (0, 20, 50)
    ]
    assert [row.nimg for row in rows] == [0, 20, 50]
    assert [row.value for row in rows] == pytest.approx(expected)
    assert rows[0].value > rows[1].value > rows[2].value


def test_a_row_says_all_that_decides_whether_two_may_be_compared(workspace: Workspace) -> None:
    (row,) = run(workspace, [7])

    assert (row.metric, row.extractor, row.resize) == ("fd_colours", "colours", "none")
    assert (row.num_real, row.num_fake, row.reference, row.seed) == (200, 60, "set/1", 0)


def test_a_second_run_samples_and_measures_nothing(workspace: Workspace) -> None:
    first = run(workspace, [0, 50])
    extractor = ColourExtractor()

    def refuse(nimg: int, num: int, seed: int) -> np.ndarray:
        raise AssertionError("sampled again")

    assert run(workspace, [0, 50], extractor=extractor, sample=refuse) == first
    assert extractor.num_images == 0


def test_an_interrupted_run_measures_only_what_lacks(workspace: Workspace) -> None:
    seen: list[int] = []

    def dies(nimg: int, num: int, seed: int) -> np.ndarray:
        if nimg == 20:
            raise KeyboardInterrupt
        return sample(nimg, num, seed)

    def counts(nimg: int, num: int, seed: int) -> np.ndarray:
        seen.append(nimg)
        return sample(nimg, num, seed)

    with pytest.raises(KeyboardInterrupt):
        run(workspace, [0, 20, 50], sample=dies)
    extractor = ColourExtractor()
    rows = run(workspace, [0, 20, 50], sample=counts, extractor=extractor)

    assert seen == [20, 50]
    assert extractor.num_images == 120  # the reals' features were kept
    assert [row.nimg for row in rows] == [0, 20, 50]


def test_other_settings_are_other_rows_and_none_hides_another(workspace: Workspace) -> None:
    run(workspace, [0])
    run(workspace, [0], config=EvaluateConfig(num_fake=80))
    run(workspace, [0], config=EvaluateConfig(num_fake=60, seed=5))

    rows = Table(workspace, EvaluationRow, root="models/m").rows()
    scores = [row for row in rows if row.metric == "fd_colours"]
    assert sorted((row.num_fake, row.seed) for row in scores) == [(60, 0), (60, 5), (80, 0)]


def test_the_floor_is_the_distance_of_reals_to_reals(workspace: Workspace) -> None:
    rows = run(workspace, [0, 50])

    table = Table(workspace, EvaluationRow, root="models/m").rows()
    (floor,) = [row for row in table if row.metric == "fd_colours_floor"]
    assert floor.nimg == 0
    assert (floor.num_real, floor.num_fake) == (140, 60)
    assert 0 < floor.value < rows[0].value


def test_without_a_floor_there_is_none(workspace: Workspace) -> None:
    run(workspace, [0], config=EvaluateConfig(num_fake=60, floor=False))

    assert len(Table(workspace, EvaluationRow, root="models/m").rows()) == 1


def test_damaged_features_of_reals_are_measured_again(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    before = run(workspace, [0])
    (key,) = workspace.list("statistics", ".npy")
    workspace.write_bytes(key, workspace.read_bytes(key)[:100])

    again = run(workspace, [0], model_id="other")

    assert [row.value for row in again] == [row.value for row in before]
    assert "is damaged" in caplog.text


def test_small_sets_are_warned_of(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    extractor = ColourExtractor()
    extractor.dim = 100
    with caplog.at_level(logging.WARNING):
        run(workspace, [0], extractor=extractor)

    assert "60 generated images for 100 features" in caplog.text
    assert "200 real images" not in caplog.text


@pytest.mark.parametrize("through", ["", "another", "fixed"])
def test_a_model_is_not_flattered_silently_by_the_features_it_was_trained_through(
    through: str, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    inputs = ColourExtractor().weights_digest if through == "fixed" else through
    workspace.write_text(config_key("m"), json.dumps({"inputs": inputs}))
    run(workspace, [100])
    assert ("was trained through the features of" in caplog.text) == (through == "fixed")


def test_too_few_reals_are_refused(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="set/1 has 3 images"):
        run(workspace, [0], reals=REALS[:3])


def test_every_metric_asked_for_gets_its_rows_with_interval_and_settings(
    workspace: Workspace,
) -> None:
    config = EvaluateConfig.parse(
        {"num_fake": 60, "metrics": ["fd", {"name": "kid", "subsets": 5}, "precision_recall"]}
    )
    rows = run(workspace, [0, 50], config=config)

    names = ["fd_colours", "kid_colours", "precision_colours", "recall_colours"]
    assert [(row.nimg, row.metric) for row in rows] == [
        (n, name) for n in (0, 50) for name in names
    ]
    kid = rows[1]
    assert None not in (kid.low, kid.high)
    assert (kid.low or 0) < kid.value < (kid.high or 0)
    assert json.loads(kid.settings) == {"name": "kid", "subsets": 5, "subset_size": 1000}
    assert {"torch", "numpy", "ganime"} <= json.loads(kid.versions).keys()
    assert json.loads(kid.details)["subset_size"] == 30
    assert [row.better for row in rows[:4]] == ["lower", "lower", "higher", "higher"]


def test_a_metric_more_samples_again_but_keeps_what_is_there(workspace: Workspace) -> None:
    (before,) = run(workspace, [7])
    config = EvaluateConfig.parse({"num_fake": 60, "metrics": ["fd", "diversity"]})

    first, second = run(workspace, [7], config=config)

    assert (first, second.metric) == (before, "diversity_colours")


def test_reals_that_are_too_few_to_be_split_have_no_floor(workspace: Workspace) -> None:
    config = EvaluateConfig.parse({"num_fake": 60, "metrics": [{"name": "kid", "subsets": 2}]})
    run(workspace, [7], config=config, reals=REALS[:6])

    rows = Table(workspace, EvaluationRow, root="models/m").rows()
    assert [row.metric for row in rows] == ["kid_colours"]


def test_rows_of_the_first_version_are_read(workspace: Workspace) -> None:
    run(workspace, [7])
    table = Table(workspace, EvaluationRow, root="models/m")
    names = ["low", "high", "better", "settings", "versions", "details"]
    for key in workspace.list("models/m", ".parquet"):
        path = workspace.local_path(key)
        pq.write_table(pq.read_table(path).drop_columns(names), path)

    old = [row for row in table.rows() if row.nimg == 7]
    assert [(row.low, row.better, row.settings) for row in old] == [
        (None, "lower", '{"name":"fd"}')
    ]


def test_copies_are_held_against_images_that_were_not_trained_on(workspace: Workspace) -> None:
    config = EvaluateConfig.parse({"num_fake": 60, "metrics": ["memorisation"]})

    (row,) = run(workspace, [7], config=config, held_out=pictures(30, seed=9))

    assert json.loads(row.details)["calibration"] == "held-out"


def test_a_judge_scores_so_that_less_is_better(workspace: Workspace) -> None:
    config = EvaluateConfig.parse({"num_fake": 60, "metrics": ["density_coverage"]})
    judge = evaluate.Judge(
        workspace,
        config,
        reals=REALS,
        held_out=None,
        reference="set/1",
        extractor=ColourExtractor(),
    )
    scores = [judge.score(partial(sample, nimg)) for nimg in (0, 50)]
    assert scores[1] < scores[0] <= 0


def test_a_metric_named_twice_and_an_unknown_extractor_are_wrong_settings() -> None:
    with pytest.raises(ConfigError, match="named twice"):
        EvaluateConfig.parse({"metrics": ["kid", "kid"]})
    with pytest.raises(ConfigError, match="extractor: no extractor is called 'vgg'; known: "):
        EvaluateConfig.parse({"extractor": "vgg"})


def test_an_extractor_with_options_survives_the_way_through_json() -> None:
    settings = {"name": "torchvision", "architecture": "resnet50"}
    config = EvaluateConfig.parse({"extractor": settings, "metrics": ["kid"]})

    assert EvaluateConfig.parse(json.loads(config.canonical())) == config
    assert EvaluateConfig.parse(json.loads(CONFIG.canonical())) == CONFIG


def test_inception_is_taken_where_its_weights_are_given(workspace: Workspace) -> None:
    backbone = BackboneConfig(weights="none", size=32)
    named = EvaluateConfig(inception_weights="nowhere.pth")

    assert evaluate.choose_extractor(workspace, CONFIG, backbone).metric == "fd_resnet18_random"
    with pytest.raises(WeightsError, match=r"nowhere\.pth"):
        evaluate.choose_extractor(workspace, named, backbone)


def test_inception_without_weights_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="inception_weights is empty"):
        EvaluateConfig.parse({"extractor": "inception"})
