import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganime.errors import ConfigError
from ganime.store.workspace import Workspace
from ganime.training.pictures import described_png, find_model, parse_seeds


def test_seeds_are_numbers_and_ranges() -> None:
    assert parse_seeds("0-3") == [0, 1, 2, 3]
    assert parse_seeds("1, 5,7-8") == [1, 5, 7, 8]


@pytest.mark.parametrize("text", ["", "a", "3-1", "1-", "0-999999999", "-5"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="seeds"):
        parse_seeds(text)


def test_a_picture_says_how_it_was_made() -> None:
    settings = {"model": "41f0", "seed": 0, "tags": ("hat", "smile"), "truncation": 0.7}
    pixels = np.zeros((4, 4, 3), np.uint8)
    made = Image.open(io.BytesIO(described_png(pixels, {**settings, "nothing": ""})))
    assert made.info["Software"].startswith("ganime ")
    assert {name: text for name, text in made.info.items() if name.startswith("ganime:")} == {
        "ganime:model": "41f0",
        "ganime:seed": "0",
        "ganime:tags": "hat smile",
        "ganime:truncation": "0.7",
    }


def test_a_model_is_found_by_its_first_digits(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    with pytest.raises(ConfigError, match="holds no model yet"):
        find_model(workspace, "")
    for identity in ("41f0", "41a2", "9b"):
        workspace.write_text(f"models/{identity}/config.json", json.dumps({}))
    assert find_model(workspace, "9") == "9b"
    with pytest.raises(ConfigError, match=r"2 models begin with '41'; .* has 41a2, 41f0, 9b"):
        find_model(workspace, "41")
    with pytest.raises(ConfigError, match=r"which model\?"):
        find_model(workspace, "")
