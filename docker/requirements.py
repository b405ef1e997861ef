"""Print what an image has to install: the dependencies of pyproject.toml and the extras named.

Usage: python requirements.py [EXTRA …], in the folder of pyproject.toml.
"""

import sys
import tomllib
from pathlib import Path


def wanted(pyproject: Path, extras: list[str]) -> list[str]:
    """Requirements of the project and of these extras, in order."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    if unknown := [name for name in extras if name not in optional]:
        known = ", ".join(sorted(optional))
        sys.exit(f"pyproject.toml has no extra called {', '.join(unknown)}; known: {known}")
    return [*project["dependencies"], *(item for name in extras for item in optional[name])]


if __name__ == "__main__":
    sys.stdout.write("\n".join(wanted(Path("pyproject.toml"), sys.argv[1:])) + "\n")
