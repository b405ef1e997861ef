import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights that are never part of the project; tests skip without them."""
    folder = Path(os.environ.get("GANIME_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real images or weights at {folder}; GANIME_SHARED names their folder")
    return folder
