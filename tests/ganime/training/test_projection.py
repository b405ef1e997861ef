import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.gans.dcgan import Dcgan
from ganime.gans.stylegan2 import StyleGan2
from ganime.training.projection import (
    feature_distance,
    noise_strength,
    pixel_distance,
    project,
    ramp,
)
from ganime.training.styles import render

STYLED = StyleGan2(latent=16, channel_base=512, channel_max=16)
PLAIN = Dcgan(latent=16, width_generator=4, widest=16)


def generator(recipe: StyleGan2 | Dcgan, num_tags: int = 0) -> nn.Module:
    torch.manual_seed(0)
    network = recipe.generator(32, num_tags)
    with torch.no_grad():
        for _ in range(20):  # batch norms learn the statistics that evaluation mode uses
            network(torch.randn(64, 16), *([torch.rand(64, num_tags)] if num_tags else []))
    return network.eval()


def own_image(network: nn.Module, *tags: Tensor) -> Tensor:
    torch.manual_seed(99)
    with torch.no_grad():
        image: Tensor = network(torch.randn(1, 16), *tags)[0]
    return image


def latents() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(300, 16)


@pytest.mark.parametrize("each_layer", [False, True])
def test_a_generators_own_image_is_found_again_by_style(each_layer: bool) -> None:
    network = generator(STYLED)
    found = project(network, own_image(network), latents(), steps=60, each_layer=each_layer)
    assert found.distances[-1] < found.distances[0] / 10
    assert found.code.shape == ((network.num_styles, 16) if each_layer else (16,))
    with torch.no_grad():
        assert torch.allclose(render(network, found.code[None])[0], found.image, atol=1e-5)


def test_without_styles_the_latent_is_found() -> None:
    network = generator(PLAIN)
    found = project(network, own_image(network), latents(), steps=60)
    assert found.distances[-1] < found.distances[0] / 10
    assert found.code.shape == (16,)


@pytest.mark.parametrize("recipe", [STYLED, PLAIN])
def test_tags_are_given_not_searched(recipe: StyleGan2 | Dcgan) -> None:
    network, tags = generator(recipe, num_tags=3), torch.tensor([1.0, 0.0, 1.0])
    image = own_image(network, tags[None])
    found = project(network, image, latents(), steps=60, tags=tags)
    assert found.distances[-1] < found.distances[0] / 10


def test_a_search_repeats_and_leaves_the_network_alone() -> None:
    network = generator(STYLED)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = own_image(network)
    found, again = (project(network, image, latents(), steps=8, seed=4) for _ in range(2))
    assert found.distances == again.distances
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_rate_rises_and_falls_and_the_noise_fades() -> None:
    assert ramp(0.0) == 0
    assert ramp(0.025) == pytest.approx(0.5)
    assert ramp(0.05) == ramp(0.75) == 1
    assert ramp(0.875) == pytest.approx(0.5)
    assert noise_strength(0.0) == 0.05
    assert noise_strength(0.375) == pytest.approx(0.05 / 4)
    assert noise_strength(0.8) == 0


def test_the_pixel_distance_averages_over_sides() -> None:
    images = torch.zeros(2, 3, 16, 16)
    images[0] += 0.5  # differs alike on both sides
    images[1, :, ::2] = 1.0  # stripes, which half the side sees as a shift by a half
    distances = pixel_distance(images, torch.zeros(1, 3, 16, 16))
    assert distances.tolist() == pytest.approx([0.25, (0.5 + 0.25) / 2])


def test_features_of_equal_images_are_no_distance_apart() -> None:
    torch.manual_seed(0)
    stages = [nn.Conv2d(3, 8, 3, stride=2), nn.Sequential(nn.ReLU(), nn.Conv2d(8, 8, 3))]
    measure = feature_distance(stages, lambda images: F.interpolate(images, 24))
    images = torch.randn(2, 3, 32, 32)
    assert measure(images, images).abs().max() < 1e-6
    apart = measure(images, images.flip(0))
    assert apart[0].item() == pytest.approx(apart[1].item(), rel=1e-4)
    assert 0 < apart[0] < 2 * 4  # two stages, unit vectors
    assert torch.allclose(measure(images, images[:1])[1], apart[1], rtol=1e-4)


def test_a_search_by_features_comes_nearer() -> None:
    network = generator(STYLED)
    torch.manual_seed(0)
    measure = feature_distance([nn.Conv2d(3, 16, 3, stride=2)], lambda images: images)
    found = project(network, own_image(network), latents(), steps=60, distance=measure)
    assert found.distances[-1] < found.distances[0] / 10
