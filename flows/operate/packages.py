"""What is installed against what pyproject.toml asks for: other releases may fail in silence."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from ganime.errors import ConfigError

_FOR_DEVELOPERS = {"bench", "dev"}


def wrong_packages(root: Path) -> list[str]:
    """What is missing or of another version than a checkout wants, each in words.

    The checkout's own file is asked: what pip noted of an editable install grows old.

    Raises:
        ConfigError: there is no such checkout.
    """
    return _all_wrong(_project(root)["dependencies"])


def missing_extras(root: Path) -> list[str]:
    """Extras for users that are not installed whole, such as `dask`.

    Raises:
        ConfigError: there is no such checkout.
    """
    extras = _project(root)["optional-dependencies"]
    return [name for name in sorted(extras.keys() - _FOR_DEVELOPERS) if _all_wrong(extras[name])]


def _project(root: Path) -> dict[str, Any]:
    file = root / "pyproject.toml"
    try:
        project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    return project


def _all_wrong(requirements: list[str]) -> list[str]:
    return [text for text in map(_wrong, map(Requirement, requirements)) if text]


def _wrong(item: Requirement) -> str:
    try:
        there = version(item.name)
    except PackageNotFoundError:
        there = ""
    # `2.13.0+cpu` is 2.13.0, built for another device.
    if there and item.specifier.contains(there.partition("+")[0], prereleases=True):
        return ""
    return f"{item.name} {there or 'is missing'} (wanted {item.specifier or 'any'})"
