import json
import os
from pathlib import Path

import pytest

from ganime.config import Config
from ganime.report.history import HISTORY_KEY, build_history, read_history
from ganime.rows import EvaluationRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace

FROM = Provenance(stage="test", revision=1, config=Config(), run_id="r")


def row(model: str, nimg: int, value: float, num_fake: int) -> EvaluationRow:
    return EvaluationRow(
        **{"model_id": model, "nimg": nimg, "metric": "fd_colours", "value": value},
        **{"extractor": "colours", "weights": "0" * 12, "resize": "none", "num_real": 9},
        **{"num_fake": num_fake, "reference": "girls/v1", "seed": 0},
    )


def write_model(
    store: Workspace, model: str, day: int, values: list[float], num_fake: int = 50
) -> None:
    config = {"dataset_version": "girls/v1", "config": {"recipe": {"name": "<b>dcgan"}}}
    store.write_text(f"models/{model}/config.json", json.dumps(config))
    store.write_text(f"models/{model}/finished.json", "{}")
    ended = Path(store.local_path(f"models/{model}/finished.json"))
    os.utime(ended, (86_400 * day, 86_400 * day))
    rows = [row(model, 100 * (i + 1), value, num_fake) for i, value in enumerate(values)]
    Table(store, EvaluationRow, root=f"models/{model}").write("part", rows, FROM)


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    store = Workspace(str(tmp_path))
    write_model(store, "aa11", 1, [9, 5, 6])
    write_model(store, "bb22", 3, [8, 4])
    write_model(store, "cc33", 2, [1], num_fake=10)
    store.write_bytes("models/aa11/samples/000000300.png", b"")
    store.write_text("comparisons/aa11-bb22.html", "")
    return store


def test_only_numbers_that_compare_stand_together(store: Workspace) -> None:
    both, alone = read_history(store)

    assert [one.model_id for one in both.entries] == ["bb22", "aa11"]  # the newest first
    assert (both.best.model_id, both.best.best.value) == ("bb22", 4)
    assert [one.model_id for one in alone.entries] == ["cc33"]
    assert "50 samples" in both.told
    assert both.over_time is not None
    assert "days since 1970-01-02" in both.over_time.x_label
    assert both.over_images is not None
    assert [label for label, _ in both.over_images.legend] == ["bb22, the best", "aa11"]
    assert alone.over_time is None


def test_the_page_links_to_samples_and_comparisons_beside_it(store: Workspace) -> None:
    store.write_text("models/dd44/config.json", "{}")

    assert build_history(store) == HISTORY_KEY

    page = store.read_bytes(HISTORY_KEY).decode()
    assert 'href="../models/aa11/samples/000000300.png"' in page
    assert page.count('href="../comparisons/aa11-bb22.html"') == 2
    assert "&lt;b&gt;dcgan" in page
    assert "1 model was not scored yet" in page
    for link in ("../models/aa11/samples/000000300.png", "../comparisons/aa11-bb22.html"):
        assert (Path(store.local_path(HISTORY_KEY)).parent / link).resolve().is_file()


def test_a_workspace_without_scores_says_so(tmp_path: Path) -> None:
    empty = Workspace(str(tmp_path))

    assert "No model was scored yet" in empty.read_bytes(build_history(empty)).decode()
