import pytest
import torch

from ganime.errors import ConfigError
from ganime.gans import Step
from ganime.gans.growth import Growing, Stage
from ganime.gans.layers import num_parameters
from ganime.gans.penalties import Method
from ganime.gans.progan import ProGan

SMALL = {"latent": 8, "width": 4, "widest": 16}


def test_the_parameters_are_those_of_the_papers_table() -> None:
    recipe = ProGan(latent=512, width=16, widest=512)
    with torch.device("meta"):  # counted, not filled
        generator, discriminator = recipe.generator(1024), recipe.discriminator(1024)
    # Table 2: 23.1M each, for 512 channels up to 32 px and 16 at 1024 px.
    assert round(num_parameters(generator) / 1e6, 1) == 23.1
    assert round(num_parameters(discriminator) / 1e6, 1) == 23.1


def test_both_networks_grow_with_the_run() -> None:
    recipe = ProGan(**SMALL, shares=(1.0,), fade=0.5)
    networks = recipe.generator(32), recipe.discriminator(32)
    found = []
    for nimg in (0, 125, 250, 375, 1000):
        recipe.advance(*networks, Step(nimg, total=500, batch=5))
        stages = [network.stage for network in networks if isinstance(network, Growing)]
        assert len(stages) == 2
        assert stages[0] == stages[1]
        found.append(stages[0])
    assert found == [Stage(0, 1.0), Stage(1, 0.0), Stage(2, 0.0), Stage(3, 0.0), Stage(3, 1.0)]


def test_the_same_step_always_finds_the_same_stage() -> None:
    recipe, step = ProGan(**SMALL), Step(777, total=1000, batch=1)
    one, other = recipe.generator(64), recipe.generator(64)
    discriminator = recipe.discriminator(64)
    for nimg in range(0, 777, 50):
        recipe.advance(one, discriminator, Step(nimg, total=1000, batch=1))
    recipe.advance(one, discriminator, step)
    recipe.advance(other, discriminator, step)
    assert isinstance(one, Growing)
    assert isinstance(other, Growing)
    assert one.stage == other.stage


@pytest.mark.parametrize("method", ["exact", "differences"])
def test_the_penalty_is_taken_on_images_of_the_side_in_use(method: Method) -> None:
    recipe = ProGan(**SMALL, penalty_method=method)
    generator, discriminator = recipe.generator(32), recipe.discriminator(32)
    recipe.advance(generator, discriminator, step := Step(0, total=100, batch=4))
    real, fake = torch.randn(4, 3, 4, 4), torch.randn(4, 3, 4, 4)
    torch.manual_seed(1)
    small = recipe.discriminator_penalty(discriminator, real, fake, step)
    torch.manual_seed(1)
    enlarged = [torch.nn.functional.interpolate(images, size=32) for images in (real, fake)]
    large = recipe.discriminator_penalty(discriminator, enlarged[0], enlarged[1], step)
    assert small is not None
    assert large is not None
    assert large.item() == pytest.approx(small.item(), rel=1e-4)


def test_levels_that_are_not_in_use_stay_as_they_are() -> None:
    recipe = ProGan(**SMALL)
    generator, discriminator = recipe.generator(32), recipe.discriminator(32)
    recipe.advance(generator, discriminator, step := Step(0, total=100, batch=4))
    optimiser = recipe.optimisers(generator, discriminator)[1]
    before = {name: item.clone() for name, item in discriminator.named_parameters()}
    real, fake = torch.randn(4, 3, 32, 32), torch.randn(4, 3, 32, 32)
    loss = recipe.discriminator_loss(discriminator(real), discriminator(fake))
    penalty = recipe.discriminator_penalty(discriminator, real, fake, step)
    assert penalty is not None
    (loss + penalty).backward()
    optimiser.step()
    moved = {
        name
        for name, item in discriminator.named_parameters()
        if not torch.equal(item, before[name])
    }
    assert moved >= {"from_rgb.0.weight", "last.weight", "features.weight", "realness.weight"}
    assert not any(name.startswith(("blocks", "from_rgb.1", "from_rgb.2")) for name in moved)


def test_the_losses_are_those_it_is_asked_for() -> None:
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([-1.0, 0.0])
    critic = ProGan(drift=0.001)
    assert critic.discriminator_loss(real, fake).item() == pytest.approx(-2.5 + 0.001 * 5)
    assert critic.generator_loss(fake, None).item() == pytest.approx(0.5)
    logistic = ProGan(loss="logistic")
    softplus = torch.nn.functional.softplus
    expected = (softplus(-real).mean() + softplus(fake).mean()).item()
    assert logistic.discriminator_loss(real, fake).item() == pytest.approx(expected)
    assert logistic.generator_loss(fake, None).item() == softplus(-fake).mean().item()


def test_a_level_without_time_is_refused() -> None:
    with pytest.raises(ConfigError, match="wanted a length above 0 for every level"):
        ProGan.parse({"shares": [1.0, 0.0]})
