import io
from typing import Any

import numpy as np
import pytest
import torch

from ganime.augmentations.diffaugment import Change, DiffAugment
from ganime.augmentations.plain import Plain
from ganime.gans import Step
from ganime.gans.dcgan import Dcgan
from ganime.training.batches import Batches, Examples
from ganime.training.loop import Options, Trainer, _Part
from ganime.training.pace import Pace

CHANGES: tuple[Change, ...] = ("colour", "translation", "cutout")
BATCH = 4
WITHOUT_BATCH_NORM = {"batch_norm_discriminator": False, "r1": 0.1}


def trainer(
    *, bfloat16: bool = False, cooldown: float = 0.5, accumulate: int = 1, **options: Any
) -> Trainer:
    images = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    small = {"latent": 8, "width_generator": 4, "width_discriminator": 4, "widest": 16}
    return Trainer(
        Dcgan(**{**small, **options}),
        32,
        Batches(Examples(images), BATCH, 7, mirror=True),
        total=6 * BATCH,
        options=Options(
            augmentation=DiffAugment(changes=CHANGES),
            ema_nimg=16,
            cooldown=cooldown,
            bfloat16=bfloat16,
            accumulate=accumulate,
            seed=7,
        ),
        device=torch.device("cpu"),
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


def test_parts_of_a_batch_sum_to_the_gradient_of_the_whole() -> None:
    whole, parts = trainer(batch_norm_discriminator=False), trainer(batch_norm_discriminator=False)
    step, z = Step(0, 6 * BATCH, BATCH), torch.randn(BATCH, 8)
    batch = whole._batches.at(0)
    with torch.no_grad():
        fake = whole.generator.eval()(z)
    for trained, num in ((whole, 1), (parts, 2)):
        trained._augment = Plain().augmenter()
        pieces = zip(batch.images.chunk(num), fake.chunk(num), z.chunk(num), strict=True)
        trained._update_discriminator([_Part(*piece, step) for piece in pieces])
    for one, other in zip(
        whole.discriminator.parameters(), parts.discriminator.parameters(), strict=True
    ):
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_a_step_in_parts_shows_one_batch() -> None:
    trained = steps(trainer(accumulate=2), 1)
    assert trained.nimg == BATCH
    assert {row.name for row in trained.monitor.rows(4)} >= {"loss_generator", "diversity"}


def test_the_slowdown_lowers_every_rate_and_survives_a_resume() -> None:
    trained = trainer(cooldown=0.0)
    (full,) = rates(trained)
    trained.slowdown = 0.5
    steps(trained, 1)
    assert rates(trained) == pytest.approx([full / 2])
    resumed = trainer(cooldown=0.0)
    resumed.load_state(through_a_file(trained.state()))
    assert resumed.slowdown == 0.5
