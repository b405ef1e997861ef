from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from ganime.backbones.networks import build_trunk
from ganime.errors import WeightsError
from ganime.gans import GANS
from ganime.gans.projected import Discriminator, Mixing, Projected
from ganime.store.workspace import Workspace

SMALL = Projected.model_validate(
    {
        "latent": 8,
        "width_generator": 8,
        "width_discriminator": 8,
        "widest": 16,
        "mixed": 8,
        "features": {"weights": "none"},
    }
)


def discriminator(recipe: Projected = SMALL, num_tags: int = 0) -> Discriminator:
    torch.manual_seed(0)
    built = recipe.discriminator(64, num_tags)
    assert isinstance(built, Discriminator)
    return built


@pytest.mark.parametrize(("side", "enlarged"), [(32, 2), (64, 1), (128, 1)])
def test_the_coarsest_features_have_four_pixels_a_side_at_least(side: int, enlarged: int) -> None:
    built = SMALL.discriminator(side)
    assert isinstance(built, Discriminator)
    assert built.enlarge == enlarged
    maps = built.features(torch.zeros(1, 3, side * enlarged, side * enlarged))
    assert maps[-1].shape[2] == max(side, 64) // 16


def test_each_scale_and_the_pixels_have_their_say() -> None:
    images = torch.rand(4, 3, 64, 64) * 2 - 1
    assert discriminator()(images).shape == (4, 3 * (16 + 8) + 26)
    blind = SMALL.model_copy(update={"pixels": False})
    assert discriminator(blind)(images).shape == (4, 3 * (16 + 8))


def test_the_whole_counts_as_eight_places_of_each_scale() -> None:
    scale = discriminator().scales[0]
    maps = torch.randn(2, 8, 16, 16)
    logits, seen = scale(maps)
    assert logits.shape == (2, 24)
    assert torch.equal(logits[:, 16:], logits[:, 16:17].expand(2, 8))
    assert torch.allclose(
        logits[:, 16], (seen * scale.realness.weight).sum(dim=(1, 2, 3)), atol=1e-5
    )


def test_what_is_frozen_is_neither_trained_nor_saved() -> None:
    built = discriminator()
    trained = {name.split(".")[0] for name, _ in built.named_parameters()}
    assert trained == {"scales", "pixels"}
    assert {name.split(".")[0] for name in built.state_dict()} == {"scales", "pixels"}
    built.requires_grad_(False)
    built.requires_grad_(True)
    assert not any(buffer.requires_grad for buffer in built.buffers())


def test_gradients_reach_the_images_through_the_features() -> None:
    built = discriminator(SMALL.model_copy(update={"pixels": False}))
    images = torch.zeros(2, 3, 64, 64, requires_grad=True)
    built(images).sum().backward()
    assert images.grad is not None
    assert images.grad.abs().sum() > 0


def test_mixing_goes_from_coarse_to_fine_and_keeps_the_variance() -> None:
    torch.manual_seed(0)
    mixing = Mixing([12, 20, 30], 64)
    maps = [torch.randn(4, channels, side, side) for channels, side in ((12, 16), (20, 8), (30, 4))]
    mixed = mixing(maps)
    assert [list(found.shape) for found in mixed] == [
        [4, 64, 16, 16],
        [4, 64, 8, 8],
        [4, 64, 4, 4],
    ]
    for found in mixed:
        assert found.var().item() == pytest.approx(1.0, rel=0.25)
    changed = [*maps[:2], maps[2] + 1]
    assert all(
        not torch.equal(one, other) for one, other in zip(mixing(changed), mixed, strict=True)
    )
    changed = [maps[0] + 1, *maps[1:]]
    assert torch.equal(mixing(changed)[1], mixed[1])  # the fine tell the coarse nothing


def test_mixing_is_drawn_again_alike_from_the_same_seed() -> None:
    images = torch.rand(2, 3, 64, 64)
    one, other = discriminator(), discriminator()
    assert torch.equal(one(images), other(images))


def test_the_loss_is_the_cross_entropy_over_all_places() -> None:
    real, fake = torch.randn(2, 48), torch.randn(2, 48)
    smoothed = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
    wanted = smoothed + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert SMALL.discriminator_loss(real, fake).item() == pytest.approx(wanted.item(), rel=1e-5)
    wanted = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    assert SMALL.generator_loss(fake, None).item() == pytest.approx(wanted.item(), rel=1e-5)


def with_weights(weights: str) -> Projected:
    features = {"architecture": "mobilenet_v2", "weights": weights}
    built = GANS.build({**SMALL.model_dump(), "features": features})
    assert isinstance(built, Projected)
    return built


def test_a_download_that_fails_tells_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise URLError("unreachable")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(WeightsError) as told:
        with_weights("download").discriminator(64)
    for way in ("recipe.features.weights=PATH", "put it into", "weights=tags", "fastgan"):
        assert way in str(told.value)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no weights file .*absent\.pth"):
        with_weights(str(tmp_path / "absent.pth")).discriminator(64)
    with pytest.raises(WeightsError, match="no mobilenet_v2 was learned from tags in"):
        with_weights("tags").located(Workspace(str(tmp_path)))


def test_weights_learned_from_tags_are_found_in_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    path = tmp_path / "backbones" / "mobilenet_v2-tags-0" / "weights.safetensors"
    path.parent.mkdir(parents=True)
    save_file(build_trunk("mobilenet_v2", 5).network.state_dict(), path)
    located = with_weights("tags").located(workspace)
    assert located.features.weights == str(path)
    assert located.discriminator(64)(torch.zeros(2, 3, 64, 64)).isfinite().all()


def test_other_weights_are_another_input(tmp_path: Path) -> None:
    digests = set()
    for seed in (1, 2):
        path = tmp_path / f"{seed}.safetensors"
        save_file(build_trunk("mobilenet_v2", seed).network.state_dict(), path)
        digests.add(with_weights(str(path)).digest_of_inputs())
    assert len(digests) == 2
    assert SMALL.digest_of_inputs() == ""
