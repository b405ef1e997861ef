import json
import logging
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganime.augmentations.plain import Plain
from ganime.backbones.networks import build_trunk, digest_of_weights
from ganime.errors import ConfigError, TrainingDiverged, WeightsError
from ganime.gans import Step
from ganime.gans.dcgan import Dcgan
from ganime.gans.projected import Projected
from ganime.gans.r3gan import R3gan
from ganime.rows import MetricRow
from ganime.stages.train import TrainConfig, model_id, run
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace
from ganime.training.batches import Examples
from ganime.training.checkpoint import checkpoint_key, checkpoints, load_checkpoint
from ganime.training.keys import config_key
from ganime.training.pace import Progress
from ganime.training.snapshot import load_generator, snapshots

SMALL: dict[str, Any] = {"latent": 8, "width_generator": 4, "width_discriminator": 4, "widest": 16}
RECIPE = Dcgan(**SMALL)
SETTINGS: dict[str, Any] = {
    "resolution": 32,
    "nimg": 48,
    "batch": 4,
    "snapshot_nimg": 16,
    "checkpoint_nimg": 16,
    "metric_nimg": 12,  # crosses the checkpoints: means must survive a resume
    "num_threads": 1,
}
CONFIG = TrainConfig(recipe=RECIPE, **SETTINGS)
VERSION = "girls/0123456789ab"


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "workspace"))


def stop_at(nimg: int) -> Any:
    def stop(progress: Progress) -> None:
        if progress.nimg >= nimg:
            raise KeyboardInterrupt

    return stop


def metrics(workspace: Workspace, identity: str) -> dict[tuple[int, str], float]:
    rows = Table(workspace, MetricRow, root=f"models/{identity}").rows()
    steady = [row for row in rows if row.name != "images_per_second"]
    assert len({(row.nimg, row.name) for row in steady}) == len(steady)
    return {(row.nimg, row.name): row.value for row in steady}


def results(workspace: Workspace, identity: str) -> dict[str, bytes]:
    """All files that two equal runs agree on, byte for byte."""
    folders = ("snapshots", "samples", "checkpoints", "config.json")
    keys = [
        key
        for name in folders
        for key in workspace.list(f"models/{identity}", "")
        if f"/{identity}/{name}" in key
    ]
    return {key: workspace.read_bytes(key) for key in keys if not key.endswith(".pt")}


def test_a_run_leaves_all_that_it_promises(workspace: Workspace, images: np.ndarray) -> None:
    told: list[Progress] = []
    identity = run(workspace, CONFIG, Examples(images), VERSION, "run-1", told.append)
    assert identity == model_id(VERSION, CONFIG)
    assert snapshots(workspace, identity) == [4, 16, 32, 48]
    assert checkpoints(workspace, identity) == [32, 48]
    described = json.loads(workspace.read_bytes(f"models/{identity}/config.json"))
    assert described["dataset_version"] == VERSION
    assert TrainConfig.parse(described["config"]) == CONFIG
    assert described["parameters"]["generator"] > 0
    rows = metrics(workspace, identity)
    assert {nimg for nimg, name in rows if name.startswith("loss_")} == {12, 24, 36, 48}
    assert {nimg for nimg, name in rows if name == "recall_16px"} == {4, 16, 32, 48}
    assert {name for _, name in rows} >= {"loss_generator", "loss_discriminator", "diversity"}
    assert [item.nimg for item in told] == list(range(4, 49, 4))
    assert told[-1].total == 48
    assert told[-1].losses.keys() == {"loss_generator", "loss_discriminator"}
    assert load_generator(workspace, identity).sample(3).shape == (3, 32, 32, 3)
    assert workspace.exists(f"models/{identity}/finished.json")


def test_a_finished_model_is_not_trained_again(workspace: Workspace, images: np.ndarray) -> None:
    identity = run(workspace, CONFIG, Examples(images), VERSION, "run-1")
    told: list[Progress] = []
    assert run(workspace, CONFIG, Examples(images), VERSION, "run-2", told.append) == identity
    assert told == []


@pytest.mark.parametrize("stopped_at", [[8], [20], [20, 36], [48]])
def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
    workspace: Workspace, images: np.ndarray, tmp_path: Path, stopped_at: list[int]
) -> None:
    unbroken = Workspace(str(tmp_path / "unbroken"))
    identity = run(unbroken, CONFIG, Examples(images), VERSION, "run-1")
    for nimg in stopped_at:
        with pytest.raises(KeyboardInterrupt):
            run(workspace, CONFIG, Examples(images), VERSION, "run-1", stop_at(nimg))
    run(workspace, CONFIG, Examples(images), VERSION, "run-2")
    assert results(workspace, identity) == results(unbroken, identity)
    assert metrics(workspace, identity) == metrics(unbroken, identity)
    one, other = (load_checkpoint(place, identity, 48) for place in (workspace, unbroken))
    for part in ("generator", "discriminator", "average"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in other[part])


def test_a_resumed_run_starts_at_its_last_checkpoint(
    workspace: Workspace, images: np.ndarray
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(workspace, CONFIG, Examples(images), VERSION, "run-1", stop_at(40))
    told: list[Progress] = []
    run(workspace, CONFIG, Examples(images), VERSION, "run-2", told.append)
    assert told[0].nimg == 36


def test_a_damaged_last_checkpoint_costs_one_interval(
    workspace: Workspace, images: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unbroken = Workspace(str(tmp_path / "unbroken"))
    identity = run(unbroken, CONFIG, Examples(images), VERSION, "run-1")
    with pytest.raises(KeyboardInterrupt):
        run(workspace, CONFIG, Examples(images), VERSION, "run-1", stop_at(40))
    path = workspace.local_path(checkpoint_key(identity, 32))
    path.write_bytes(path.read_bytes()[:-1000])
    told: list[Progress] = []
    with caplog.at_level(logging.WARNING):
        run(workspace, CONFIG, Examples(images), VERSION, "run-2", told.append)
    assert told[0].nimg == 20
    assert "trying the checkpoint before" in caplog.text
    assert results(workspace, identity) == results(unbroken, identity)
    assert metrics(workspace, identity) == metrics(unbroken, identity)


_CHILD = """
import json, sys
import numpy as np
from ganime.stages.train import TrainConfig, run
from ganime.store.workspace import Workspace
from ganime.training.batches import Examples
root, images, settings, version = sys.argv[1:]
config = TrainConfig.parse(json.loads(settings))
run(Workspace(root), config, Examples(np.load(images)), version, "child")
"""


@pytest.mark.slow
def test_a_killed_process_is_taken_over_bit_for_bit(
    workspace: Workspace, images: np.ndarray, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"nimg": 480})
    np.save(tmp_path / "images.npy", images)
    arguments = [workspace.url, str(tmp_path / "images.npy"), config.canonical(), VERSION]
    child = subprocess.Popen([sys.executable, "-c", _CHILD, *arguments])
    identity = model_id(VERSION, config)
    try:
        deadline = time.monotonic() + 60
        while not checkpoints(workspace, identity) and time.monotonic() < deadline:
            assert child.poll() is None, "the child ended before it could be killed"
            time.sleep(0.005)
    finally:
        child.kill()
        child.wait()
    assert not workspace.exists(f"models/{identity}/finished.json")
    told: list[Progress] = []
    run(workspace, config, Examples(images), VERSION, "run-2", told.append)
    assert 4 < told[0].nimg < 480
    unbroken = Workspace(str(tmp_path / "unbroken"))
    run(unbroken, config, Examples(images), VERSION, "run-3")
    assert results(workspace, identity) == results(unbroken, identity)
    assert metrics(workspace, identity) == metrics(unbroken, identity)


def test_the_id_follows_what_changes_the_result_and_nothing_else() -> None:
    def with_changes(**changes: Any) -> str:
        return model_id(VERSION, CONFIG.model_copy(update=changes))

    same = {"device": "cuda", "num_threads": 2, "checkpoint_nimg": 1, "keep_checkpoints": 9}
    for name, value in same.items():
        assert with_changes(**{name: value}) == model_id(VERSION, CONFIG)
    other = {"seed": 1, "nimg": 64, "batch": 8, "augment": Plain(), "recipe": Dcgan(latent=9)}
    ids = {with_changes(**{name: value}) for name, value in other.items()}
    ids |= {model_id(VERSION, CONFIG), model_id("another/version", CONFIG)}
    assert len(ids) == len(other) + 2


def test_images_of_another_size_are_refused_with_both_sizes(workspace: Workspace) -> None:
    large = Examples(np.zeros((10, 64, 64, 3), np.uint8))
    with pytest.raises(ConfigError, match="resolution is 32 but the dataset's images are 64x64"):
        run(workspace, CONFIG, large, VERSION, "run-1")


def test_too_few_images_are_refused_with_the_number(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"has 3 images .* fewer than a batch of 4"):
        run(workspace, CONFIG, Examples(np.zeros((3, 32, 32, 3), np.uint8)), VERSION, "run-1")


def test_anything_but_uint8_rgb_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ConfigError, match="wants uint8 images"):
        run(workspace, CONFIG, Examples(np.zeros((10, 32, 32, 4), np.uint8)), VERSION, "run-1")


def test_a_resolution_that_is_no_power_of_two_is_refused() -> None:
    with pytest.raises(ConfigError, match="resolution: wanted a power of two"):
        TrainConfig.parse({"resolution": 48})


def test_a_recipe_is_chosen_by_name_and_an_unknown_one_lists_the_known() -> None:
    assert TrainConfig.parse({"recipe": "dcgan"}).recipe == Dcgan()
    chosen = TrainConfig.parse({"recipe": {"name": "dcgan", "latent": 9}})
    assert chosen.recipe == Dcgan(latent=9)
    with pytest.raises(ConfigError, match=r"no recipe is called 'vae'; known: .*dcgan"):
        TrainConfig.parse({"recipe": "vae"})


def test_a_run_that_diverges_stops_with_a_sentence(
    workspace: Workspace, images: np.ndarray
) -> None:
    wild = RECIPE.model_copy(update={"lr_generator": 1e30, "lr_discriminator": 1e30})
    config = CONFIG.model_copy(update={"recipe": wild})
    with pytest.raises(TrainingDiverged, match="lower the recipe's learning rates"):
        run(workspace, config, Examples(images), VERSION, "run-1")
    assert checkpoints(workspace, model_id(VERSION, config)) == []


class Sick(Dcgan):
    """Its loss is infinite at 28 images shown, as often as there are `attacks` left."""

    attacks: ClassVar[int] = 0

    def discriminator_penalty(
        self, discriminator: torch.nn.Module, real: torch.Tensor, fake: torch.Tensor, step: Step
    ) -> torch.Tensor | None:
        if step.nimg == 28 and Sick.attacks > 0:
            Sick.attacks -= 1
            return torch.tensor(math.inf)
        return None


@pytest.mark.parametrize("attacks", [1, 2])
def test_a_run_that_diverges_goes_back_and_on_at_lower_rates(
    workspace: Workspace, images: np.ndarray, attacks: int, caplog: pytest.LogCaptureFixture
) -> None:
    Sick.attacks = attacks
    config = CONFIG.model_copy(update={"recipe": Sick(**SMALL)})
    identity = run(workspace, config, Examples(images), VERSION, "run-1")
    assert workspace.exists(f"models/{identity}/finished.json")
    state = load_checkpoint(workspace, identity, 48)
    assert state["slowdown"] == 0.5**attacks
    assert all(tensor.isfinite().all() for tensor in state["generator"].values())
    assert metrics(workspace, identity)[(16, "rollbacks")] == attacks
    assert "diverged at 32 images shown" in caplog.text


def test_a_run_that_diverges_before_its_first_checkpoint_begins_anew(
    workspace: Workspace, images: np.ndarray
) -> None:
    Sick.attacks = 1
    settings = {"recipe": Sick(**SMALL), "checkpoint_nimg": 48}
    told: list[Progress] = []
    config = CONFIG.model_copy(update=settings)
    identity = run(workspace, config, Examples(images), VERSION, "run-1", told.append)
    shown = [item.nimg for item in told]
    assert shown == [*range(4, 36, 4), *range(4, 49, 4)]
    assert metrics(workspace, identity)[(0, "rollbacks")] == 1


def test_a_run_whose_samples_look_alike_ends_if_told_to(
    workspace: Workspace, images: np.ndarray
) -> None:
    # A generator that does not learn at all makes blots that look alike.
    asleep = RECIPE.model_copy(update={"lr_generator": 1e-12})
    config = CONFIG.model_copy(update={"recipe": asleep, "stop_on_collapse": True, "nimg": 96})
    identity = run(workspace, config, Examples(images), VERSION, "run-1")
    finished = json.loads(workspace.read_bytes(f"models/{identity}/finished.json"))
    assert finished["nimg"] == 48  # looked for from a quarter of the run on, and seen twice
    assert "collapsed" in finished["ended"]


def test_a_run_ends_when_the_score_gets_no_better(workspace: Workspace, images: np.ndarray) -> None:
    scores = iter([9.0, 5.0, 6.0, 7.0, 1.0])
    config = CONFIG.model_copy(update={"patience": 2, "nimg": 96})
    identity = run(
        workspace, config, Examples(images), VERSION, "run-1", score=lambda _: next(scores)
    )
    finished = json.loads(workspace.read_bytes(f"models/{identity}/finished.json"))
    assert finished["nimg"] == 48
    assert finished["ended"] == "no snapshot since 16 images shown scored better than 5"
    rows = metrics(workspace, identity)
    assert [rows[(nimg, "score")] for nimg in (4, 16, 32, 48)] == [9, 5, 6, 7]


def test_a_generator_learns_the_tags_it_is_told_to(
    workspace: Workspace, images: np.ndarray
) -> None:
    tags = np.random.default_rng(1).integers(0, 2, (10, 3), dtype=np.uint8)
    examples = Examples(images, tags, ("blue_hair", "hat", "smile"))
    recipe = R3gan(latent=8, width=8, widest=16)
    config = CONFIG.model_copy(update={"recipe": recipe, "tags": ("smile", "hat")})
    identity = run(workspace, config, examples, VERSION, "run-1")
    generator = load_generator(workspace, identity)
    assert generator.blueprint.tag_names == ("smile", "hat")
    assert np.array_equal(generator.blueprint.tag_examples, tags[:, [2, 1]])
    assert workspace.exists(f"models/{identity}/samples/000000048-tags.png")
    everything = config.model_copy(update={"tags": ("all",)})
    other = run(workspace, everything, examples, VERSION, "run-1")
    assert load_generator(workspace, other).blueprint.tag_names == examples.tag_names


def test_a_tag_that_the_dataset_lacks_is_named(workspace: Workspace, images: np.ndarray) -> None:
    examples = Examples(images, np.zeros((10, 2), np.uint8), ("hat", "smile"))
    config = CONFIG.model_copy(update={"tags": ("blue_hair",)})
    with pytest.raises(ConfigError, match=r"has no tag 'blue_hair'; its 2 tags begin with hat"):
        run(workspace, config, examples, VERSION, "run-1")
    with pytest.raises(ConfigError, match="this dataset has no tags"):
        run(workspace, config, Examples(images), VERSION, "run-1")


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch is 10, which 2 processes x 4 parts"):
        TrainConfig.parse({"batch": 10, "processes": 2, "accumulate": 4})


def test_augmentation_that_adapts_wants_a_recipe_whose_logits_mean_something() -> None:
    with pytest.raises(ConfigError, match=r"sign of D.real., which means nothing in r3gan"):
        TrainConfig.parse({"recipe": "r3gan", "augment": "ada"})
    fixed = {"name": "ada", "target": None, "probability": 0.3}
    assert TrainConfig.parse({"recipe": "r3gan", "augment": fixed}).augment.probability == 0.3
    assert TrainConfig.parse({"recipe": "dcgan", "augment": "ada"}).augment.listens


def test_training_leaves_the_callers_random_numbers_alone(
    workspace: Workspace, images: np.ndarray
) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    run(workspace, CONFIG, Examples(images), VERSION, "run-1")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_other_weights_behind_the_same_path_make_another_model(
    workspace: Workspace, images: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    features = {"architecture": "mobilenet_v2", "weights": str(path)}
    recipe = Projected.model_validate({**SMALL, "mixed": 4, "features": features})
    config = CONFIG.model_copy(update={"recipe": recipe, "nimg": 4})
    ids = []
    for seed in (1, 1, 2):
        save_file(build_trunk("mobilenet_v2", seed).network.state_dict(), path)
        ids.append(run(workspace, config, Examples(images), VERSION, "run"))
    assert ids[0] == ids[1] != ids[2]
    described = json.loads(workspace.read_bytes(config_key(ids[0])))
    assert described["inputs"] == digest_of_weights(
        build_trunk("mobilenet_v2", 1).network.state_dict()
    )


def test_weights_that_were_never_learned_are_named_before_anything_is_written(
    workspace: Workspace, images: np.ndarray
) -> None:
    recipe = Projected.model_validate({**SMALL, "features": {"weights": "tags"}})
    config = CONFIG.model_copy(update={"recipe": recipe})
    with pytest.raises(WeightsError, match="no mobilenet_v2 was learned from tags in"):
        run(workspace, config, Examples(images), VERSION, "run")
    assert workspace.list("models") == []
