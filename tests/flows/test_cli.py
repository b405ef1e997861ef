import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pytest
from cyclopts import App
from PIL import Image

from flows import cli
from flows.cli.app import COMMANDS, app
from ganime.config import Config
from ganime.rows import FeatureRow, PostRow
from ganime.stages import crawl
from ganime.store.labels import LabelLog
from ganime.store.manifest import Provenance, Table, schema_of
from ganime.store.workspace import Workspace

ROOT = Path(__file__).parents[2]
NAMES = [
    command.__name__
    for group in COMMANDS.values()
    for command in group
    if not isinstance(command, App)
]


def ganime(
    *arguments: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Call the command in this process: exit status, output, errors."""
    monkeypatch.setattr(sys, "argv", ["ganime", *arguments])
    code = 0
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


WRONG = [
    (["run", "--colour", "blue"], "--colour"),
    (["fly"], "fly"),
    (["explain"], "REFERENCE requires an argument; see"),
    (
        ["run", "--preset", "huge"],
        "no preset is called 'huge'; known: default, faces, face-crops, demo, smoke",
    ),
    (["run", "--set", "pad.colour=3"], "pad.colour: unknown setting; known: size"),
    (["run", "--set", "trian.nimg=3"], "trian: unknown setting; did you mean train?"),
    (["run", "--set", "train.nimgs=3"], "train.nimgs: unknown setting; did you mean nimg?"),
    (["run", "--set", "pad.size=3"], "pad.size"),
    (["run", "--set", "pad"], "wanted KEY=VALUE"),
    (
        ["run", "--source", "flickr"],
        "no source is called 'flickr'; known: danbooru, folder, gelbooru",
    ),
    (["run", "--config", "missing.toml"], "cannot read the settings file missing.toml"),
    (["run", "--backbone", "alexnet"], "alexnet"),
    (["run", "--resolution", "64", "--set", "train.resolution=128"], "give both the same"),
    (["run", "--limit", "0"], "--limit. Must be >= 1"),
    (["run", "--tags", "1girl", "--workspace", "/proc/nothing"], "/proc/nothing"),
    (["run"], "no tags: name what to fetch from https://safebooru.org"),
    (["crawl"], "no tags: name what to fetch from https://safebooru.org"),
    (["crawl", "--path", "nowhere"], "there is no folder nowhere"),
    (["crawl", "--queries", "none.txt"], "queries in none.txt: No such file or directory; see"),
    (["explain", "abcdef", "--workspace", "nowhere"], "nowhere holds nothing yet"),
    (["status", "--workspace", "nowhere"], "nowhere holds nothing yet"),
    (["labels", "export", "x.csv", "--workspace", "nowhere"], "nowhere holds nothing yet"),
    (["practice", "--port", "65536"], "--port. Must be <= 65535"),
    (["demo", "--preset", "smok"], "no preset is called 'smok'"),
    (["crawl", "--url", "htp://x", "--tags", "1girl"], "crawl.source: url: wanted an address"),
    (["practice", "--posts", "0"], "--posts. Must be >= 1"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_input_gets_one_clear_sentence(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = ganime(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    said_wrong(code, errors, message)


def said_wrong(code: int, errors: str, message: str) -> None:
    assert code in (1, 2)
    assert message.removesuffix("; see") in errors
    assert "Traceback" not in errors
    assert "unexpected" not in errors
    assert errors.startswith("ganime: ")
    assert len(errors.strip().splitlines()) == 1


Ganime = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crawled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace called `workspace` in the working folder, with three images out of a folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "art").mkdir()
    for name, colour in (("red", "#f00"), ("green", "#0f0"), ("blue", "#00f")):
        Image.new("RGB", (40, 60), colour).save(tmp_path / "art" / f"{name}.png")
    settings = {"source": {"name": "folder", "path": str(tmp_path / "art")}}
    store = Workspace(str(tmp_path / "workspace"))
    crawl.run(store, crawl.CrawlConfig.parse(settings), "a run")
    return store


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ganime:
    def run(*arguments: str) -> tuple[int, str, str]:
        return ganime(*arguments, monkeypatch=monkeypatch, capsys=capsys)

    return run


WRONG_HERE = [
    (["explain", "abcdef"], "nothing in"),
    (["diff", "a", "b"], "no dataset is 'a'; "),
    (["curate"], "which dataset? "),
    (["curate", "--set", "chibi=7"], "--set chibi=7: wanted RULE.OPTION=VALUE"),
    (["labels", "next", "chibi"], "has features, by which images to label are chosen"),
    (["labels", "next", "Chi bi"], "QUESTION: the question is"),
    (["labels", "suspects", "chibi"], "no classifier in"),
    (["labels", "suspects", "chibi", "--num", "0"], "--num. Must be >= 1"),
    (["labels", "import", "art"], "give question and answer by folder"),
    (["labels", "import", "none.csv"], "cannot read the labels in none.csv"),
    (["label", "folder/red.png", "yes", "--question", "Chi bi"], "--question: the question is"),
    (["label", "folder/red.png", "maybe"], "maybe"),
    (["status", "--workspace", "art"], "(there is: workspace)"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_HERE, ids=lambda value: str(value)[:40])
def test_wrong_input_about_what_is_there_gets_one_too(
    arguments: list[str], message: str, crawled: Workspace, call: Ganime
) -> None:
    code, _, errors = call(*arguments)
    said_wrong(code, errors, message)


def test_scripts_get_json(crawled: Workspace, call: Ganime) -> None:
    code, output, _ = call("status", "--json")
    assert code == 0
    (found,) = json.loads(output)
    assert (found["dataset"], found["steps"][0]["num_kept"]) == ("", 3)
    (story,) = json.loads(call("explain", "folder/red.png", "--json")[1])
    assert len(story["image_id"]) == 64
    assert "folder/red.png fetched" in story["chapters"]["crawl"][0]


def test_people_get_a_table_and_a_story(crawled: Workspace, call: Ganime) -> None:
    assert "no dataset yet" in call("status")[1]
    _, output, _ = call("explain", "folder/red.png")
    assert output.startswith("image ")
    assert "\ncrawl\n  folder/red.png fetched" in output


def test_an_image_is_labelled_by_any_of_its_names(crawled: Workspace, call: Ganime) -> None:
    code, output, _ = call("label", "art/red.png", "no", "--by", "ann")
    assert (code, output.split(" of ")[0]) == (0, "ann said keep: no")
    (row,) = LabelLog(crawled).current()
    assert call("label", row.image_id[:8], "forget", "--by", "ann")[0] == 0
    assert LabelLog(crawled).current() == []
    assert call("label", "folder/red.png", "yes", "--question", "chibi")[0] == 0
    assert [row.answer for row in LabelLog(crawled).current()] == [True]


def test_a_reader_that_has_seen_enough_is_no_error(crawled: Workspace) -> None:
    command = f"{sys.executable} -m flows.cli explain folder/red.png -w {crawled.url}"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    found = subprocess.run(
        ["bash", "-c", f"{command} | true"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stderr == ""


def test_labels_are_asked_for_before_a_classifier_is_there(
    crawled: Workspace, call: Ganime
) -> None:
    ids = sorted(Table(crawled, PostRow).column("image_id"))
    features = [[0.0, 1.0], [0.0, 1.1], [5.0, 0.0]]
    rows = pa.table([ids, features, ["a run"] * 3], schema=schema_of(FeatureRow))
    provenance = Provenance(stage="classify", revision=1, config=Config(), run_id="a run")
    Table(crawled, FeatureRow, "some").write("all", rows, provenance)
    assert call("label", ids[0], "yes", "--question", "chibi")[0] == 0

    code, said, _ = call("labels", "next", "chibi")

    assert code == 0
    first, *lines = said.splitlines()
    assert "no classifier answers 'chibi' yet" in first
    assert "known are 1 yes and 0 no" in first
    assert {line.split()[0] for line in lines} == {name[:12] for name in ids[1:]}
    assert lines[0].split(maxsplit=2)[1:] == ["-", "typical: many images are like it"]
    told = json.loads(call("labels", "next", "chibi", "--json", "--num", "1")[1])
    assert [(one["score"], one["answer"]) for one in told] == [(None, None)]


LIGHT = [
    ["--help"],
    ["run", "--help"],
    ["crawl", "--help"],
    ["status"],
    ["explain", "folder/red.png"],
    ["diff", "a", "b"],
    ["labels", "export", "labels.csv"],
    ["labels", "next", "chibi"],
    ["label", "folder/red.png", "yes"],
    ["models", "list"],
]


def test_what_needs_no_flow_imports_neither_prefect_nor_torch(crawled: Workspace) -> None:
    script = (
        "import contextlib, sys\n"
        "from flows.cli import main\n"
        f"for arguments in {LIGHT!r}:\n"
        "    sys.argv = ['ganime', *arguments]\n"
        "    with contextlib.suppress(SystemExit): main()\n"
        "    heavy = {'prefect', 'torch', 'numba', 'aiohttp'} & set(sys.modules)\n"
        "    assert not heavy, (arguments, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_help_imports_not_even_pydantic_or_fsspec() -> None:
    script = "import sys, flows.cli; assert not {'pydantic', 'fsspec', 'numpy'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )


def test_flows_start_without_the_compiler_that_torchvision_brings() -> None:
    script = "import sys, flows.run; assert not {'torchvision', 'torch._dynamo'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )


def test_help_names_all_that_can_be_named(call: Ganime, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganime.backbones.config import Architecture
    from ganime.exports import EXPORTS
    from ganime.practice.protocols import PROTOCOLS
    from ganime.presets import PRESETS
    from ganime.sources import SOURCES

    monkeypatch.setenv("COLUMNS", "300")
    run = call("run", "--help")[1]
    assert [name for name in (*PRESETS, *SOURCES.names()) if name not in run] == []
    assert [name for name in get_args(Architecture) if name not in run] == []
    assert [name for name in EXPORTS.names() if name not in call("export", "--help")[1]] == []
    assert [name for name in PROTOCOLS if name not in call("practice", "--help")[1]] == []


def test_help_ends_with_examples_and_says_no_empty_default(call: Ganime) -> None:
    for name in NAMES:
        _, output, _ = call(name, "--help")
        assert f"Examples:\n  ganime {name}" in output
        assert not [noise for noise in ("()", '""', "False]", "None]") if noise in output]


def test_a_dry_run_prints_every_setting_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "--tags", "1girl solo", "--limit", "7", "--resolution", "128", "--dry-run"]
    code, output, _ = ganime(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    printed = json.loads(output)
    assert printed["crawl"]["tags"] == "1girl solo"
    assert printed["crawl"]["limit"] == 7
    assert printed["curate"]["resolution"] == printed["train"]["resolution"] == 128
    stages = "crawl dedupe detect pad classify curate train evaluate"
    assert list(printed) == stages.split()
    assert list(tmp_path.iterdir()) == []


def test_a_printed_config_gives_the_same_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "my.toml").write_text(
        '[crawl]\ntags = "1girl"\n[crawl.source]\nname = "safebooru"\n[curate]\nholdout = 0.1\n'
    )
    arguments = ["run", "--config", str(tmp_path / "my.toml"), "--set", "pad.size=128", "--dry-run"]
    _, output, _ = ganime(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    printed = json.loads(output)
    assert (printed["curate"]["holdout"], printed["pad"]["size"]) == (0.1, 128)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, _ = ganime(name, "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    assert "--debug" in output


def test_the_readme_names_every_preset_and_command() -> None:
    from ganime.presets import PRESETS

    readme = (ROOT / "README.md").read_text()
    assert [name for name in PRESETS if f"`{name}`" not in readme] == []
    assert [name for name in NAMES if f"ganime {name}" not in readme] == []


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_documents_name_every_component() -> None:
    from ganime.augmentations import AUGMENTATIONS
    from ganime.exports import EXPORTS
    from ganime.filters import FILTERS
    from ganime.gans import GANS
    from ganime.sources import SOURCES

    told = "\n".join(document.read_text() for document in DOCUMENTS)
    parts = (SOURCES, FILTERS, GANS, AUGMENTATIONS)
    names = [name for registry in parts for name in registry.names()]
    assert [name for name in names if f"`{name}`" not in told] == []
    assert [name for name in EXPORTS.names() if f"--to {name}" not in told] == []


def blocks(document: Path, language: str) -> list[str]:
    pattern = rf"^```{language}\n(.*?)^```"
    return re.findall(pattern, document.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_the_documents_is_understood(document: Path) -> None:
    lines = "".join(blocks(document, "sh")).splitlines()
    ours = [line for line in lines if line.startswith("ganime ")]
    assert ours
    for line in ours:
        words = shlex.split(line, comments=True)[1:]
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_every_table_of_settings_in_the_documents_is_valid(tmp_path: Path) -> None:
    from ganime.presets import build

    tables = [table for document in DOCUMENTS for table in blocks(document, "toml")]
    assert tables
    for table in tables:
        (tmp_path / "my.toml").write_text(table)
        build("default", {}, file=tmp_path / "my.toml")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_the_documents_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", document.read_text()):
        path, _, heading = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if heading else []
        anchors = [title.lower().replace(" ", "-").replace(",", "") for title in titles]
        assert not heading or heading in anchors, target


@pytest.mark.parametrize("preset", ["default", "faces", "demo", "smoke"])
def test_every_preset_is_a_whole_valid_run(
    preset: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, _ = ganime(
        "run", "--preset", preset, "--dry-run", monkeypatch=monkeypatch, capsys=capsys
    )
    assert code == 0
    assert json.loads(output)["train"]["resolution"] in (32, 64)
