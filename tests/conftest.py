import os
from pathlib import Path

import pytest

# Before torch and numpy are imported, here and in what tests start: small tensors gain nothing from
# more threads, and threads that wait for each other crawl where other tests use the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real images and weights that are never part of the project; tests skip without them."""
    folder = Path(os.environ.get("GANIME_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real images or weights at {folder}; GANIME_SHARED names their folder")
    return folder
