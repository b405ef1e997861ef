from pathlib import Path

import numpy as np
import pytest
import torch

from ganime.backbones import BackboneConfig
from ganime.backbones.networks import build_trunk, pretrained_trunk
from ganime.classifiers.finetune import (
    FineTuneConfig,
    fine_tune,
    last_blocks,
    learn_blocks,
    resized,
    restore,
)
from ganime.classifiers.folds import assign_folds
from ganime.classifiers.head import Examples
from ganime.errors import ConfigError, WeightsError

BACKBONE = BackboneConfig(architecture="resnet18", weights="none", size=32, batch=16, device="cpu")
CONFIG = FineTuneConfig(blocks=1, epochs=3, batch=8, learning_rate=1e-3, folds=2)


def tiny(num: int = 24) -> tuple[Examples, np.ndarray]:
    """Red and blue squares."""
    rng = np.random.default_rng(0)
    answers = np.arange(num) % 3 == 0
    images = np.full((num, 32, 32, 3), 255, np.uint8)
    images[:, 8:24, 8:24] = np.where(answers[:, None], (220, 20, 20), (20, 20, 220))[:, None, None]
    images -= rng.integers(0, 9, images.shape, dtype=np.uint8)
    keys = [f"{i:02d}" for i in range(num)]
    made = Examples(keys, np.empty((num, 0), np.float32), answers, np.ones(num, bool), keys)
    return made, images


@pytest.mark.parametrize("architecture", ["vgg16", "resnet18", "resnet34", "mobilenet_v2"])
def test_the_last_blocks_begin_at_a_halving_of_the_map(architecture: str) -> None:
    config = BackboneConfig.parse({"architecture": architecture, "weights": "none"})
    trunk = build_trunk(config.architecture, 0)
    sides: dict[int, int] = {}

    for count in (1, 2, 3):
        first = last_blocks(trunk, config.architecture, count)[0]
        first.register_forward_pre_hook(
            lambda _, given, count=count: sides.update({count: given[0].shape[2]})
        )
    with torch.inference_mode():
        trunk.eval()(torch.zeros(1, 3, 64, 64))

    assert sides[2] == 2 * sides[1]
    assert sides[3] == 2 * sides[2]
    assert not last_blocks(trunk, config.architecture, 0)


def test_only_the_last_blocks_change_and_do_so_again_alike() -> None:
    data, images = tiny()
    before = build_trunk("resnet18", 0)

    (after, head), (again, same) = (
        learn_blocks(
            resized(images, 32), data.answers, build_trunk("resnet18", 0), BACKBONE, CONFIG, 0
        )
        for _ in range(2)
    )

    assert torch.equal(head.weight, same.weight)
    twice = again.network.state_dict()
    assert all(torch.equal(value, twice[k]) for k, value in after.network.state_dict().items())

    moved = {
        name.split(".")[0]
        for (name, old), new in zip(
            before.network.state_dict().items(),
            after.network.state_dict().values(),
            strict=True,
        )
        if not torch.equal(old, new)
    }
    assert moved == {"layer4"}
    # Batch norms learn their scale but keep the statistics they came with.
    old, new = dict(before.network.named_buffers()), dict(after.network.named_buffers())
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_a_network_learns_and_can_be_stored() -> None:
    data, images = tiny()
    folds = assign_folds(data.keys, data.answers, data.groups, folds=2, seed=0)

    one = fine_tune(
        data, folds, images, lambda: pretrained_trunk(BACKBONE, None), BACKBONE, CONFIG, 0
    )

    assert one.held_out[data.answers].min() > one.held_out[~data.answers].max()
    scores = one.tuned.scores(images)
    assert ((scores > 0.5) == data.answers).all()
    again = restore(one.tuned.state(), BACKBONE)
    np.testing.assert_array_equal(again.scores(images), scores)
    assert again.scores(images[:0]).shape == (0,)


def test_the_start_is_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(build_trunk("resnet18", 5).network.state_dict(), path)
    config = BACKBONE.model_copy(update={"weights": str(path)})

    found = pretrained_trunk(config, None).network.state_dict()

    wanted = build_trunk("resnet18", 5).network.state_dict()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    with pytest.raises(WeightsError, match="no weights file"):
        pretrained_trunk(BACKBONE.model_copy(update={"weights": "gone.pth"}), None)


def test_more_blocks_than_there_are_are_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="blocks"):
        FineTuneConfig.parse({"blocks": 4})
