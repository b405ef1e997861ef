from typing import Any

from ganime.model_packages.facts import facts_of, health_at, images_of, read_facts
from ganime.rows import EvaluationRow
from ganime.stages.curate import CurateConfig
from ganime.store.manifest import Provenance, Table


def test_a_list_tells_what_each_model_is_and_how_good(trained: Any) -> None:
    found = {one.model_id: one for one in read_facts(trained.workspace)}
    assert set(found) == {trained.styled, trained.plain}
    row = found[trained.styled].row()
    assert (row["recipe"], row["resolution"], row["nimg"]) == ("stylegan2", 32, 16)
    assert (row["metric"], row["value"], row["dataset"]) == ("fd_small", 7.0, "girls/0123456789ab")
    assert row["at"] is not None
    assert found[trained.plain].row()["metric"] is None


def test_the_best_value_is_of_the_plain_distance_with_the_most_samples(trained: Any) -> None:
    rows = [
        _row(trained.styled, nimg=8, value=3.0, num_fake=64),
        _row(trained.styled, nimg=16, value=5.0, num_fake=5000),
        _row(trained.styled, nimg=8, value=6.0, num_fake=5000),
        _row(trained.styled, nimg=8, value=0.1, num_fake=9000, settings='{"name":"kid"}'),
    ]
    made = Provenance(stage="evaluate", revision=1, config=CurateConfig(), run_id="r")
    Table(trained.workspace, EvaluationRow, root=f"models/{trained.styled}").write("2", rows, made)
    best = facts_of(trained.workspace, trained.styled).best
    assert best is not None
    assert (best.nimg, best.value) == (16, 5.0)


def test_the_training_set_is_told_by_site_rating_rule_and_digest(trained: Any) -> None:
    images = images_of(trained.workspace, facts_of(trained.workspace, trained.styled))
    assert (images.num_images, images.sites) == (10, {"folder": 10})
    assert sum(images.ratings.values()) == 10
    assert [rule["name"] for rule in images.rules] == ["min_side"]
    assert images.members_sha256 is not None


def test_what_is_not_in_the_workspace_is_not_told(without_dataset: Any) -> None:
    store = without_dataset.workspace
    facts = facts_of(store, without_dataset.plain)
    assert not facts.dataset_is_here
    assert images_of(store, facts).members_sha256 is None
    assert images_of(store, facts).num_images == 10


def test_what_training_measured_at_a_snapshot_is_found(trained: Any) -> None:
    assert {"spread", "copied"} <= set(health_at(trained.workspace, trained.plain, 16))
    assert health_at(trained.workspace, trained.plain, 99) == {}


def _row(model_id: str, **changes: Any) -> EvaluationRow:
    plain: dict[str, Any] = {
        **{"metric": "fd_small", "extractor": "small", "weights": "0" * 12, "resize": "none"},
        **{"num_real": 10, "reference": "girls/0123456789ab", "seed": 0},
    }
    return EvaluationRow(model_id=model_id, **{**plain, **changes})
