"""`ganime ablate`, whole: a real run's facts, real Prefect; and every command of its page."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from flows.cli.evaluate import _sets_of, ablate, compare, evaluate
from flows.cli.options import DEFAULTS, register
from ganime.errors import ConfigError
from ganime.practice.server import PracticeServer
from ganime.store.lineage import models
from ganime.store.workspace import Workspace

PAGE = Path(__file__).parents[2] / "docs/evaluation.md"


@pytest.mark.slow
def test_rules_are_held_against_each_other_and_nothing_is_done_twice(
    served_command: Any, smoke_arguments: Any, corpus: Any, tmp_path: Path
) -> None:
    where = ["--workspace", str(tmp_path)]
    with PracticeServer(corpus) as booru:
        arguments = smoke_arguments(booru.url, tmp_path, "--set", "curate.holdout=0.3")
        done = served_command.run(*arguments)
        assert done.returncode == 0, done.stderr
    asked = ["ablate", "--variant", "no-filters: curate.rules=[]", "--repeats", "2"]
    small = ["--recipe", "dcgan", "--nimg", "32", "--num-fake", "32", "--metrics", "kid", *where]

    planned = served_command.run(*asked, *small, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "4 trainings of 32 images each" in planned.stdout
    assert len(models(Workspace(str(tmp_path)))) == 1

    first = served_command.run(*asked, *small, "--json")
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert [arm["name"] for arm in found["arms"]] == ["base", "no-filters"]
    assert found["arms"][1]["num_images"] > found["arms"][0]["num_images"]
    assert (tmp_path / f"reports/ablation-{found['ablation_id']}.html").is_file()
    assert (tmp_path / "reports/history.html").is_file()

    again = served_command.run(*asked, *small, "--json")
    assert json.loads(again.stdout) == found
    assert again.stderr.count("is finished, nothing to do") == 4


def test_settings_are_of_the_training_or_of_the_scores() -> None:
    assert _sets_of(("train.recipe.lr=1e-3", "evaluate.seed=3", "train.batch=8")) == (
        ["recipe.lr=1e-3", "batch=8"],
        ["seed=3"],
    )
    with pytest.raises(ConfigError, match=r"curate\.holdout=0\.1: wanted train\.SETTING=VALUE"):
        _sets_of(("curate.holdout=0.1",))


def commands() -> list[str]:
    """Lines of the page's shell blocks, without comments and environment."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [line[line.index("ganime ") :] for line in lines]


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_page_parses(line: str) -> None:
    app = App(name="ganime", default_parameter=DEFAULTS)
    for command in (evaluate, compare, ablate):
        register(app, command)

    app.parse_args(shlex.split(line, comments=True)[1:], exit_on_error=False, print_error=False)
