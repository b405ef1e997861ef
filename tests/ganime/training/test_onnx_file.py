from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from ganime.gans.r3gan import R3gan
from ganime.training.generator import Blueprint, Generator
from ganime.training.onnx_file import TOLERANCE, export_onnx

pytestmark = pytest.mark.slow
RECIPE = R3gan(latent=8, width=8, widest=16)


@pytest.mark.parametrize("names", [(), ("hat", "smile")])
def test_onnxruntime_makes_the_images_of_torch_for_any_number(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    blueprint = Blueprint(RECIPE, 32, names, np.ones((3, len(names)), np.uint8))
    generator = Generator(blueprint.network(), blueprint, 64)
    path = tmp_path / "generator.onnx"
    assert export_onnx(generator, path) < TOLERANCE
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata == {"tags": "\n".join(names), "nimg": "64"}
    inputs = {"z": blueprint.latents(7, 5)}
    if names:
        inputs["tags"] = torch.ones(7, 2)
    (made,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.no_grad():
        expected = generator.network(*inputs.values())
    assert np.abs(made - expected.numpy()).max() < TOLERANCE
