"""`ganime evaluate` and `compare`, whole: a real run's model, real Prefect."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.cli.evaluate import _config
from ganime.errors import ConfigError
from ganime.practice.server import PracticeServer
from ganime.store.lineage import models
from ganime.store.workspace import Workspace


@pytest.mark.slow
def test_a_model_is_scored_and_held_against_another(
    served_command: Any, smoke_arguments: Any, corpus: Any, tmp_path: Path
) -> None:
    where = ["--workspace", str(tmp_path)]
    with PracticeServer(corpus) as booru:
        for seed in ("0", "1"):
            done = served_command.run(
                *smoke_arguments(booru.url, tmp_path, "--set", f"train.seed={seed}")
            )
            assert done.returncode == 0, done.stderr
    first, second = sorted(models(Workspace(str(tmp_path))))

    asked = ["--metrics", "fd", "--metrics", "kid", "--num-fake", "64"]
    scored = served_command.run("evaluate", first, *asked, "--all", "--json", *where)
    assert scored.returncode == 0, scored.stderr
    rows = json.loads(scored.stdout)
    assert {row["settings"]["name"] for row in rows} == {"fd", "kid"}
    table = served_command.run("evaluate", first, *asked, *where)
    assert "95 % interval" in table.stdout
    assert "kid" in table.stdout

    compared = served_command.run("compare", first, second, "--num-fake", "64", *where)
    assert compared.returncode == 0, compared.stderr
    assert f"A is {first}@" in compared.stdout
    assert (tmp_path / f"comparisons/{first}-{second}.png").is_file()
    assert (tmp_path / f"comparisons/{first}-{second}.json").is_file()

    assert served_command.run("curate", "--set", "sharpness.variance=1", *where).returncode == 0
    package = str(tmp_path / "first.ganime")
    exported = served_command.run("models", "export", first, package, *where)
    assert exported.returncode == 0, exported.stderr
    elsewhere = ["--workspace", str(without(tmp_path, first))]
    imported = served_command.run("models", "import", package, *elsewhere)
    assert imported.returncode == 0, imported.stderr
    refused = served_command.run("evaluate", first, *asked, *elsewhere)
    assert refused.returncode == 2
    assert "which is not here: name the images to hold against with --reference" in refused.stderr
    reference = ["--num-fake", "64", "--reference", "characters", *elsewhere]
    scored = served_command.run("evaluate", first, "--json", *reference)
    assert scored.returncode == 0, scored.stderr
    (row,) = json.loads(scored.stdout)
    assert row["reference"] != rows[0]["reference"]
    compared = served_command.run("compare", first, second, *reference)
    assert compared.returncode == 0, compared.stderr
    assert "A was trained on images that are not here, B on images that are not" in compared.stdout


def without(known: Path, model: str) -> Path:
    """A copy of a workspace that lacks a model and the images that it learned from."""
    other = Path(shutil.copytree(known, known.with_name(f"{known.name}-other")))
    learned_from = models(Workspace(str(known)))[model]["dataset_version"]
    shutil.rmtree(other / "models" / model)
    shutil.rmtree(other / "datasets" / learned_from)
    return other


def test_options_are_settings() -> None:
    config = _config(("kid",), "torchvision", "a.pth", 50, ("extractor.size=96", "seed=3"))
    assert config.canonical().count('"name":"torchvision"') == 1
    assert (config.num_fake, config.seed, config.extractor.size) == (50, 3, 96)
    assert _config(("fd",), "backbone", "", None, ()).extractor == "backbone"
    with pytest.raises(ConfigError, match="name it with --extractor"):
        _config(("fd",), "", "a.pth", None, ())
    with pytest.raises(ConfigError, match=r"no metric is called 'fid'; known: .*kid"):
        _config(("fid",), "", "", None, ())
