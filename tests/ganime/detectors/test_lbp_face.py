from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganime.detectors.lbp_face import LbpFace
from ganime.errors import WeightsError
from ganime.images import Pixels, decode


@pytest.fixture(scope="module")
def cascade(shared: Path) -> Path:
    return shared / "weights" / "lbpcascade_animeface.xml"


def pictures(folder: Path, number: int) -> list[Pixels]:
    return [decode(path.read_bytes()).pixels for path in sorted(folder.iterdir())[:number]]


def test_most_drawn_faces_are_found_and_hardly_any_in_photographs(
    shared: Path, cascade: Path
) -> None:
    find = LbpFace(weights=str(cascade)).load()
    faces = sum(bool(find(image)) for image in pictures(shared / "real" / "faces96", 40))
    photos = sum(bool(find(image)) for image in pictures(shared / "real" / "photos", 40))
    assert faces >= 34
    assert photos <= 4


def test_threads_find_what_one_finds(shared: Path, cascade: Path) -> None:
    images = pictures(shared / "real" / "halfbody", 8)
    find = LbpFace(weights=str(cascade)).load()
    alone = [sorted(find(image)) for image in images]
    assert any(alone)
    with ThreadPoolExecutor(4) as pool:
        assert [sorted(boxes) for boxes in pool.map(find, images * 3)] == alone * 3


def test_its_identity_follows_the_cascade_and_not_its_path(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.xml", "same.xml", "other.xml"))
    one.write_text("a")
    same.write_text("a")
    other.write_text("b")
    identity = LbpFace(weights=str(one)).identity()
    assert LbpFace(weights=str(same)).identity() == identity
    assert LbpFace(weights=str(other)).identity() != identity
    assert LbpFace(weights=str(one), min_neighbours=5).identity() != identity
    assert LbpFace(weights=str(one), side=256).identity() != identity


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"\x00\xff\xfe",
        b'<?xml version="1.0"?><opencv_storage><x>1</x></opencv_storage>',
        b'<?xml version="1.0"?><opencv_storage><cascade><x>1</x></cascade></opencv_storage>',
    ],
)
def test_what_is_no_cascade_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "faces.xml"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"faces\.xml is not a cascade .* download lbpcascade"):
        LbpFace(weights=str(path)).load()


def test_a_cascade_that_was_cut_off_is_refused(tmp_path: Path, cascade: Path) -> None:
    path = tmp_path / "faces.xml"
    path.write_bytes(cascade.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="not a cascade"):
        LbpFace(weights=str(path)).load()
