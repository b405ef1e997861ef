import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ganime.classifiers.questions import QuestionConfig
from ganime.config import Config
from ganime.errors import ConfigError, StoreError, WeightsError
from ganime.rows import FeatureRow, LabelRow, PaddedRow, ScoreRow
from ganime.stages import classify
from ganime.stages.classify import ClassifyConfig
from ganime.store.lineage import CrawledImage
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import write_shard
from ganime.store.workspace import Workspace

PAD = "pad48"
CONFIG = ClassifyConfig.parse(
    {
        "backbone": {"weights": "none", "size": 32, "batch": 16},
        "questions": [
            {"question": "disc", "positive_tags": ["disc"], "negative_tags": ["solo"]},
            {"question": "never", "positive_tags": ["unicorn"], "negative_tags": ["solo"]},
        ],
        "head": {"components": 32, "l2": [0.1, 0.01]},
        "shard_size": 40,
    }
)


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, list[CrawledImage], np.ndarray]:
    """Discs and squares; a fifth of the discs lack the tag."""
    rng = np.random.default_rng(seed)
    images = np.full((count, 48, 48, 3), 255, np.uint8)
    y, x = np.mgrid[:48, :48]
    truth = rng.random(count) < 0.35
    crawled = []
    for image, is_disc in zip(images, truth, strict=True):
        cx, cy, r = rng.integers(18, 30), rng.integers(18, 30), rng.integers(10, 14)
        far = np.hypot(x - cx, y - cy) if is_disc else np.maximum(abs(x - cx), abs(y - cy)) / 0.8
        image[far < r] = (200, 30, 30) if is_disc else (30, 30, 200)
        image[:] += rng.integers(0, 9, image.shape, dtype=np.uint8) - 8
        tags = ["solo", "disc"] if is_disc and rng.random() < 0.8 else ["solo"]
        crawled.append(CrawledImage(hashlib.sha256(image.tobytes()).hexdigest(), tags, []))
    return images, crawled, truth


def put(workspace: Workspace, images: np.ndarray, crawled: list[CrawledImage]) -> None:
    name = hashlib.sha256(images.tobytes()).hexdigest()[:8]
    write_shard(workspace, f"padded/{PAD}/{name}.npy", images)
    rows = [
        PaddedRow(
            image_id=image.image_id,
            shard=f"padded/{PAD}/{name}.npy",
            offset=i,
            scale=1.0,
            fill=[255, 255, 255],
            problem=None,
            run_id="r",
        )
        for i, image in enumerate(crawled)
    ]
    provenance = Provenance(stage="pad", revision=1, config=Config(), run_id="r")
    Table(workspace, PaddedRow, PAD).write(name, rows, provenance)


def label(image_id: str, answer: bool, question: str = "disc") -> LabelRow:
    return LabelRow(
        label_id=1,
        image_id=image_id,
        question=question,
        answer=answer,
        by="ada",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        how="hand",
        note="",
        supersedes=None,
    )


def files(workspace: Workspace) -> dict[str, int]:
    root = workspace.local_path("")
    return {str(p): p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, list[CrawledImage], np.ndarray]:
    return draw(150)


@pytest.fixture
def workspace(
    tmp_path: Path, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> Workspace:
    made = Workspace(str(tmp_path))
    put(made, drawn[0], drawn[1])
    return made


def scores_of(workspace: Workspace, classifier_id: str) -> dict[str, float]:
    rows = Table(workspace, ScoreRow, "disc").rows()
    return {row.image_id: row.score for row in rows if row.revision == classifier_id}


def test_every_image_is_scored_and_the_scores_tell_yes_from_no(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    _, crawled, truth = drawn

    found = classify.run(workspace, CONFIG, crawled, [], PAD, "run")

    classifier_id, threshold = found["disc"]
    scores = scores_of(workspace, classifier_id)
    said = np.array([scores[image.image_id] > threshold for image in crawled])
    assert len(scores) == len(crawled)
    assert (said == truth).mean() > 0.95
    assert all(row.measurement == "disc" for row in Table(workspace, ScoreRow, "disc").rows())


def test_a_question_with_too_few_answers_has_no_classifier_and_says_so(
    workspace: Workspace,
    drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray],
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run")

    assert set(found) == {"disc"}
    assert "never has no classifier" in caplog.text
    assert "ganime label" in caplog.text
    assert not Table(workspace, ScoreRow, "never").parts()


def test_a_second_run_does_nothing(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    first = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run1")
    before = files(workspace)

    assert classify.run(workspace, CONFIG, drawn[1], [], PAD, "run2") == first
    assert files(workspace) == before


def test_two_workspaces_agree_to_the_last_digit(
    workspace: Workspace,
    drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    other = Workspace(str(tmp_path_factory.mktemp("other")))
    put(other, drawn[0][::-1], drawn[1][::-1])

    one = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run1")
    two = classify.run(other, CONFIG, drawn[1][::-1], [], PAD, "run2")

    assert one == two
    assert scores_of(workspace, one["disc"][0]) == scores_of(other, two["disc"][0])


def test_an_interrupted_run_goes_on_where_it_was(
    workspace: Workspace,
    drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    ids = sorted(image.image_id for image in drawn[1])
    tags = {image.image_id: frozenset(image.tags) for image in drawn[1]}
    backbone = classify.prepare_backbone(workspace, CONFIG, tags, PAD, "run")
    shards = classify.plan(workspace, CONFIG, backbone, ids, PAD)
    classify.measure(workspace, CONFIG, backbone, shards[1], PAD, "killed")

    rest = classify.plan(workspace, CONFIG, backbone, ids, PAD)
    found = classify.run(workspace, CONFIG, drawn[1], [], PAD, "resumed")

    assert [len(shard) for shard in shards] == [40, 40, 40, 30]
    assert sorted(sum(rest, shards[1])) == ids
    unbroken = Workspace(str(tmp_path_factory.mktemp("unbroken")))
    put(unbroken, drawn[0], drawn[1])
    assert classify.run(unbroken, CONFIG, drawn[1], [], PAD, "run") == found


def test_a_classifier_without_figures_is_not_there_yet(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    first = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run")
    figures = f"classifiers/{first['disc'][0]}/figures.json"
    before = json.loads(workspace.read_bytes(figures))
    workspace.remove(figures)  # as if killed just before

    assert classify.run(workspace, CONFIG, drawn[1], [], PAD, "again") == first
    assert json.loads(workspace.read_bytes(figures)) == before


def test_new_posts_are_measured_alone(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    first = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run1")
    images, more, _ = draw(20, seed=9)
    put(workspace, images, more)

    second = classify.run(workspace, CONFIG, [*drawn[1], *more], [], PAD, "run2")

    parts = [key for key in workspace.list("manifests/features") if key.endswith(".parquet")]
    assert len(parts) == 4 + 1
    assert second["disc"][0] != first["disc"][0]  # it learned from more
    assert len(scores_of(workspace, second["disc"][0])) == 170


def test_an_image_that_could_not_be_padded_has_no_score(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    broken = CrawledImage("f" * 64, ["solo"], [])

    found = classify.run(workspace, CONFIG, [*drawn[1], broken], [], PAD, "run")

    assert broken.image_id not in scores_of(workspace, found["disc"][0])


def test_images_it_learned_from_get_their_held_out_score(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    from ganime.classifiers.storage import held_out_scores, load_head

    known, rest = drawn[1][:120], drawn[1][120:]
    silent = [CrawledImage(image.image_id, [], []) for image in rest]

    classifier_id, _ = classify.run(workspace, CONFIG, [*known, *silent], [], PAD, "run")["disc"]

    scores = scores_of(workspace, classifier_id)
    held_out = held_out_scores(workspace, classifier_id)
    assert set(held_out) == {image.image_id for image in known}
    assert {image_id: scores[image_id] for image_id in held_out} == held_out
    scope = json.loads(workspace.read_bytes(f"classifiers/{classifier_id}/config.json"))["features"]
    ids, features = classify.load_features(workspace, scope, [i.image_id for i in silent])
    by_head = load_head(workspace, classifier_id).scores(features)
    np.testing.assert_allclose([scores[i] for i in ids], by_head)


def test_people_outrank_tags_and_make_a_new_classifier(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    _, crawled, truth = drawn
    first = classify.run(workspace, CONFIG, crawled, [], PAD, "run1")
    forgotten = [
        image.image_id
        for image, yes in zip(crawled, truth, strict=True)
        if yes and "disc" not in image.tags
    ]

    labels = [label(image_id, True) for image_id in forgotten]
    second = classify.run(workspace, CONFIG, crawled, labels, PAD, "run2")

    figures = classify.load_figures(workspace, second["disc"][0])
    assert second["disc"][0] != first["disc"][0]
    assert figures["labels"]["positive"] == {
        "people": len(forgotten),
        "tags": int(truth.sum()) - len(forgotten),
    }
    assert figures["people"]["confusion"]["tp"] > 0.9 * len(forgotten)


def test_answers_to_other_questions_and_about_other_images_change_nothing(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    plain = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run1")
    labels = [label("e" * 64, True), label(drawn[1][0].image_id, True, "keep")]

    assert classify.run(workspace, CONFIG, drawn[1], labels, PAD, "run2") == plain


def test_people_alone_can_teach_a_question(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    _, crawled, truth = drawn
    config = CONFIG.model_copy(update={"questions": (QuestionConfig(question="disc"),)})
    labels = [
        label(image.image_id, bool(yes)) for image, yes in zip(crawled[:60], truth, strict=False)
    ]

    classifier_id, threshold = classify.run(workspace, config, crawled, labels, PAD, "r")["disc"]

    scores = scores_of(workspace, classifier_id)
    said = np.array([scores[image.image_id] > threshold for image in crawled])
    assert (said == truth)[60:].mean() > 0.9


def test_figures_hold_what_a_page_needs(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    found = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run")

    figures = classify.load_figures(workspace, found["disc"][0])

    assert figures["threshold"] == found["disc"][1]
    assert sum(figures["confusion"].values()) == 150
    assert figures["num_positive"] + figures["num_negative"] == 150
    assert figures["precision_interval"][0] < figures["precision"]
    assert figures["num_set_aside"] > 0
    suspects = {item["image_id"] for item in figures["suspects"] if item["set_aside"]}
    tagged = {image.image_id for image in drawn[1] if "disc" in image.tags}
    assert suspects
    assert not suspects & tagged
    assert figures["kind"] in ("linear", "mlp")
    assert figures["judged_by"] == "all"
    assert figures["people"] is None


def test_a_threshold_of_the_user_is_taken(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    question = CONFIG.questions[0].model_copy(update={"threshold": 0.75})
    config = CONFIG.model_copy(update={"questions": (question,)})

    assert classify.run(workspace, config, drawn[1], [], PAD, "run")["disc"][1] == 0.75


def test_a_wished_recall_drops_more_than_a_wished_precision(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    _, crawled, truth = drawn
    labels = [label(image.image_id, bool(yes)) for image, yes in zip(crawled, truth, strict=True)]
    found = []
    for wish in ({"recall": 1.0}, {"precision": 1.0}):
        config = ClassifyConfig.parse(
            CONFIG.model_dump() | {"questions": [{"question": "disc", "threshold": wish}]}
        )
        found.append(classify.run(workspace, config, crawled, labels, PAD, "run")["disc"])

    assert found[0][0] != found[1][0]
    assert found[0][1] <= found[1][1]
    assert classify.load_figures(workspace, found[1][0])["wish"]["value"] == 1.0


def test_a_network_is_stored_and_answers_as_it_did(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    head = {"kind": "mlp", "components": 16, "mlp_l2": [0.01], "folds": 3}
    config = ClassifyConfig.parse(CONFIG.model_dump() | {"head": head})
    known, rest = drawn[1][:120], drawn[1][120:]
    silent = [CrawledImage(image.image_id, [], []) for image in rest]

    classifier_id, threshold = classify.run(workspace, config, [*known, *silent], [], PAD, "run")[
        "disc"
    ]

    scores = scores_of(workspace, classifier_id)
    said = np.array([scores[image.image_id] > threshold for image in silent])
    assert classify.load_figures(workspace, classifier_id)["kind"] == "mlp"
    assert (said == drawn[2][120:]).mean() > 0.9


def test_fine_tuning_scores_every_image_and_is_not_done_twice(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    from ganime.classifiers.storage import held_out_scores

    tune = {"blocks": 1, "epochs": 6, "folds": 2, "learning_rate": 1e-3}
    settings = CONFIG.model_dump() | {"finetune": tune}
    settings["questions"] = [{"question": "disc"}]
    config = ClassifyConfig.parse(settings)
    labels = [
        label(image.image_id, bool(yes))
        for image, yes in zip(drawn[1][:60], drawn[2], strict=False)
    ]

    found = classify.run(workspace, config, drawn[1], labels, PAD, "run")
    before = files(workspace)

    classifier_id, threshold = found["disc"]
    scores = scores_of(workspace, classifier_id)
    held_out = held_out_scores(workspace, classifier_id)
    said = np.array([scores[image.image_id] > threshold for image in drawn[1]])
    assert len(scores) == 150
    assert (said == drawn[2])[60:].mean() > 0.9
    assert len(held_out) == 60
    assert {image_id: scores[image_id] for image_id in held_out} == held_out
    assert classify.load_figures(workspace, classifier_id)["kind"] == "finetuned"
    assert classify.run(workspace, config, drawn[1], labels, PAD, "again") == found
    assert files(workspace) == before


def test_a_classifier_of_before_wishes_still_tells_its_question(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    from ganime.classifiers.storage import load_question

    classifier_id, _ = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run")["disc"]
    key = f"classifiers/{classifier_id}/config.json"
    settings = json.loads(workspace.read_bytes(key))
    settings["question"] |= {"threshold": None, "min_precision": 0.9}
    workspace.write_text(key, json.dumps(settings))

    asked = load_question(workspace, classifier_id)

    assert asked.threshold is not None
    assert asked.model_dump()["threshold"] == {"precision": 0.9, "recall": None}


def test_features_are_committed_as_the_row_promises(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    classify.run(workspace, CONFIG, drawn[1], [], PAD, "run")

    table = Table(workspace, FeatureRow)
    rows = table.rows()

    assert len(rows) == 150
    assert len(rows[0].features) == 512 + 5 * 256  # the last map, and the middle one five times


def test_learned_weights_are_reused_when_posts_are_added(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    settings = {
        "weights": "tags",
        "size": 32,
        "pretraining": {"size": 32, "epochs": 1, "batch": 16},
    }
    config = ClassifyConfig.parse({"backbone": settings})
    tags = {image.image_id: frozenset(image.tags) for image in drawn[1]}

    first = classify.prepare_backbone(workspace, config, tags, PAD, "run1")
    second = classify.prepare_backbone(workspace, config, {}, PAD, "run2")

    assert first.id == second.id
    assert first.name == "resnet18_tags"


def test_weights_from_no_tags_are_a_clear_error(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    config = ClassifyConfig.parse({"backbone": {"weights": "tags", "size": 32}})
    bare = [CrawledImage(image.image_id, [], []) for image in drawn[1]]

    with pytest.raises(WeightsError, match="no tag can be learned from"):
        classify.run(workspace, config, bare, [], PAD, "run")


def test_no_images_at_all_are_no_special_case(workspace: Workspace) -> None:
    assert classify.run(workspace, CONFIG, [], [], PAD, "run") == {}


def test_a_damaged_head_says_what_to_delete(
    workspace: Workspace, drawn: tuple[np.ndarray, list[CrawledImage], np.ndarray]
) -> None:
    classifier_id, _ = classify.run(workspace, CONFIG, drawn[1], [], PAD, "run")["disc"]
    workspace.write_bytes(f"classifiers/{classifier_id}/head.safetensors", b"broken")
    images, more, _ = draw(3, seed=5)
    put(workspace, images, more)
    tags = {image.image_id: frozenset(image.tags) for image in more}
    backbone = classify.prepare_backbone(workspace, CONFIG, tags, PAD, "run")
    classify.measure(workspace, CONFIG, backbone, sorted(tags), PAD, "run")

    with pytest.raises(StoreError, match="delete the folder"):
        classify.score(workspace, classifier_id, list(tags), "run")


def test_asking_twice_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="asked twice"):
        ClassifyConfig.parse({"questions": [{"question": "a"}, {"question": "a"}]})
