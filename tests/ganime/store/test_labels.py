import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ganime.errors import StoreError
from ganime.rows import LabelRow
from ganime.store.labels import Answer, LabelLog
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace


@pytest.fixture
def labels(tmp_path: Path) -> LabelLog:
    return LabelLog(Workspace(str(tmp_path)))


def say(labels: LabelLog, image_id: str, answer: bool | None, by: str = "ann") -> None:
    labels.append([Answer(image_id=image_id, question="keep", answer=answer)], by=by, how="by hand")


def test_the_last_answer_counts_and_the_first_is_kept(labels: LabelLog) -> None:
    say(labels, "a", False, by="ann")
    say(labels, "a", True, by="bob")
    (current,) = labels.current()
    assert (current.answer, current.by, current.supersedes) == (True, "bob", 1)
    assert [row.answer for row in labels.history("a")] == [False, True]


def test_an_answer_can_be_taken_back(labels: LabelLog) -> None:
    say(labels, "a", False)
    say(labels, "a", None)
    assert labels.current() == []
    assert len(labels.history("a")) == 2


def test_freezing_is_named_by_content(labels: LabelLog, tmp_path: Path) -> None:
    assert labels.freeze("run-1") is None
    say(labels, "a", True)
    first = labels.freeze("run-1")
    assert first is not None
    again = labels.freeze("run-1")
    assert again == first
    say(labels, "b", True)
    second = labels.freeze("run-1")
    assert second is not None
    assert second.key != first.key
    assert len(Table(Workspace(str(tmp_path)), LabelRow).rows()) == 2


def test_two_people_at_once_lose_nothing(labels: LabelLog) -> None:
    def work(by: str) -> None:
        for i in range(40):
            say(labels, f"image-{i}", True, by=by)

    people = [threading.Thread(target=work, args=(by,)) for by in ("ann", "bob")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sum(len(labels.history(f"image-{i}")) for i in range(40)) == 80


def test_an_acknowledged_label_survives_kill(labels: LabelLog, tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from ganime.store.labels import Answer, LabelLog\n"
        "from ganime.store.workspace import Workspace\n"
        "log = LabelLog(Workspace(sys.argv[1]))\n"
        "log.append([Answer(image_id='a', question='keep', answer=True)], by='x', how='y')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert [row.image_id for row in labels.current()] == ["a"]


def test_a_damaged_log_is_named(labels: LabelLog, tmp_path: Path) -> None:
    (tmp_path / "labels.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"cannot use .*labels\.db"):
        labels.current()
