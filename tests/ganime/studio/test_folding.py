import copy

import pytest
import torch
from torch import nn

from ganime.gans import Recipe
from ganime.gans.dcgan import Dcgan
from ganime.gans.fastgan import FastGan
from ganime.gans.r3gan import R3gan
from ganime.gans.stylegan2 import StyleGan2
from ganime.studio.folding import SteadyLinear, folded
from ganime.training.generator import Blueprint, Generator

RECIPES: list[Recipe] = [
    Dcgan(latent=16, width_generator=8, widest=32),
    Dcgan(latent=16, width_generator=8, widest=32, upsampling="transposed"),
    FastGan(latent=16, width_generator=8, widest=32),
    R3gan(latent=16, width=8, widest=32),
    StyleGan2(latent=16, channel_base=512, channel_max=16),
]


def trained(recipe: Recipe) -> Generator:
    """A generator whose norms have seen something, in double precision."""
    torch.manual_seed(0)
    network = Blueprint(recipe, 32).network()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.bias, 0, 0.3)
            nn.init.normal_(layer.running_mean, 0, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(layer.running_var, 0.1, 0.4)  # type: ignore[arg-type]
    return Generator(network.double(), Blueprint(recipe, 32), 1)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: type(recipe).__name__)
def test_what_is_folded_draws_the_same(recipe: Recipe) -> None:
    network = trained(recipe).network
    kept = copy.deepcopy(network.state_dict())
    z = Blueprint(recipe, 32).latents(3, 0).double()
    expected, found = network(z), folded(network)(z)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    assert all(torch.equal(kept[name], one) for name, one in network.state_dict().items())


def test_doubling_and_norms_are_gone_from_a_chain_of_convolutions() -> None:
    layers = list(folded(trained(RECIPES[0]).network).modules())
    kinds = {type(layer) for layer in layers}
    assert nn.ConvTranspose2d in kinds
    assert nn.Upsample not in kinds
    # Only what draws the three colours is a convolution that keeps the side.
    assert [layer.out_channels for layer in layers if isinstance(layer, nn.Conv2d)] == [12]


def test_what_only_looks_alike_is_left_alone() -> None:
    layers = nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(3, 3, 3, padding=1),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(3, 3, 5, padding=2),
    ).eval()
    x = torch.rand(2, 3, 4, 4)
    found = folded(layers)
    assert [type(layer) for layer in found] == [type(layer) for layer in layers]
    torch.testing.assert_close(found(x), layers(x))


def test_rows_of_a_linear_layer_owe_nothing_to_each_other() -> None:
    torch.manual_seed(0)
    layer = folded(nn.Sequential(nn.Linear(128, 300)).eval()).get_submodule("0")
    assert isinstance(layer, SteadyLinear)
    x = torch.randn(33, 128)
    whole = layer(x)
    for num in (1, 2, 7, 8, 9, 33):
        assert torch.equal(layer(x[:num]), whole[:num])
    assert torch.equal(layer(x.reshape(3, 11, 128)).reshape(33, 300), whole)
