from pathlib import Path

import numpy as np
import pytest

from ganime.config import Config
from ganime.detectors import DETECTORS, Detector
from ganime.errors import ConfigError, WeightsError

WEIGHTS = {"lbp_face": "lbpcascade_animeface.xml"}


class Settings(Config):
    detector: DETECTORS.field()  # type: ignore[valid-type]


@pytest.fixture(params=DETECTORS.names())
def detector(request: pytest.FixtureRequest, shared: Path) -> Detector:
    path = shared / "weights" / WEIGHTS[request.param]
    built: Detector = DETECTORS.build({"name": request.param, "weights": str(path)})
    return built


def test_a_blank_image_has_no_faces(detector: Detector) -> None:
    find = detector.load()
    for height, width in [(64, 64), (1, 1), (1, 300), (500, 20)]:
        assert find(np.full((height, width, 3), 255, np.uint8)) == []


def test_boxes_lie_inside_the_image(detector: Detector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    for box in detector.load()(noise):
        assert 0 <= box.left < box.right <= 200
        assert 0 <= box.top < box.bottom <= 300


def test_a_detector_survives_its_own_settings(detector: Detector) -> None:
    assert DETECTORS.build(detector.model_dump(mode="json")) == detector


@pytest.mark.parametrize("name", DETECTORS.names())
def test_missing_weights_say_which_file_is_wanted(name: str, tmp_path: Path) -> None:
    built = DETECTORS.build({"name": name, "weights": str(tmp_path / "none")})
    for ask in (built.load, built.identity):
        with pytest.raises(WeightsError, match=rf"none \(.*\): download {WEIGHTS[name]} from"):
            ask()


def test_a_wrong_name_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"no detector is called 'yolo'; known: .*lbp_face"):
        Settings.parse({"detector": "yolo"})


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="sides: unknown setting"):
        Settings.parse({"detector": {"name": "lbp_face", "sides": 3}})
