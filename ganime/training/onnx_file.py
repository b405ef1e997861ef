"""Generators as ONNX files, for programs without torch (https://onnx.ai)."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganime.errors import ConfigError
from ganime.gans import StyleNetwork
from ganime.lite.archive import GENERATOR_GRAPH, MAPPING_GRAPH, SYNTHESIS_GRAPH
from ganime.training.generator import Generator
from ganime.training.styles import for_each_layer

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
    onnx, onnxruntime = _packages()
    blueprint = generator.blueprint
    inputs = _examples(generator)
    model = _program(generator.network, inputs, "images")
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


def graphs(generator: Generator) -> dict[str, bytes]:
    """A generator as the graphs that `ganime.lite.generator.OnnxGenerator` draws with.

    With styles two, so that styles can be truncated and mixed between them: `mapping.onnx`, `z`
    and `tags` to `styles` float32 [N, W]; and `synthesis.onnx`, `styles` float32 [N, L, W] to
    `images`. Without styles the one of `export_onnx`.

    Args:
        generator: On the CPU.

    Returns:
        Files by name; equal generators give equal bytes.

    Raises:
        ConfigError: the packages `onnx`, `onnxscript` and `onnxruntime` are not installed.
    """
    _packages()
    network, inputs = generator.network, _examples(generator)
    if not isinstance(network, StyleNetwork):
        return {GENERATOR_GRAPH: _bytes(_program(network, inputs, "images"))}
    with torch.no_grad():
        styles = for_each_layer(network.mapping(*inputs.values()), network.num_styles)
    mapping = _program(_Mapping(network), inputs, "styles")
    synthesis = _program(_Synthesis(network), {"styles": styles.contiguous()}, "images")
    return {MAPPING_GRAPH: _bytes(mapping), SYNTHESIS_GRAPH: _bytes(synthesis)}


class _Mapping(nn.Module):
    """A generator's first half, as a network of its own."""

    def __init__(self, network: StyleNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, tags: Tensor | None = None) -> Tensor:
        """z [N, Z], tags [N, T] -> styles [N, W]."""
        return self.network.mapping(z, tags)


class _Synthesis(nn.Module):
    """A generator's second half, as a network of its own."""

    def __init__(self, network: StyleNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, styles: Tensor) -> Tensor:
        """Styles [N, L, W] -> images [N, 3, R, R]."""
        return self.network.synthesis(styles)


def _packages() -> tuple[Any, Any]:
    """The packages `onnx` and `onnxruntime`.

    Raises:
        ConfigError: one is not installed.
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
    return onnx, onnxruntime


def _examples(generator: Generator) -> dict[str, Tensor]:
    """Inputs by name, to trace a network with and to compare."""
    inputs = {"z": generator.blueprint.latents(NUM_COMPARED, 0)}
    if (tags := generator.blueprint.tags(NUM_COMPARED, 0)) is not None:
        inputs["tags"] = tags
    return inputs


def _program(network: nn.Module, inputs: Mapping[str, Tensor], output: str) -> Any:
    """A network as ONNX, for any number of inputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program = torch.onnx.export(
            network.eval(),
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple({0: torch.export.Dim("num")} for _ in inputs),
            opset_version=OPSET,
            dynamo=True,
            # The exporter's own simplifications take + 1e-8 for + 0, and no tags become NaN.
            optimize=False,
            verbose=False,
        )
    assert program is not None
    return _anonymous(program.model_proto)


def _anonymous(model: Any) -> Any:
    """The same graph without what the exporter notes of this machine's files in it."""
    for owner in (model.graph, *model.functions):
        owner.ClearField("metadata_props")
        owner.ClearField("doc_string")
        for node in owner.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
        for value in owner.value_info:
            value.ClearField("metadata_props")
    return model


def _bytes(model: Any) -> bytes:
    content: bytes = model.SerializeToString(deterministic=True)
    return content
