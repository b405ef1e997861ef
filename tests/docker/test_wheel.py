"""The wheel, installed where there is no checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("ganime", "tasks", "flows")
LEFTOVERS = ("__pycache__", "*.nbc", "*.nbi")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, and the copy of the checkout that it was built from."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        ignored = shutil.ignore_patterns(*LEFTOVERS)
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, source], check=True, timeout=300)
    (found,) = folder.glob("*.whl")
    return found, source


def test_it_holds_every_file_of_the_packages(built: tuple[Path, Path]) -> None:
    wheel, source = built
    ours = {
        str(path.relative_to(source))
        for name in PACKAGES
        for path in (source / name).rglob("*")
        if path.is_file()
    }
    assert {path for path in ours if "static" in path}
    assert ours <= set(zipfile.ZipFile(wheel).namelist())


def test_the_command_works_where_no_checkout_is(built: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, symlinks=True)
    (site,) = home.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", home / "bin" / "python"]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", built[0]]
    subprocess.run(install, check=True, timeout=300)
    # The packages it depends on, without this checkout: a path file's own path files are not read.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    where = "import flows, ganime, pathlib; print(pathlib.Path(ganime.__file__).parents[1])"
    python = home / "bin" / "python"
    found = subprocess.run([python, "-c", where], cwd="/", capture_output=True, text=True)
    assert found.stdout.strip() == str(site), found.stderr
    command = [home / "bin" / "ganime", "--help"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Run the pipeline" in done.stdout
