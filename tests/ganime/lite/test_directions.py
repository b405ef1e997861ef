"""Directions that a package carries: what was written is read, what is wrong is said."""

import json

import numpy as np
import pytest
import safetensors.numpy

from ganime.lite.directions import Carried, pack, unpack

QUESTION = "question:chibi@0123456789ab"
GOOD = {
    "tag:blue_hair": Carried(np.arange(4, dtype=np.float32)),
    "pca-1": Carried(np.ones(4, np.float32)),
    QUESTION: Carried(np.zeros(4, np.float32), 0.6, 0.1, 0.9),
}
FIGURES = {"correlation": 0.6, "low": 0.1, "high": 0.9}


def test_directions_are_read_as_they_were_written() -> None:
    found = unpack(pack(GOOD), tag_names=["blue_hair"], length=4)
    assert found.keys() == GOOD.keys()
    for name, one in found.items():
        np.testing.assert_array_equal(one.step, GOOD[name].step)
        expected = GOOD[name]
        figures = (expected.correlation, expected.low, expected.high)
        assert (one.correlation, one.low, one.high) == figures
    assert pack(found) == pack(GOOD)


def file_of(steps: dict[str, np.ndarray], told: object) -> bytes:
    return safetensors.numpy.save(steps, {"ganime": json.dumps(told)})


STEP = np.zeros(4, np.float32)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no directions"),
        (safetensors.numpy.save({"pca-1": STEP}), "holds no directions"),
        (file_of({"pca-1": STEP}, {}), "tells of 0"),
        (file_of({"pca-1": STEP}, {"pca-2": None}), "tells of 1"),
        (file_of({"pca-0": STEP}, {"pca-0": None}), "names a direction 'pca-0'"),
        (file_of({"tag:hat": STEP}, {"tag:hat": None}), "names a direction 'tag:hat'"),
        (file_of({"question:a@b": STEP}, {"question:a@b": FIGURES}), "names a direction"),
        (file_of({"question:\n@" + "0" * 12: STEP}, {"question:\n@" + "0" * 12: FIGURES}), "names"),
        (file_of({QUESTION: STEP}, {QUESTION: None}), "tells no figures"),
        (file_of({QUESTION: STEP}, {QUESTION: {**FIGURES, "high": 9.0}}), "tells no figures"),
        (file_of({QUESTION: STEP}, {QUESTION: {**FIGURES, "low": "x"}}), "tells no figures"),
        (file_of({"pca-1": STEP[:3]}, {"pca-1": None}), "wanted 4"),
        (file_of({"pca-1": STEP[None]}, {"pca-1": None}), "no finite float32"),
        (file_of({"pca-1": STEP.astype(np.float64)}, {"pca-1": None}), "no finite float32"),
        (file_of({"pca-1": STEP + np.nan}, {"pca-1": None}), "no finite float32"),
    ],
)
def test_what_is_no_direction_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpack(content, tag_names=["blue_hair"], length=4)
