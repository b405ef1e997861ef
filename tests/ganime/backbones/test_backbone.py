import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganime.backbones import BackboneConfig, load_backbone
from ganime.backbones.backbone import normalise, resize_uint8
from ganime.backbones.networks import Trunk, build_trunk, fuse_norms, read_state_dict
from ganime.errors import ConfigError, WeightsError
from ganime.vision import torchvision

SHARED = Path(os.environ.get("GANIME_SHARED", Path(__file__).parents[4] / "shared"))
MOBILENET = SHARED / "weights" / "mobilenet_v2-imagenet.pth"
PHOTOS = SHARED / "real" / "photos"


def pictures(count: int, side: int = 48, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def small(**settings: object) -> BackboneConfig:
    return BackboneConfig.parse({"weights": "none", "size": 32, "batch": 4, **settings})


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    weights: dict[str, torch.Tensor] = torchvision.models.resnet18(weights=None).state_dict()
    return weights


def test_features_are_float32_of_the_promised_length() -> None:
    backbone = load_backbone(small())

    features = backbone.features(pictures(5))

    assert features.shape == (5, backbone.dim) == (5, 512)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2", "vgg16"])
def test_descriptions_begin_with_the_features_and_add_the_middle(architecture: str) -> None:
    backbone = load_backbone(small(architecture=architecture, size=64))
    images = pictures(3)
    described = backbone.descriptions(images)
    assert described.shape == (3, backbone.description_dim)
    np.testing.assert_array_equal(described[:, : backbone.dim], backbone.features(images))
    middle = described[:, backbone.dim :]
    whole, quarters = np.split(middle, [middle.shape[1] // 5], axis=1)
    np.testing.assert_allclose(
        quarters.reshape(3, whole.shape[1], 4).mean(axis=2), whole, rtol=1e-3, atol=1e-4
    )


def test_no_images_give_no_features() -> None:
    assert load_backbone(small()).features(pictures(0)).shape == (0, 512)


def test_an_image_has_the_same_features_in_any_company() -> None:
    backbone = load_backbone(small())
    images = pictures(9)

    together = backbone.features(images)

    np.testing.assert_array_equal(backbone.features(images[6:]), together[6:])
    np.testing.assert_array_equal(backbone.features(images[::-1])[::-1], together)


def test_random_weights_repeat_and_depend_on_the_seed(caplog: pytest.LogCaptureFixture) -> None:
    one, same, other = (load_backbone(small(seed=seed)) for seed in (1, 1, 2))

    assert one.id == same.id != other.id
    assert one.name == "resnet18_random"
    assert "random weights" in caplog.text


@pytest.mark.parametrize(
    ("architecture", "dim"),
    [("resnet18", 512), ("resnet34", 512), ("resnet50", 2048), ("mobilenet_v2", 1280)],
)
def test_every_architecture_agrees_with_torchvisions_own_forward(
    architecture: str, dim: int
) -> None:
    config = small(architecture=architecture, precision="fp32")
    reference = build_trunk(config.architecture, config.seed).network.eval()
    pixels = normalise(resize_uint8(pictures(4), 32))
    if architecture.startswith("resnet"):
        reference.avgpool = torch.nn.AdaptiveAvgPool2d(1)

    with torch.inference_mode():
        expected = reference(pixels)
    features = load_backbone(config).features(pictures(4))

    assert features.shape == (4, dim)
    np.testing.assert_allclose(features, expected.numpy(), rtol=1e-3, atol=1e-3)


def test_folding_batch_norms_changes_no_feature() -> None:
    trunk = Trunk("resnet18").eval()
    with torch.no_grad():
        for module in trunk.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        before = trunk(pixels)
        fuse_norms(trunk)
        after = trunk(pixels)

    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in trunk.modules())
    torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-3)


def test_bfloat16_stays_close_to_float32() -> None:
    exact, rounded = (
        load_backbone(small(precision=p)).features(pictures(8)) for p in ("fp32", "bf16")
    )

    assert np.linalg.norm(exact - rounded) < 0.02 * np.linalg.norm(exact)


def test_weights_are_the_same_in_any_file(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state, tmp_path / "a.pth")
    save_file(state, tmp_path / "b.safetensors")
    # Files of before torchvision 0.2 count no batches.
    old = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "c.pth")

    backbones = [
        load_backbone(small(weights=str(tmp_path / name)))
        for name in ("a.pth", "b.safetensors", "c.pth")
    ]

    assert len({backbone.id for backbone in backbones}) == 1
    assert backbones[0].name == "resnet18"


def test_a_missing_file_says_what_may_be_given(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights file .*nowhere\.pth.*download, tags or"):
        load_backbone(small(weights=str(tmp_path / "nowhere.pth")))


def test_weights_of_another_architecture_are_refused(
    tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    torch.save(state, tmp_path / "resnet18.pth")

    with pytest.raises(WeightsError, match="does not fit torchvision's mobilenet_v2"):
        load_backbone(small(architecture="mobilenet_v2", weights=str(tmp_path / "resnet18.pth")))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.pth", b""),
        ("page.pth", b"<html>404</html>"),
        ("cut.pth", b"PK\x03\x04" + bytes(100)),
        ("cut.safetensors", b"\xff" * 40),
        ("empty.safetensors", b""),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(WeightsError, match="cannot be read as network weights"):
        read_state_dict(tmp_path / name)


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_file_with_code_is_refused_and_its_code_never_runs(tmp_path: Path) -> None:
    torch.save({"fc.weight": Evil(tmp_path / "ran")}, tmp_path / "evil.pth")

    with pytest.raises(WeightsError, match="cannot be read"):
        read_state_dict(tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


def test_something_else_than_a_state_dict_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(2)], tmp_path / "list.pth")

    with pytest.raises(WeightsError, match="holds no state dict"):
        read_state_dict(tmp_path / "list.pth")


def test_a_failed_download_names_the_file_and_the_ways_to_give_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    # A port that nobody listens on: no waiting, no network.
    weights = torchvision.models.ResNet18_Weights.DEFAULT
    broken = weights.value.url.replace("https://download.pytorch.org", "http://127.0.0.1:9")
    monkeypatch.setattr(type(weights), "url", property(lambda self: broken), raising=False)

    with pytest.raises(WeightsError) as caught:
        load_backbone(small(weights="download"))

    message = str(caught.value)
    assert "resnet18-f37072fd.pth" in message
    assert "--backbone-weights PATH" in message
    assert "\n" not in message


def test_weights_in_the_cache_folder_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]
) -> None:
    cache = tmp_path / "checkpoints"
    cache.mkdir()
    torch.save(state, cache / "resnet18-f37072fd.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    assert load_backbone(small(weights="download")).name == "resnet18"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match="sees no CUDA device"):
        load_backbone(small(device="cuda"))


def test_resizing_equals_pillows() -> None:
    from PIL import Image

    image = pictures(1, 64)[0]
    expected = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC))

    resized = resize_uint8(image[None], 32)[0].permute(1, 2, 0).numpy()

    assert np.abs(resized.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.skipif(
    not (MOBILENET.exists() and PHOTOS.exists()),
    reason="the published weights and the photographs are not on this machine",
)
def test_published_weights_tell_photographs_from_noise() -> None:
    from PIL import Image

    backbone = load_backbone(
        BackboneConfig(architecture="mobilenet_v2", weights=str(MOBILENET), size=128)
    )
    photos = np.stack(
        [
            np.asarray(Image.open(path).convert("RGB").resize((128, 128)))
            for path in sorted(PHOTOS.glob("*.*"))[:12]
        ]
    )
    features = backbone.features(np.concatenate([photos, pictures(12, 128)]))

    spread = [np.cov(part, rowvar=False).trace() for part in (features[:12], features[12:])]
    assert backbone.name == "mobilenet_v2"
    assert spread[0] > 3 * spread[1]
