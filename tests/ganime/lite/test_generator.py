"""onnxruntime draws what torch draws, from a real package and without torch."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganime.errors import ConfigError, WeightsError
from ganime.gans import GANS, Recipe
from ganime.gans.dcgan import Dcgan
from ganime.gans.stylegan2 import StyleGan2
from ganime.lite.archive import read_archive, write_archive
from ganime.lite.generator import OnnxGenerator
from ganime.model_packages.export import export_package
from ganime.model_packages.importing import import_package
from ganime.stages.train import TrainConfig
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint, Generator
from ganime.training.snapshot import load_generator, save_snapshot
from ganime.training.styles import for_each_layer, mix

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
TAGS = ("hat", "smile")
STYLES = StyleGan2(latent=16, channel_base=512, channel_max=8, mapping_layers=2)
BINARY = Dcgan(latent=8, latents_are="binary", width_generator=4, widest=16)
Both = tuple[Generator, OnnxGenerator, Path]


def both(folder: Path, recipe: Recipe, tags: Sequence[str]) -> Both:
    """The same generator by torch and by onnxruntime, with weights that make lively images."""
    torch.manual_seed(0)
    examples = np.random.default_rng(0).integers(0, 2, (9, len(tags)), np.uint8)
    blueprint = Blueprint(recipe, 32, tuple(tags), examples)
    network = blueprint.network()
    if recipe is STYLES:
        network.average_style.normal_()  # as after training
    else:
        with torch.no_grad():
            for weights in network.parameters():
                weights.mul_(8 if weights.dim() > 1 else 1)  # at first it draws grey alone
    store = Workspace(str(folder))
    save_snapshot(store, "0" * 12, 64, network, blueprint)
    config = TrainConfig(recipe=recipe, resolution=32, tags=tuple(tags))
    settings = {
        "model_id": "0" * 12,
        "dataset_version": "girls/gone",
        "num_images": 9,
        "tags": list(tags),
        "config": config.model_dump(mode="json"),
    }
    store.write_text(f"models/{'0' * 12}/config.json", json.dumps(settings))
    path = folder / "model.ganime"
    package = export_package(store, "0" * 12, path, onnx=True)
    return load_generator(store, "0" * 12), OnnxGenerator(package, num_threads=1), path


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both(tmp_path_factory.mktemp("styled"), STYLES, TAGS)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return both(tmp_path_factory.mktemp("plain"), BINARY, ())


TINY = {"latent": 8, "widest": 16}
WIDTHS = {"width_generator": 4, "width_discriminator": 4}
OTHERS: dict[str, dict[str, Any]] = {
    "fastgan": {**TINY, **WIDTHS},
    "lsgan": {**TINY, **WIDTHS},
    "projected": {**TINY, **WIDTHS},
    "progan": {**TINY, "width": 4, "shares": [1.0]},
    "r3gan": {**TINY, "width": 4},
    "wgan_gp": {**TINY, **WIDTHS},
}


def test_every_recipe_is_drawn_without_torch_in_some_test() -> None:
    assert {*OTHERS, STYLES.component, BINARY.component} == set(GANS.names())


@pytest.mark.parametrize("name", OTHERS)
def test_a_package_of_any_recipe_draws_without_torch(name: str, tmp_path: Path) -> None:
    recipe = GANS.build({"name": name, **OTHERS[name]})

    torch_draws, light, path = both(tmp_path, recipe, TAGS)

    z, asked = light.of_seeds([0, 1, 2, 3])
    expected = torch_draws.images(torch.from_numpy(z), torch.from_numpy(asked))
    found = light.images(z, asked)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert np.ptp(found) > 8  # no grey alone
    assert import_package(Workspace(str(tmp_path / "other")), path).recipe == name


@pytest.fixture(params=["styled", "plain"])
def pair(request: pytest.FixtureRequest) -> Both:
    found: Both = request.getfixturevalue(request.param)
    return found


def are_alike(first: np.ndarray, second: np.ndarray) -> None:
    assert first.dtype == second.dtype == np.uint8
    assert np.abs(first.astype(int) - second).max() <= 1


def test_pixels_of_seeds_are_those_of_torch(pair: Both) -> None:
    torch_way, light, _ = pair
    seeds = [*range(20), 2**32 - 1]
    for truncation in (1.0, 0.7, 0.0):
        z, tags = torch_way.blueprint.of_seeds(seeds)
        expected = torch_way.images(z, tags, truncation=truncation)
        are_alike(light.images(*light.of_seeds(seeds), truncation=truncation), expected)


def test_samples_are_those_of_torch(pair: Both) -> None:
    torch_way, light, _ = pair
    assert torch_way.sample(33, 5).std() > 5  # not one colour
    are_alike(light.sample(33, 5), torch_way.sample(33, 5))
    assert light.sample(0).shape == (0, 32, 32, 3)


def test_tags_are_asked_for_by_name(styled: Both) -> None:
    torch_way, light, _ = styled
    are_alike(light.sample(4, 1, tags=["hat"]), torch_way.sample(4, 1, tags=["hat"]))
    are_alike(light.sample(4, 1, tags=[]), torch_way.sample(4, 1, tags=[]))
    assert not np.array_equal(light.sample(4, 1, tags=["hat"]), light.sample(4, 1, tags=[]))
    with pytest.raises(ConfigError, match="knows no tag 'het'; it knows hat"):
        light.sample(1, tags=["het"])


def test_styles_mix_as_those_of_torch(styled: Both) -> None:
    torch_way, light, _ = styled
    z, tags = torch_way.blueprint.of_seeds(range(5))
    styles = for_each_layer(torch_way.codes(z, tags, truncation=0.7), light.num_styles)
    expected = torch_way.draw(mix(styles[:2], styles[2:], [0, 3]).flatten(0, 1))
    codes = light.codes(*light.of_seeds(range(5)), truncation=0.7)
    are_alike(light.draw(light.mix(codes[:2], codes[2:], [0, 3])), expected)
    with pytest.raises(ConfigError, match=r"layers \[99\]: this generator has layers 0 to"):
        light.mix(codes, codes, [99])


def test_without_styles_there_is_nothing_to_mix(plain: Both) -> None:
    _, light, _ = plain
    z, _ = light.of_seeds([1, 2])
    with pytest.raises(ConfigError, match="dcgan has no styles to mix"):
        light.mix(z, z, [0])


def test_exporting_graphs_twice_gives_equal_bytes(styled: Both, tmp_path: Path) -> None:
    _, light, path = styled
    store = Workspace(str(path.parent))
    export_package(store, light.description.model_id, tmp_path / "b.ganime", onnx=True)
    assert (tmp_path / "b.ganime").read_bytes() == path.read_bytes()
    assert str(ROOT).encode() not in path.read_bytes()


def test_a_graph_that_is_none_is_refused(plain: Both, tmp_path: Path) -> None:
    entries = {**read_archive(plain[2]), "generator.onnx": b"pickle"}
    write_archive(tmp_path / "bad.ganime", entries)
    with pytest.raises(WeightsError, match=r"generator\.onnx is no graph") as caught:
        OnnxGenerator.open(tmp_path / "bad.ganime")
    assert "\n" not in str(caught.value)


def test_nothing_of_torch_is_imported(styled: Both) -> None:
    script = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('torch', 'torchvision', 'pyarrow', 'prefect'):\n"
        "            raise ImportError(f'{name} is not on this machine')\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "from pathlib import Path\n"
        "from ganime.lite.generator import OnnxGenerator\n"
        "light = OnnxGenerator.open(Path(sys.argv[1]), num_threads=1)\n"
        "codes = light.codes(*light.of_seeds([1, 2], ['hat']), truncation=0.7)\n"
        "assert light.draw(light.mix(codes, codes, [0])).shape == (4, 32, 32, 3)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(styled[2])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
