import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.backbones import BackboneConfig, load_backbone
from ganime.backbones.fid_inception import build_network
from ganime.errors import ConfigError, WeightsError
from ganime.metrics.extractors import EXTRACTORS, Extractor, metric_name
from ganime.metrics.extractors.backbone import BackboneExtractor
from ganime.metrics.extractors.dinov2 import Dinov2Network
from ganime.metrics.extractors.inception import PUBLISHED, Inception
from ganime.metrics.extractors.resizing import RESIZINGS, bilinear, clean, first_tensorflow
from ganime.metrics.extractors.weights import find_weights
from ganime.vision import torchvision

WAYS = r"--inception-weights PATH.*GANIME_WEIGHTS.*download it from https://github\.com/mseitzer"


def images(count: int, side: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def opened(settings: dict[str, object]) -> Extractor:
    return EXTRACTORS.build(settings).open(None)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(build_network().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def published(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the random weights under the published name: the real ones are 90 MB."""
    folder = tmp_path_factory.mktemp("folder")
    (folder / PUBLISHED.names[0]).hardlink_to(weights)
    return folder


def test_every_extractor_is_found_by_its_name() -> None:
    assert EXTRACTORS.names() == ["backbone", "dinov2", "inception", "torchvision"]


def test_a_backbone_names_its_distance_after_itself() -> None:
    backbone = load_backbone(BackboneConfig(weights="none", size=32))

    extractor = BackboneExtractor(backbone)

    assert extractor.metric == "fd_resnet18_random"
    assert extractor.weights_digest == backbone.weights_digest
    assert extractor.resize == "bicubic-antialias-uint8-32"
    assert metric_name("kid", extractor) == "kid_resnet18_random"
    np.testing.assert_array_equal(extractor.features(images(2)), backbone.features(images(2)))


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((2, 8, 8, 3), np.float32), np.zeros((2, 3, 8, 8), np.uint8), np.zeros(4, np.uint8)],
)
def test_images_that_nobody_quantised_are_refused(wrong: np.ndarray) -> None:
    extractor = opened({"name": "backbone", "backbone": {"weights": "none", "size": 32}})

    with pytest.raises(ConfigError, match="wanted uint8 sRGB"):
        extractor.features(wrong)


@pytest.mark.parametrize("path", ["", "nowhere/weights.pth", "."])
def test_missing_inception_weights_say_which_file_and_three_ways(path: str) -> None:
    with pytest.raises(WeightsError, match=rf"{PUBLISHED.names[0]} \(SHA-256 6726825d….*{WAYS}"):
        find_weights(PUBLISHED, path)


def test_a_folder_is_searched_for_either_name(weights: Path, tmp_path: Path) -> None:
    (tmp_path / PUBLISHED.names[1]).hardlink_to(weights)

    assert find_weights(PUBLISHED, str(tmp_path)) == tmp_path / PUBLISHED.names[1]


def test_the_machines_folder_of_weights_comes_before_the_network(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANIME_WEIGHTS", str(published))

    assert find_weights(PUBLISHED, "download") == published / PUBLISHED.names[0]


def test_a_failed_download_says_the_three_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GANIME_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    nowhere = (tmp_path / "nowhere.pth").as_uri()
    file = PUBLISHED.__class__("FID", PUBLISHED.names, PUBLISHED.sha256, nowhere, "--option")

    with pytest.raises(WeightsError, match=r"cannot be downloaded.*--option PATH.*GANIME_WEIGHTS"):
        find_weights(file, "download")


def test_a_download_is_kept_only_with_the_expected_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GANIME_WEIGHTS", raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    source = tmp_path / "source.pth"
    source.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    right = PUBLISHED.__class__("FID", ("a.pth",), digest[:8], source.as_uri(), "--option")
    wrong = PUBLISHED.__class__("FID", ("b.pth",), "00000000", source.as_uri(), "--option")

    assert find_weights(right, "download").read_bytes() == b"weights"
    with pytest.raises(WeightsError, match="invalid hash value"):
        find_weights(wrong, "download")
    assert [path.name for path in (tmp_path / "cache/checkpoints").iterdir()] == ["a.pth"]


def test_bytes_that_are_not_those_of_the_name_are_refused(published: Path) -> None:
    with pytest.raises(WeightsError, match=rf"and not the 6726825d… of its name.*{WAYS}"):
        opened({"name": "inception", "weights": str(published)})


def test_torchvisions_own_inception_weights_are_refused(tmp_path: Path) -> None:
    network = torchvision.models.inception_v3(weights=None, init_weights=False)
    torch.save(network.state_dict(), tmp_path / "inception_v3.pth")

    with pytest.raises(WeightsError, match="are others and give other numbers"):
        opened({"name": "inception", "weights": str(tmp_path / "inception_v3.pth")})


def test_only_the_published_weights_are_called_fid(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Inception(weights)
    prefix = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(
        "ganime.metrics.extractors.inception.PUBLISHED",
        PUBLISHED.__class__("FID", PUBLISHED.names, prefix, PUBLISHED.url, PUBLISHED.option),
    )
    same = Inception(weights)

    assert (other.metric, other.dim, other.head.shape) == ("fd_inception_v3", 2048, (2048, 1008))
    assert metric_name("fd", other) == "fd_inception_v3"
    assert metric_name("kid", other) == "kid_inception_v3"
    assert [metric_name(base, same) for base in ("fd", "kid")] == ["fid", "kid"]
    assert other.weights_digest.startswith(prefix)


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
def test_inception_gives_an_image_the_same_features_in_any_company(weights: Path) -> None:
    extractor = Inception(weights)

    features = extractor.features(images(3))

    assert features.shape == (3, 2048)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features[1:2], extractor.features(images(3)[1:2]))


@pytest.mark.slow
def test_folding_norms_away_and_bf16_move_inceptions_features_little(weights: Path) -> None:
    network = build_network().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.fc = torch.nn.Identity()
    pictures = images(2, 299)
    pixels = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - 128) / 128
    with torch.inference_mode():
        expected = network(pixels).numpy()

    exact = Inception(weights).features(pictures)
    half = Inception(weights, "bf16")

    np.testing.assert_allclose(exact, expected, rtol=1e-3, atol=1e-4 * expected.max())
    assert half.resize == "bicubic-antialias-uint8-299-bf16"
    shift = np.linalg.norm(half.features(pictures) - exact) / np.linalg.norm(exact)
    assert 0 < shift < 0.05


@pytest.mark.parametrize("architecture", ["squeezenet1_1", "inception_v3", "resnet"])
def test_what_torchvision_cannot_measure_with_is_refused(architecture: str) -> None:
    with pytest.raises(ValueError, match=rf"{architecture}.*known: alexnet, "):
        EXTRACTORS.build({"name": "torchvision", "architecture": architecture})


@pytest.mark.parametrize(
    ("architecture", "dim"), [("shufflenet_v2_x0_5", 1024), ("mobilenet_v3_small", 1024)]
)
def test_any_classifier_of_torchvisions_gives_what_its_last_layer_reads(
    architecture: str, dim: int, tmp_path: Path
) -> None:
    torch.manual_seed(2)
    network = torchvision.models.get_model(architecture, weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    extractor = opened(
        {"name": "torchvision", "architecture": architecture, "weights": str(tmp_path / "w.pth")}
    )

    features = extractor.features(images(1))

    assert extractor.metric == f"fd_{architecture}"
    assert features.shape == (1, dim)


def test_architectures_that_backbones_know_are_measured_by_those(tmp_path: Path) -> None:
    network = torchvision.models.resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "w.pth")

    extractor = opened(
        {"name": "torchvision", "architecture": "resnet18", "weights": str(tmp_path / "w.pth")}
    )

    assert isinstance(extractor, BackboneExtractor)
    assert extractor.metric == "fd_resnet18"


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "w.pth")

    with pytest.raises(WeightsError, match="does not fit torchvision's shufflenet_v2_x0_5"):
        opened(
            {
                "name": "torchvision",
                "architecture": "shufflenet_v2_x0_5",
                "weights": str(tmp_path / "w.pth"),
            }
        )


@pytest.mark.parametrize(("registers", "name"), [(0, "dinov2_vits14"), (4, "dinov2_vits14_reg")])
def test_dinov2_reads_its_size_off_the_weights(registers: int, name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Dinov2Network(384, 2, 5, registers).eval()
    torch.nn.init.normal_(network.pos_embed)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    extractor = opened({"name": "dinov2", "weights": str(tmp_path / "w.pth"), "size": 56})

    features = extractor.features(images(3))

    assert (extractor.metric, extractor.dim) == (f"fd_{name}", 384)
    assert features.shape == (3, 384)
    assert np.abs(features.mean(axis=1)).max() < 1e-3  # normalised


def test_dinov2_is_torchs_own_transformer_where_both_are_defined() -> None:
    torch.manual_seed(4)
    network = Dinov2Network(384, 1, 2, 0).eval()
    block = network.blocks[0]
    layer = torch.nn.TransformerEncoderLayer(
        *(384, 6, 1536, 0.0, "gelu", 1e-6), batch_first=True, norm_first=True
    ).eval()
    pairs = {
        "self_attn.in_proj_": block.attn.qkv,
        "self_attn.out_proj.": block.attn.proj,
        "linear1.": block.mlp["fc1"],
        "linear2.": block.mlp["fc2"],
        "norm1.": block.norm1,
        "norm2.": block.norm2,
    }
    layer.load_state_dict(
        {f"{a}{kind}": getattr(b, kind) for a, b in pairs.items() for kind in ("weight", "bias")}
    )
    tokens = torch.randn(2, 5, 384)

    with torch.inference_mode():
        torch.testing.assert_close(block(tokens), layer(tokens), rtol=1e-4, atol=1e-5)


def test_other_files_are_no_dinov2(tmp_path: Path) -> None:
    torch.save({"pos_embed": torch.zeros(1, 5, 100)}, tmp_path / "w.pth")

    with pytest.raises(WeightsError, match="does not have the layout of dinov2_vits14"):
        opened({"name": "dinov2", "weights": str(tmp_path / "w.pth")})
    with pytest.raises(WeightsError, match=r"nowhere\.pth is no such file"):
        opened({"name": "dinov2", "weights": "nowhere.pth"})


@pytest.mark.parametrize("side", [5, 11])
def test_tensorflows_old_bilinear_counts_from_the_corners(side: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)

    found = first_tensorflow(picture, side)[0].numpy()

    for row in range(side):
        for column in range(side):
            y, x = row * 4 / side, column * 4 / side
            top, left = int(y), int(x)
            low, right = min(top + 1, 3), min(left + 1, 3)
            wanted = (
                picture[0, top, left] * (1 - y + top) * (1 - x + left)
                + picture[0, top, right] * (1 - y + top) * (x - left)
                + picture[0, low, left] * (y - top) * (1 - x + left)
                + picture[0, low, right] * (y - top) * (x - left)
            )
            np.testing.assert_allclose(found[:, row, column], wanted, atol=1e-3)


def test_clean_resizing_is_pillows_of_floats_and_bilinear_is_not() -> None:
    picture = images(1, 60)
    channels = [Image.fromarray(picture[0, ..., one].astype(np.float32)) for one in range(3)]
    pillow = np.stack([one.resize((24, 24), Image.Resampling.BICUBIC) for one in channels])

    np.testing.assert_allclose(clean(picture, 24)[0], pillow.clip(0, 255), atol=1e-3)
    assert np.abs(bilinear(picture, 24)[0].numpy() - pillow).max() > 20


def test_another_packages_resizing_is_named_in_the_rows(weights: Path) -> None:
    extractor = opened({"name": "inception", "weights": str(weights), "resizing": "pytorch-fid"})

    assert extractor.resize == "bilinear-299"
    assert len({way.name for way in RESIZINGS.values()}) == len(RESIZINGS)
