import json
import sys
from pathlib import Path

import pytest

from flows import cli


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
    (
        ["run", "--preset", "huge"],
        "no preset is called 'huge'; known: default, faces, face-crops, demo, smoke",
    ),
    (["run", "--set", "pad.colour=3"], "pad.colour: unknown setting"),
    (["run", "--set", "pad.size=3"], "pad.size"),
    (["run", "--set", "pad"], "wanted KEY=VALUE"),
    (
        ["run", "--source", "flickr"],
        "no source is called 'flickr'; known: danbooru, folder, gelbooru",
    ),
    (["run", "--config", "missing.toml"], "cannot read the settings file missing.toml"),
    (["run", "--backbone", "alexnet"], "alexnet"),
    (["run", "--resolution", "64", "--set", "train.resolution=128"], "give both the same"),
    (["run", "--workspace", "/proc/nothing"], "/proc/nothing"),
    (["explain", "abcdef", "--workspace", "nowhere"], "nothing in"),
    (["status", "--workspace", "nowhere"], "nowhere"),
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
    assert code in (1, 2)
    assert message in errors
    assert "Traceback" not in errors
    assert errors.startswith("ganime: ")
    assert len(errors.strip().splitlines()) == 1


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


@pytest.mark.parametrize("name", ["run", "demo", "practice", "status", "explain", "label"])
def test_every_command_has_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, _ = ganime(name, "--help", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0
    assert "--debug" in output


def test_the_readme_names_every_preset_and_command() -> None:
    from ganime.presets import PRESETS

    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert [name for name in PRESETS if f"`{name}`" not in readme] == []
    assert [
        name
        for name in ("run", "demo", "practice", "status", "explain", "label")
        if f"ganime {name}" not in readme
    ] == []


@pytest.mark.parametrize("preset", ["default", "faces", "demo", "smoke"])
def test_every_preset_is_a_whole_valid_run(
    preset: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output, _ = ganime(
        "run", "--preset", preset, "--dry-run", monkeypatch=monkeypatch, capsys=capsys
    )
    assert code == 0
    assert json.loads(output)["train"]["resolution"] in (32, 64)
