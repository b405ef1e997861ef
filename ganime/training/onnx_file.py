"""Generators as ONNX files, for programs without torch (https://onnx.ai)."""

import warnings
from pathlib import Path

import numpy as np
import torch

from ganime.errors import ConfigError
from ganime.training.generator import Generator

OPSET = 18
TOLERANCE = 1e-3  # of images in [-1, 1]: a tenth of what a step of 8 bits is
NUM_COMPARED = 4


def export_onnx(generator: Generator, path: Path) -> float:
    """Write a generator as ONNX and prove that onnxruntime makes the same images with it.

    Inputs are `z` float32 [N, Z] and, with conditions, `tags` float32 [N, T]; the output is
    `images` float32 [N, 3, R, R], about [-1, 1]. The names of the tags stand in the file's
    metadata under `tags`, one per line.

    Args:
        generator: On the CPU.
        path: Where to.

    Returns:
        The largest difference between an image of torch and one of onnxruntime.

    Raises:
        ConfigError: the packages `onnx`, `onnxscript` and `onnxruntime` are not installed, or they
            make other images.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  the exporter wants it
    except ImportError as error:
        raise ConfigError(
            f"ONNX export wants a package that is missing ({error.name}): "
            "pip install 'ganime[onnx]'"
        ) from error
    blueprint = generator.blueprint
    inputs = {"z": blueprint.latents(NUM_COMPARED, 0)}
    if (tags := blueprint.tags(NUM_COMPARED, 0)) is not None:
        inputs["tags"] = tags
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            generator.network,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["images"],
            dynamic_shapes=tuple({0: torch.export.Dim("num")} for _ in inputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    entries = {"tags": "\n".join(blueprint.tag_names), "nimg": str(generator.nimg)}
    onnx.helper.set_model_props(model, entries)
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    with torch.no_grad():
        expected = generator.network(*inputs.values()).numpy()
    difference = float(np.abs(made - expected).max())
    if difference > TOLERANCE:
        raise ConfigError(
            f"{path}: onnxruntime's images differ by {difference:.2g} from torch's, more than "
            f"{TOLERANCE}; do not use it"
        )
    return difference
