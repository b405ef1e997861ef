import pytest
import torch

from ganime.augmentations import AUGMENTATIONS, Augmentation


@pytest.fixture(params=AUGMENTATIONS.names())
def augmentation(request: pytest.FixtureRequest) -> Augmentation:
    built: Augmentation = AUGMENTATIONS.build(request.param)
    return built


def test_shapes_and_settings_survive(augmentation: Augmentation) -> None:
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    assert augmentation.augmenter()(images).shape == images.shape
    assert AUGMENTATIONS.build(augmentation.model_dump(mode="json")) == augmentation


def test_one_seed_gives_one_result(augmentation: Augmentation) -> None:
    images = torch.rand(4, 3, 32, 32)
    augmenter = augmentation.augmenter()
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(augmenter(images))
    assert torch.equal(*results)
