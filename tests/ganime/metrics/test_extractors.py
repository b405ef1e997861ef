from pathlib import Path

import numpy as np
import pytest
import torch

from ganime.backbones import BackboneConfig, load_backbone
from ganime.errors import WeightsError
from ganime.metrics.extractors import BackboneExtractor, inception_extractor
from ganime.metrics.inception import FILE_NAME, build_network
from ganime.vision import torchvision


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / FILE_NAME
    torch.save(build_network().state_dict(), path)
    return path


def test_a_backbone_names_its_distance_after_itself() -> None:
    backbone = load_backbone(BackboneConfig(weights="none", size=32))

    extractor = BackboneExtractor(backbone)

    assert extractor.metric == "fd_resnet18_random"
    assert extractor.weights_digest == backbone.weights_digest
    assert extractor.resize == "bicubic-antialias-uint8-32"


@pytest.mark.parametrize("path", ["", "nowhere/weights.pth", "."])
def test_missing_inception_weights_say_which_file_is_wanted(path: str) -> None:
    with pytest.raises(WeightsError, match=rf"{FILE_NAME}.*--inception-weights PATH"):
        inception_extractor(path)


def test_torchvisions_own_inception_weights_are_refused(tmp_path: Path) -> None:
    network = torchvision.models.inception_v3(weights=None, init_weights=False)
    torch.save(network.state_dict(), tmp_path / "inception_v3.pth")

    with pytest.raises(WeightsError, match="are others and give other numbers"):
        inception_extractor(str(tmp_path / "inception_v3.pth"))


def test_only_the_published_weights_are_called_fid(weights: Path) -> None:
    extractor = inception_extractor(str(weights))

    assert extractor.metric == "fd_inception_v3"
    assert extractor.dim == 2048


def test_inception_has_the_published_layout() -> None:
    state = build_network().state_dict()

    # As counted in pytorch-fid's network: 94 convolutions with a batch norm each, and one head.
    assert sum(name.endswith("conv.weight") for name in state) == 94
    assert state["fc.weight"].shape == (1008, 2048)
    assert not any(name.startswith("AuxLogits") for name in state)
    assert state["Mixed_5b.branch_pool.conv.weight"].shape == (32, 192, 1, 1)
    assert state["Mixed_7c.branch_pool.conv.weight"].shape == (192, 2048, 1, 1)


def test_inception_differs_from_torchvisions_in_its_pools_only() -> None:
    torch.manual_seed(1)
    ours = build_network().eval()
    theirs = torchvision.models.inception_v3(
        weights=None, num_classes=1008, aux_logits=False, transform_input=False, init_weights=False
    ).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    maps = torch.rand(1, 192, 9, 9)
    with torch.inference_mode():
        mine, other = ours.Mixed_5b(maps), theirs.Mixed_5b(maps)

    torch.testing.assert_close(mine[:, :224], other[:, :224])  # the three other branches
    torch.testing.assert_close(mine[:, 224:, 2:-2, 2:-2], other[:, 224:, 2:-2, 2:-2])
    assert not torch.allclose(mine[:, 224:, 0], other[:, 224:, 0])  # the padding is not counted


@pytest.mark.slow
def test_inception_gives_2048_features(weights: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    extractor = inception_extractor(str(weights))

    features = extractor.features(images)

    assert features.shape == (3, 2048)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, extractor.features(images))
