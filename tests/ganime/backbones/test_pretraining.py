import numpy as np
import pytest
import torch

from ganime.backbones import BackboneConfig, load_backbone, open_backbone
from ganime.backbones.config import PretrainingConfig
from ganime.backbones.networks import digest_of_weights
from ganime.backbones.pretraining import augment, learnable_tags, train_on_tags, weights_key
from ganime.errors import WeightsError
from ganime.store.workspace import Workspace


def drawings(count: int, seed: int = 0) -> tuple[np.ndarray, list[frozenset[str]]]:
    """Discs and squares in red or blue on white, with tags that say which."""
    rng = np.random.default_rng(seed)
    images = np.full((count, 48, 48, 3), 255, np.uint8)
    y, x = np.mgrid[:48, :48]
    tags = []
    for image in images:
        is_disc, is_red = rng.random(2) < 0.5
        cx, cy, r = rng.integers(16, 32), rng.integers(16, 32), rng.integers(6, 13)
        near = (
            (x - cx) ** 2 + (y - cy) ** 2 < r * r
            if is_disc
            else np.maximum(abs(x - cx), abs(y - cy)) < r * 0.88
        )
        image[near] = (200, 30, 30) if is_red else (30, 30, 200)
        tags.append(
            frozenset({"disc" if is_disc else "square", "red" if is_red else "blue", "solo"})
        )
    return images, tags


def quick(**settings: object) -> BackboneConfig:
    pretraining = {"size": 32, "epochs": 1, "batch": 32, "min_positives": 4, **settings}
    return BackboneConfig.parse({"weights": "tags", "size": 32, "pretraining": pretraining})


def test_tags_too_rare_or_too_common_are_left_out() -> None:
    tags = [
        frozenset({"solo", *(["half"] if i % 2 else []), *(["rare"] if i < 3 else [])})
        for i in range(100)
    ]

    assert learnable_tags(tags, PretrainingConfig()) == ["half"]


@pytest.mark.parametrize("tags", [[frozenset()] * 40, [frozenset({"solo"})] * 40, []])
def test_without_tags_the_error_says_what_to_do(tags: list[frozenset[str]]) -> None:
    with pytest.raises(WeightsError, match="--backbone-weights PATH"):
        learnable_tags(tags, PretrainingConfig())


def test_the_same_inputs_give_the_same_weights() -> None:
    images, tags = drawings(64)
    before = torch.random.get_rng_state()

    one, same = (train_on_tags(images, tags, quick()) for _ in range(2))

    assert digest_of_weights(one) == digest_of_weights(same)
    torch.testing.assert_close(torch.random.get_rng_state(), before)  # nobody else's dice moved


def test_other_posts_keep_the_key_and_other_settings_change_it() -> None:
    assert weights_key(quick()) == weights_key(quick())
    assert weights_key(quick()) != weights_key(quick(epochs=2))
    assert weights_key(quick()) != weights_key(quick().model_copy(update={"seed": 1}))


def test_weights_not_learned_yet_are_a_clear_error(tmp_path: object) -> None:
    with pytest.raises(WeightsError, match="belong to a workspace"):
        open_backbone(Workspace(str(tmp_path)), quick())


def test_augmenting_keeps_shape_and_range_and_repeats() -> None:
    images = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    one, same, other = (augment(images, torch.Generator().manual_seed(s)) for s in (1, 1, 2))

    assert one.shape == images.shape
    torch.testing.assert_close(one, same)
    assert not torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() < 1.2


@pytest.mark.slow
def test_learned_features_tell_colours_and_shapes_apart(tmp_path: object) -> None:
    images, tags = drawings(384)
    config = quick(epochs=8)
    state = train_on_tags(images, tags, config)
    path = Workspace(str(tmp_path)).local_path("w.safetensors")
    from safetensors.torch import save_file

    save_file(state, path)
    backbone = load_backbone(config, path)

    features = backbone.features(images)
    for tag in ("red", "disc"):
        answer = np.array([1.0 if tag in image else -1.0 for image in tags])
        design = np.column_stack([features - features.mean(0), np.ones(len(features))])
        learn, rest = slice(0, 256), slice(256, None)
        ridge = design[learn].T @ design[learn] + np.eye(design.shape[1])
        weight = np.linalg.solve(ridge, design[learn].T @ answer[learn])
        assert np.mean(np.sign(design[rest] @ weight) == answer[rest]) > 0.9
    assert backbone.name == "resnet18_tags"
