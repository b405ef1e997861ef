import pytest
import torch
from torch.nn import functional as F

from ganime.gans.layers import (
    EqualisedLinear,
    GatedLinearUnit,
    LatentToMap,
    MinibatchDeviation,
    TagEmbedding,
    TagProjection,
    pixel_norm,
    widths_between,
    with_fit,
    with_tags,
)


def test_widths_halve_up_to_the_widest() -> None:
    assert widths_between(64, 512, 64) == [512, 256, 128, 64]
    assert widths_between(64, 200, 64) == [200, 200, 128, 64]
    assert widths_between(8, 512, 32) == [32, 16, 8]


def test_a_latent_becomes_a_map_as_by_a_transposed_convolution_over_one_pixel() -> None:
    layer, z = LatentToMap(5, 3), torch.randn(2, 5)
    weight = layer.linear.weight.view(4, 4, 3, 5).permute(3, 2, 0, 1)
    wanted = F.conv_transpose2d(z[:, :, None, None], weight)
    assert torch.allclose(layer(z), wanted, atol=1e-6)
    assert layer(z).is_contiguous(memory_format=torch.channels_last)


def test_gates_and_their_gradients_are_torchs() -> None:
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.equal(GatedLinearUnit()(x), F.glu(x, dim=1))
    assert torch.autograd.gradcheck(GatedLinearUnit(), x)


def test_gradients_of_gates_stay_channels_last() -> None:
    x = torch.randn(2, 6, 4, 4).contiguous(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(GatedLinearUnit()(x).square().sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_images_that_are_equal_have_no_deviation() -> None:
    features = torch.ones(4, 2, 3, 3)
    added = MinibatchDeviation(4)(features)
    assert added.shape == (4, 3, 3, 3)
    assert added[:, 2].max() < 1e-3


def test_the_deviation_is_that_of_the_group() -> None:
    features = torch.zeros(4, 1, 2, 2)
    features[2] = 2.0  # the second pair is 2 and 0: deviation 1
    added = MinibatchDeviation(2)(features)
    assert added[:2, 1].max() < 1e-3
    assert added[2:, 1].mean().item() == pytest.approx(1.0, rel=1e-5)


def test_pixel_norm_leaves_every_place_at_unit_mean_square() -> None:
    normalised = pixel_norm(5.0 * torch.randn(2, 16, 3, 3))
    assert torch.allclose(normalised.square().mean(dim=1), torch.ones(2, 3, 3), atol=1e-5)


def test_an_equalised_layer_learns_at_the_pace_of_its_multiplier() -> None:
    # Adam moves every weight by about the rate; what comes out then moves by rate and multiplier.
    moved = []
    for multiplier in (1.0, 0.01):
        torch.manual_seed(0)
        layer, x = EqualisedLinear(64, 64, lr_multiplier=multiplier), torch.randn(8, 64)
        before = layer(x).detach()
        optimiser = torch.optim.Adam(layer.parameters(), 1e-3)
        layer(x).square().mean().backward()
        optimiser.step()
        moved.append((layer(x) - before).norm().item())
    assert moved[1] / moved[0] == pytest.approx(0.01, rel=0.05)


def test_embedded_tags_have_unit_variance_whatever_their_number() -> None:
    embedding = TagEmbedding(5, 64)
    tags = torch.tensor([[1.0, 0, 0, 0, 0], [1.0, 1, 1, 1, 0], [0.0, 0, 0, 0, 0]])
    squares = embedding(tags).square().mean(dim=1)
    assert squares.tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-5)


def test_the_projection_is_the_product_of_gathered_features_with_the_tags_vector() -> None:
    projection, features = TagProjection(3, 4, width=16), torch.randn(2, 4)
    tags = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert projection(features, tags).tolist() == [0.0, 0.0]  # as it starts
    torch.nn.init.normal_(projection.gather.weight)
    vector = projection.embedding(tags)[0]
    expected = (projection.gather.weight @ features[0] @ vector).item() / 4.0
    assert projection(features, tags).tolist() == pytest.approx([expected, 0.0], abs=1e-6)


def test_a_projection_that_starts_at_zero_learns_from_its_first_update() -> None:
    projection, features = TagProjection(3, 4), torch.randn(2, 4)
    projection(features, torch.eye(3)[:2]).sum().backward()
    assert projection.gather.weight.grad is not None
    assert projection.gather.weight.grad.abs().sum() > 0


def test_tags_stand_behind_the_latent_and_raise_the_logits() -> None:
    z, tags, embedding = torch.randn(2, 6), torch.ones(2, 3), TagEmbedding(3, 4)
    assert torch.equal(with_tags(z, embedding, tags), torch.cat([z, embedding(tags)], dim=1))
    assert torch.equal(with_tags(z, None, None), z)
    logits, features, projection = torch.zeros(2), torch.randn(2, 4), TagProjection(3, 4)
    torch.nn.init.normal_(projection.gather.weight)
    assert torch.equal(with_fit(logits, features, projection, tags), projection(features, tags))
    assert with_fit(logits, features, None, None) is logits


@pytest.mark.parametrize("shape", [(2,), (2, 5)])
def test_images_are_judged_for_several_tags_at_once(shape: tuple[int, ...]) -> None:
    logits, features, projection = torch.randn(shape), torch.randn(2, 4), TagProjection(3, 4)
    torch.nn.init.normal_(projection.gather.weight)
    own, others = torch.eye(3)[:2], torch.eye(3)[1:]
    judged = with_fit(logits, features, projection, torch.cat([own, others]))
    apart = [with_fit(logits, features, projection, tags) for tags in (own, others)]
    torch.testing.assert_close(judged, torch.cat(apart))


def test_tags_that_are_missing_or_too_many_are_named() -> None:
    z, tags = torch.randn(2, 6), torch.ones(2, 3)
    with pytest.raises(ValueError, match="with conditions wants tags"):
        with_tags(z, TagEmbedding(3, 4), None)
    with pytest.raises(ValueError, match="takes no tags"):
        with_fit(torch.zeros(2), z, None, tags)
