"""`ganime labels` as a user has it."""

import csv
from pathlib import Path
from typing import Any

import pytest

from ganime.practice.corpus import Corpus
from ganime.practice.server import PracticeServer
from ganime.rows import PostRow
from ganime.store.labels import LabelLog
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def crawled(
    corpus: Corpus, served_command: Any, tmp_path_factory: pytest.TempPathFactory
) -> Workspace:
    workspace = tmp_path_factory.mktemp("labelled")
    with PracticeServer(corpus) as server:
        arguments = ["--url", server.url, "--tags", "full_body", "-w", str(workspace)]
        done = served_command.run("crawl", *arguments)
        assert done.returncode == 0, done.stderr
    return Workspace(str(workspace))


def test_labels_go_in_and_out_and_twice_adds_nothing(
    crawled: Workspace, served_command: Any, tmp_path: Path
) -> None:
    rows = [row for row in Table(crawled, PostRow).rows() if row.image_id]
    file = tmp_path / "labels.csv"
    file.write_text(
        "image,question,answer,by\n"
        f"{rows[0].image_id},chibi,yes,ann\n"
        f"safebooru/{rows[1].post_id},keep,no,ben\n"
        "ffffffffffff,chibi,no,ann\n"
    )
    where = ["-w", crawled.url]
    done = served_command.run("labels", "import", str(file), *where)
    assert done.returncode == 0, done.stderr
    again = served_command.run("labels", "import", str(file), *where)
    assert again.returncode == 0, again.stderr
    said = {(row.image_id, row.question, row.answer, row.by) for row in LabelLog(crawled).current()}
    assert said == {
        (rows[0].image_id, "chibi", True, "ann"),
        (rows[1].image_id, "keep", False, "ben"),
    }
    assert "ffffffffffff" in done.stdout
    target = tmp_path / "out.csv"
    assert (
        served_command.run("labels", "export", str(target), *where).stdout
        == f"2 answers: {target}\n"
    )
    with target.open(newline="") as stream:
        assert {row["question"] for row in csv.DictReader(stream)} == {"chibi", "keep"}


def test_folders_named_by_class_are_labels(
    crawled: Workspace, corpus: Corpus, served_command: Any, tmp_path: Path
) -> None:
    row = next(row for row in Table(crawled, PostRow).rows() if row.outcome == "fetched")
    folder = tmp_path / "sorted" / "chibi"
    folder.mkdir(parents=True)
    original = crawled.local_path(f"originals/{str(row.image_id)[:2]}/{row.image_id}")
    (folder / "any name.jpg").write_bytes(original.read_bytes())
    arguments = ["labels", "import", str(tmp_path / "sorted"), "--by", "cleo", "-w", crawled.url]
    done = served_command.run(*arguments, "--folder", "chibi=chibi:yes")
    assert done.returncode == 0, done.stderr
    answers = [item for item in LabelLog(crawled).current() if item.by == "cleo"]
    assert [(item.image_id, item.answer) for item in answers] == [(row.image_id, True)]
    wrong = served_command.run(*arguments, "--folder", "chibi")
    assert wrong.returncode == 2
    assert "wanted name=question:yes" in wrong.stderr


def test_without_features_nothing_can_be_proposed(crawled: Workspace, served_command: Any) -> None:
    done = served_command.run("labels", "next", "chibi", "-w", crawled.url)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "run `ganime run`, which measures them" in done.stderr
