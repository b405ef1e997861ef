import hashlib
import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from ganime.errors import StoreError
from ganime.practice import corpus as module
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.files import FAULTS, RELATIONS
from ganime.practice.plan import plan_posts


def contents(corpus: Corpus) -> dict[str, bytes]:
    files = sorted(file for file in corpus.folder.rglob("*") if file.is_file())
    return {file.relative_to(corpus.folder).as_posix(): file.read_bytes() for file in files}


def test_the_same_settings_give_the_same_bytes(
    config: PracticeConfig, corpus: Corpus, tmp_path: Path
) -> None:
    assert contents(Corpus.build(config, tmp_path)) == contents(corpus)


def test_the_truth_is_what_was_planned(config: PracticeConfig, corpus: Corpus) -> None:
    truth = corpus.truth()
    assert [row.post_id for row in truth] == [post.id for post in corpus.posts]
    for row, post in zip(truth, plan_posts(config), strict=True):
        assert (row.kind, row.relation, row.fault) == (post.scene.kind, post.relation, post.fault)
        assert row.character_id == f"c{post.original.index:06d}"
        assert json.loads(row.attributes)["ground"] == post.scene.ground
    assert {row.fault for row in truth} == {None, *FAULTS}
    assert set(RELATIONS) | {"exact", "original"} == {row.relation for row in truth}


def test_files_are_as_their_records_say_unless_spoilt(corpus: Corpus) -> None:
    for post, row in zip(corpus.posts, corpus.truth(), strict=True):
        if row.fault in ("missing", "ghost"):
            assert post.file is None
            assert row.sha256 is None
            continue
        assert post.file is not None
        served = (corpus.folder / post.file).read_bytes()
        assert hashlib.sha256(served).hexdigest() == row.sha256
        matches = hashlib.md5(served).hexdigest() == post.md5
        assert matches == (row.fault in (None, "uploaded_broken"))
        if row.fault in (None, "wrong_md5"):
            with Image.open(io.BytesIO(served)) as image:
                image.load()
                assert image.size == (post.width, post.height)
        else:
            with pytest.raises(OSError, match=r"identify|truncated|incomplete"):
                Image.open(io.BytesIO(served)).load()


def test_exact_copies_share_bytes_and_nothing_else_does(corpus: Corpus) -> None:
    by_id = {row.post_id: row for row in corpus.truth()}
    found: dict[str | None, str] = {}
    for row in by_id.values():
        if row.relation == "exact":
            assert row.base_post_id is not None
            assert row.sha256 == by_id[row.base_post_id].sha256
        elif row.fault not in ("empty", "html", "missing", "ghost"):
            assert row.sha256 not in found
            found[row.sha256] = row.character_id


def test_a_standing_figure_fills_the_height(corpus: Corpus) -> None:
    seen = 0
    for post, row in zip(corpus.posts, corpus.truth(), strict=True):
        ground = json.loads(row.attributes)["ground"]
        if (row.kind, row.relation, row.fault, ground) != ("standing", "original", None, "#ffffff"):
            continue
        assert post.file is not None
        with Image.open(corpus.folder / post.file) as image:
            pixels = np.asarray(ImageOps.exif_transpose(image).convert("L"))
        rows, columns = np.nonzero(pixels < 200)
        assert 0.85 < np.ptp(rows) / pixels.shape[0] < 0.99
        middle = (columns.min() + columns.max()) / 2 / pixels.shape[1]
        assert 0.3 < middle < 0.7
        assert columns.min() > 0
        assert columns.max() < pixels.shape[1] - 1
        seen += 1
    assert seen > 3


def test_a_corpus_is_drawn_once(
    config: PracticeConfig, corpus: Corpus, corpora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_draw", lambda *_: pytest.fail("drawn again"))
    assert Corpus.build(config, corpora) == corpus


def test_a_build_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "make_post", full)
    with pytest.raises(StoreError, match="No space left"):
        Corpus.build(PracticeConfig(posts=2), tmp_path)
    assert not [entry for entry in tmp_path.iterdir() if entry.is_dir()]


def test_what_a_killed_build_left_is_drawn_over(
    config: PracticeConfig, corpus: Corpus, tmp_path: Path
) -> None:
    left = tmp_path / f".{corpus.folder.name}.partial" / "images"
    left.mkdir(parents=True)
    (left / "half.jpg").write_bytes(b"half")
    built = Corpus.build(config, tmp_path)
    assert contents(built) == contents(corpus)
    assert not left.exists()


def test_two_builders_at_once_draw_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PracticeConfig(posts=6, height_min=80, height_max=90)
    drawn: list[Path] = []
    draw = module._draw
    monkeypatch.setattr(module, "_draw", lambda *args: (drawn.append(args[1]), draw(*args))[1])
    threads = [threading.Thread(target=Corpus.build, args=(config, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 1
    assert len(Corpus.build(config, tmp_path).posts) == 6


@pytest.mark.slow
def test_processes_draw_the_same_even_when_started_from_a_thread(tmp_path: Path) -> None:
    config = PracticeConfig(posts=60, height_min=80, height_max=100)
    found: list[Corpus] = []
    thread = threading.Thread(
        target=lambda: found.append(Corpus.build(config, tmp_path / "many", workers=2))
    )
    thread.start()
    thread.join()
    alone = Corpus.build(config, tmp_path / "one", workers=1)
    assert contents(found[0]) == contents(alone)
