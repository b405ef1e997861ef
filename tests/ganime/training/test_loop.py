import io
from typing import Any

import numpy as np
import pytest
import torch

from ganime.gans.dcgan import Dcgan
from ganime.training.augment import Change
from ganime.training.dataset import Batches
from ganime.training.loop import Pace, Trainer

CHANGES: tuple[Change, ...] = ("colour", "translation", "cutout")
BATCH = 4
WITHOUT_BATCH_NORM = {"batch_norm_discriminator": False, "r1": 0.1}


def trainer(*, bfloat16: bool = False, cooldown: float = 0.5, **options: Any) -> Trainer:
    images = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    small = {"latent": 8, "width_generator": 4, "width_discriminator": 4, "widest": 16}
    return Trainer(
        Dcgan(**{**small, **options}),
        32,
        Batches(images, BATCH, 7, mirror=True),
        batch=BATCH,
        total=6 * BATCH,
        ema_nimg=16,
        changes=CHANGES,
        device=torch.device("cpu"),
        bfloat16=bfloat16,
        seed=7,
        cooldown=cooldown,
    )


def steps(trained: Trainer, num: int) -> Trainer:
    for _ in range(num):
        trained.step()
    return trained


def through_a_file(state: dict[str, Any]) -> Any:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            name: leaf for key, item in items for name, leaf in flat(item, f"{path}/{key}").items()
        }
    return {path: value}


def assert_equal_bit_for_bit(one: Any, other: Any) -> None:
    left, right = flat(one), flat(other)
    assert left.keys() == right.keys()
    for path, value in left.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, right[path]), path
        else:
            assert value == right[path], path


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize("options", [{}, WITHOUT_BATCH_NORM])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    bfloat16: bool, options: dict[str, Any]
) -> None:
    unbroken = steps(trainer(bfloat16=bfloat16, **options), 6)
    broken = steps(trainer(bfloat16=bfloat16, **options), 3)
    torch.manual_seed(99)  # whatever happened meanwhile must not matter
    resumed = trainer(bfloat16=bfloat16, **options)
    resumed.load_state(through_a_file(broken.state()))
    steps(resumed, 3)
    assert resumed.done
    assert_equal_bit_for_bit(resumed.state(), unbroken.state())
    assert resumed.monitor.rows(resumed.nimg) == unbroken.monitor.rows(unbroken.nimg)


def test_a_step_moves_both_networks_and_the_average() -> None:
    trained = trainer()
    before = through_a_file(trained.state())
    steps(trained, 1)
    after = trained.state()
    for part in ("generator", "discriminator", "average"):
        assert any(
            not torch.equal(before[part][name], tensor) for name, tensor in after[part].items()
        )
    assert trained.nimg == BATCH


def test_the_generator_update_leaves_the_discriminator_trainable() -> None:
    trained = steps(trainer(), 2)
    assert all(parameter.requires_grad for parameter in trained.discriminator.parameters())


def test_several_discriminator_updates_show_a_batch_each() -> None:
    class Critic(Dcgan):
        @property
        def discriminator_steps(self) -> int:
            return 3

    trained = trainer()
    trained._recipe = Critic(latent=8)
    steps(trained, 1)
    assert trained.nimg == 3 * BATCH


def test_what_a_step_reports() -> None:
    rows = {row.name: row.value for row in steps(trainer(**WITHOUT_BATCH_NORM), 2).monitor.rows(8)}
    assert rows.keys() == {
        "loss_discriminator",
        "loss_generator",
        "penalty_discriminator",
        "told_apart",
        "diversity",
    }
    assert 0 <= rows["told_apart"] <= 1
    assert rows["diversity"] > 0


def test_the_pace_counts_only_what_was_shown_since_it_began() -> None:
    pace = Pace(1000)
    told = pace.progress(1064, 2000, {"loss_generator": 1.0})
    assert (told.nimg, told.total) == (1064, 2000)
    assert told.images_per_second > 0
    assert told.eta_s == pytest.approx((2000 - 1064) / told.images_per_second)


def rates(trained: Trainer) -> list[float]:
    return [group["lr"] for group in trained._optimisers[0].param_groups]


def test_learning_rates_fall_to_zero_over_the_cooldown() -> None:
    trained = trainer(cooldown=0.5)
    (full,) = rates(trained)
    seen = []
    for _ in range(6):
        trained.step()
        seen += rates(trained)
    assert seen == pytest.approx([full, full, full, full, full * 2 / 3, full / 3])


def test_without_a_cooldown_learning_rates_stay() -> None:
    trained = trainer(cooldown=0.0)
    before = rates(trained)
    assert rates(steps(trained, 6)) == before
