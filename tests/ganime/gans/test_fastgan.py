import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganime.gans import Step
from ganime.gans.fastgan import Discriminator, Excitation, FastGan, Generator
from ganime.gans.layers import GatedLinearUnit

SMALL = FastGan(latent=8, tag_width=4, width_generator=4, width_discriminator=4, widest=16)
DRAWING = SMALL.model_copy(update={"reconstruction": 1.0, "reconstruction_share": 0.5})
NOW = Step(nimg=0, total=100, batch=4)


def test_an_image_is_judged_as_a_whole_and_in_25_parts() -> None:
    logits = SMALL.discriminator(64)(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 26)


def test_a_part_is_judged_by_its_own_pixels_alone() -> None:
    network = SMALL.discriminator(64).eval()
    images = torch.zeros(1, 3, 64, 64, requires_grad=True)
    network(images)[0, 1].backward()  # the part at the top left
    assert images.grad is not None
    seen = images.grad[0].abs().sum(dim=0) > 0
    assert seen[:32, :32].any()
    assert not seen[-8:].any()
    assert not seen[:, -8:].any()


def test_fine_features_are_scaled_by_coarse_ones_channel_by_channel() -> None:
    excitation = Excitation(coarse=5, fine=3)
    coarse, fine = torch.randn(2, 5, 8, 8), torch.randn(2, 3, 64, 64)
    gain = excitation(coarse, fine) / fine
    assert torch.allclose(gain, gain[:, :, :1, :1].expand_as(gain), atol=1e-5)
    assert ((gain > 0) & (gain < 1)).all()
    pooled = F.adaptive_avg_pool2d(coarse, 4)
    _, gather, slope, mix, gate = excitation.layers
    assert torch.allclose(gate(mix(slope(gather(pooled))))[:, :, 0, 0], gain[:, :, 0, 0], atol=1e-5)


@pytest.mark.parametrize(("resolution", "number"), [(32, 0), (64, 1), (128, 2), (256, 3)])
def test_an_excitation_leaps_over_three_doublings(resolution: int, number: int) -> None:
    generator = SMALL.generator(resolution)
    assert isinstance(generator, Generator)
    assert len(generator.excitations) == number
    assert not SMALL.model_copy(update={"excitation": False}).generator(resolution).excitations


def test_gates_halve_the_channels() -> None:
    generator = SMALL.generator(64)
    assert isinstance(generator, Generator)
    assert isinstance(generator.start[2], GatedLinearUnit)
    assert generator.start(torch.randn(2, 8)).shape == (2, 16, 4, 4)


def test_the_losses_are_the_cross_entropies_over_all_parts() -> None:
    real, fake = torch.tensor([[2.0, -1.0]]), torch.tensor([[-2.0, 0.5]])

    def entropy(logit: float, label: float) -> float:
        real = 1 / (1 + math.exp(-logit))
        return -label * math.log(real) - (1 - label) * math.log(1 - real)

    wanted = (entropy(2, 0.9) + entropy(-1, 0.9)) / 2 + (entropy(-2, 0) + entropy(0.5, 0)) / 2
    assert SMALL.discriminator_loss(real, fake).item() == pytest.approx(wanted, rel=1e-5)
    wanted = (entropy(-2, 1) + entropy(0.5, 1)) / 2
    assert SMALL.generator_loss(fake, None).item() == pytest.approx(wanted, rel=1e-5)


def test_the_papers_loss_is_the_hinge() -> None:
    hinge = SMALL.model_copy(update={"loss": "hinge"})
    real, fake = torch.tensor([[2.0, -1.0]]), torch.tensor([[-2.0, 0.5]])
    assert hinge.discriminator_loss(real, fake).item() == pytest.approx((0 + 2) / 2 + (0 + 1.5) / 2)
    assert hinge.generator_loss(fake, None).item() == pytest.approx(0.75)


def test_reals_are_drawn_again_at_half_their_side() -> None:
    network = DRAWING.discriminator(64).eval()
    assert isinstance(network, Discriminator)
    real = torch.rand(4, 3, 64, 64) * 2 - 1
    again = network.drawn_again(real[:2])
    assert again.shape == (2, 3, 32, 32)
    penalty = DRAWING.discriminator_penalty(network, real, real, NOW)
    assert penalty is not None
    expected = (again - F.avg_pool2d(real[:2], 2)).abs().mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-5)


def test_drawing_again_teaches_the_features_and_not_the_judgement() -> None:
    network = DRAWING.discriminator(32)
    penalty = DRAWING.discriminator_penalty(network, *_images(), NOW)
    assert penalty is not None
    penalty.backward()
    taught = {
        name.split(".")[0] for name, item in network.named_parameters() if item.grad is not None
    }
    assert taught == {"parts", "decoder"}


def test_without_weight_nothing_is_drawn_again() -> None:
    assert SMALL.discriminator_penalty(SMALL.discriminator(32), *_images(), NOW) is None
    assert not [name for name, _ in SMALL.discriminator(32).named_parameters() if "decoder" in name]


def _images() -> tuple[Tensor, Tensor]:
    return torch.randn(4, 3, 32, 32), torch.randn(4, 3, 32, 32)
