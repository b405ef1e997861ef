import numpy as np
import pytest
import torch

from ganime.backbones.config import Architecture
from ganime.backbones.fused import can_fuse, fused_maps
from ganime.backbones.networks import build_trunk, described, fuse_norms

CPU = torch.device("cpu")


@pytest.mark.parametrize("architecture", ["resnet18", "resnet34", "resnet50"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.02)], ids=["fp32", "bf16"]
)
def test_a_fused_network_measures_what_the_plain_one_does(
    architecture: Architecture, dtype: torch.dtype, tolerance: float
) -> None:
    trunk = build_trunk(architecture, 3).eval()
    if not can_fuse(trunk.network, CPU):
        pytest.skip("this build of torch has no oneDNN")
    fuse_norms(trunk)
    trunk.to(memory_format=torch.channels_last)
    noise = np.random.default_rng(1).normal(size=(4, 3, 64, 64)).astype(np.float32)
    images = torch.from_numpy(noise).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        wanted = described(*trunk.maps(images))
        given = images.to(dtype)
        before = given.clone()
        found = described(*fused_maps(trunk.to(dtype).network, given))
    assert torch.equal(given, before)
    assert (found - wanted).norm() < tolerance * wanted.norm()


def test_other_networks_and_devices_are_left_as_they_are() -> None:
    assert not can_fuse(build_trunk("mobilenet_v2", 0).network, CPU)
    assert not can_fuse(build_trunk("resnet18", 0).network, torch.device("meta"))
