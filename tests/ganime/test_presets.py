from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganime.decide import decide, dropped_by, statuses
from ganime.errors import ConfigError
from ganime.filters import Facts, Filter
from ganime.gans import GANS
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.presets import BUDGETS, PRESETS, RunConfig, build, training
from ganime.rows import ImageRow
from ganime.stages.dedupe import image_row
from ganime.store.word_sets import WordSets

COLUMNS = (
    *("width", "height", "alpha_fraction", "background_fraction", "sharpness", "colour_spread"),
    *(
        "strip_fraction",
        "figures",
        "touched_left",
        "touched_top",
        "touched_right",
        "touched_bottom",
    ),
)


def rules(preset: str) -> list[Filter]:
    """All but the search for duplicates, which has its own tests."""
    return [rule for rule in build(preset, {}).curate.rules if rule.rule != "duplicate"]


def facts(images: Sequence[ImageRow], tags: Sequence[Sequence[str]]) -> Facts:
    columns = {
        name: np.array([getattr(image, name) for image in images], np.float64) for name in COLUMNS
    }
    return Facts(
        image_ids=[image.image_id for image in images],
        columns=columns,
        problems=[image.problem for image in images],
        tags=WordSets.of(tags),
        scores={},
        duplicates=lambda ids, similarity: {},
    )


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Facts, list[str]]:
    """What the practice booru posts, measured, and what kind of picture each is."""
    config = PracticeConfig(
        posts=48, seed=5, multiple=0.2, flashy=0.15, exact=0, near=0, broken=0, height_max=600
    )
    corpus = Corpus.build(config, tmp_path_factory.mktemp("corpus"))
    images = [
        image_row(str(post.id), (corpus.folder / str(post.file)).read_bytes(), "run")
        for post in corpus.posts
    ]
    kinds = [row.kind for row in corpus.truth()]
    return facts(images, [post.tags for post in corpus.posts]), kinds


def test_full_body_keeps_every_standing_figure_and_drops_groups_and_busy_grounds(
    practice: tuple[Facts, list[str]],
) -> None:
    known, kinds = practice
    judged = decide(known, rules("default"), [])
    kept: dict[str, list[bool]] = {kind: [] for kind in kinds}
    for kind, status in zip(kinds, statuses(judged), strict=True):
        kept[kind].append(status < 0)
    assert all(kept["standing"])
    assert not any(kept["flashy"])
    assert np.mean(kept["multiple"]) < 0.15
    assert np.mean(kept["chibi"]) < 0.6, "those whose tags say so; a classifier finds the others"


def test_pixels_alone_tell_groups_and_busy_grounds(practice: tuple[Facts, list[str]]) -> None:
    known, kinds = practice
    untagged = Facts(**{**vars(known), "tags": WordSets.of([[]] * len(kinds))})
    judged = decide(untagged, rules("default"), [])
    dropped = statuses(judged) >= 0
    assert not any(dropped[i] for i, kind in enumerate(kinds) if kind == "standing")
    assert all(dropped[i] for i, kind in enumerate(kinds) if kind == "flashy")
    assert np.mean([dropped[i] for i, kind in enumerate(kinds) if kind == "multiple"]) > 0.85


def test_tags_come_before_pixels_and_pixels_before_networks() -> None:
    names = [rule.component for rule in build("default", {}).curate.rules]
    assert names[:2] == ["decodable", "tags"]
    assert names[-1] == "duplicate"
    first_network = names.index("classified")
    assert set(names[first_network:-1]) == {"classified"}


def test_a_preset_takes_other_tags() -> None:
    sets = ['curate.rules=[{name = "tags", exclude = ["ai-generated"]}]']
    (only,) = build("default", {}, sets=sets).curate.rules
    assert only.exclude == ("ai-generated",)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_whole(preset: str) -> None:
    assert isinstance(build(preset, {}), RunConfig)


def real(shared: Path, folder: str, most: int) -> Facts:
    paths = [path for path in sorted((shared / "real" / folder).iterdir()) if path.suffix != ".txt"]
    images = [image_row(path.name, path.read_bytes(), "run") for path in paths[:most]]
    return facts(images, [[]] * len(images))


@pytest.mark.parametrize("folder", ["fullbody", "fullbody_original"])
def test_full_body_keeps_real_full_body_art(shared: Path, folder: str) -> None:
    judged = decide(real(shared, folder, 160), rules("default"), [])
    assert dropped_by(judged) == {}


@pytest.mark.parametrize("folder", ["halfbody", "photos", "faces96"])
def test_full_body_drops_real_portraits_and_photographs(shared: Path, folder: str) -> None:
    judged = decide(real(shared, folder, 60), rules("default"), [])
    assert np.mean(statuses(judged) < 0) <= 0.05


def test_faces_keeps_real_faces(shared: Path) -> None:
    judged = decide(real(shared, "faces96", 200), rules("faces"), [])
    assert np.mean(statuses(judged) < 0) >= 0.97


@pytest.mark.parametrize("recipe", GANS.names())
@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512])
def test_every_recipe_has_settings_for_every_side(recipe: str, resolution: int) -> None:
    config = training(recipe, resolution, "evening", {})
    assert config.recipe.component == recipe
    assert config.resolution == resolution
    assert config.nimg == BUDGETS["evening"]
    assert config.snapshot_nimg == config.nimg // 10


def test_wishes_go_over_the_tables_and_sets_over_wishes() -> None:
    wishes = {"nimg": 5000, "tags": None, "batch": 8}
    config = training("dcgan", 64, "minutes", wishes, ["batch=32", "recipe.latent=9"])
    assert (config.nimg, config.snapshot_nimg, config.tags) == (5000, 500, ())
    assert (config.batch, config.recipe.latent) == (32, 9)
    assert config.recipe.component == "dcgan"


def test_an_unknown_recipe_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no recipe is called 'vae'; known: .*stylegan2"):
        training("vae", 64, "minutes", {})


@pytest.mark.parametrize(
    ("options", "recipe"),
    [
        ({}, "projected"),
        ({"classify": {"backbone": {"weights": "tags"}}}, "dcgan"),
        ({"classify": {"backbone": {"weights": "none"}}}, "dcgan"),
        ({"classify": {"backbone": {"weights": "a.pth"}}}, "projected"),
        ({"train": {"recipe": {"name": "lsgan"}}}, "lsgan"),
    ],
)
def test_the_recipe_is_one_for_the_weights_at_hand(options: dict[str, Any], recipe: str) -> None:
    assert build("default", options).train.recipe.component == recipe


def test_a_given_network_judges_generated_images_too() -> None:
    backbone = {"architecture": "mobilenet_v2", "weights": "a.pth"}
    found = build("faces", {"classify": {"backbone": backbone}}).train.recipe
    assert found.model_dump()["features"] == backbone
    resnet = build("default", {"classify": {"backbone": {"weights": "b.pth"}}}).train.recipe
    assert resnet.model_dump()["features"] == {"architecture": "resnet18", "weights": "b.pth"}
