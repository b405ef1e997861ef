import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganime.errors import StoreError
from ganime.review.answers import LabelConflictError, ReviewLog, Wish
from ganime.rows import LabelRow
from ganime.store.label_objects import IDENTITY
from ganime.store.labels import Answer, LabelLog
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace


class Machine:
    """A machine that labels in a store that is on no disk: a temporary folder of its own."""

    def __init__(self, url: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.workspace = Workspace(url)
        self._folder = folder
        self._patch = patch
        folder.mkdir(exist_ok=True)

    @property
    def log(self) -> LabelLog:
        self.enter()
        return LabelLog(self.workspace)

    @property
    def review(self) -> ReviewLog:
        self.enter()
        return ReviewLog(self.workspace)

    def enter(self) -> None:
        self._patch.setattr("tempfile.tempdir", str(self._folder))

    def say(self, image_id: str, answer: bool | None, by: str = "ann") -> None:
        said = Answer(image_id=image_id, question="keep", answer=answer)
        self.log.append([said], by=by, how="by hand")

    def forget(self) -> None:
        shutil.rmtree(self._folder)
        self._folder.mkdir()


@pytest.fixture
def url() -> Iterator[str]:
    name = f"memory://labels-{uuid.uuid4().hex}"
    yield name
    for key in Workspace(name).list(""):
        Workspace(name).remove(key)


@pytest.fixture
def one(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(url, tmp_path / "one", monkeypatch)


@pytest.fixture
def other(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(url, tmp_path / "other", monkeypatch)


def test_what_one_machine_says_another_hears(one: Machine, other: Machine) -> None:
    assert other.log.current() == []
    one.say("a", False)
    other.say("a", True, by="bob")
    (current,) = one.log.current()
    assert (current.answer, current.by, current.supersedes) == (True, "bob", 1)
    assert [row.answer for row in other.log.history("a")] == [False, True]
    assert [row.label_id for row in one.log.events()] == [1, 2]
    assert one.log.events() == other.log.events()


def test_the_copy_on_a_machine_may_be_lost(one: Machine) -> None:
    for number in range(30):
        one.say(f"image-{number}", number % 2 == 0)
    before = one.log.events()
    one.forget()
    assert one.log.events() == before
    assert len(one.workspace.list("labels", ".json")) == 30


def test_answers_given_together_are_one_object(one: Machine, other: Machine) -> None:
    many = [Answer(image_id=str(i), question="keep", answer=True) for i in range(100)]
    assert one.log.append(many, by="ann", how="import") == 100
    assert one.workspace.list("labels") == ["labels/000000001.json"]
    other.say("100", False)
    assert one.workspace.list("labels")[1:] == ["labels/000000101.json"]
    assert len(one.log.current()) == 101


@pytest.fixture
def overtake(one: Machine, other: Machine, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets bob answer on the other machine just before the next object is created."""
    create = Workspace.create_bytes

    def after_another(workspace: Workspace, key: str, content: bytes) -> bool:
        monkeypatch.setattr(Workspace, "create_bytes", create)
        other.say("a", True, by="bob")
        one.enter()
        return workspace.create_bytes(key, content)

    return lambda: monkeypatch.setattr(Workspace, "create_bytes", after_another)


def test_of_two_at_the_same_moment_one_is_told_and_nothing_is_lost(
    one: Machine, other: Machine, overtake: Callable[[], None]
) -> None:
    overtake()
    with pytest.raises(StoreError, match="at the same moment"):
        one.say("a", False)
    assert [(row.by, row.answer) for row in one.log.events()] == [("bob", True)]
    one.say("a", False)
    assert [row.label_id for row in other.log.events()] == [1, 2]


def test_threads_of_one_machine_lose_nothing(one: Machine) -> None:
    one.enter()
    people = [
        threading.Thread(target=lambda by=by: [one.say(f"{i}", True, by=by) for i in range(15)])
        for by in ("ann", "bob")
    ]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert [row.label_id for row in one.log.events()] == list(range(1, 31))


def test_an_answer_that_could_not_be_handed_in_was_not_given(
    one: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise StoreError("no permission")

    one.say("a", True)
    with monkeypatch.context() as patch:
        patch.setattr(Workspace, "create_bytes", refuse)
        with pytest.raises(StoreError, match="no permission"):
            one.say("a", False)
    assert [row.answer for row in one.log.events()] == [True]
    one.say("b", True)
    assert [row.label_id for row in one.log.events()] == [1, 2]


SCRIPT = """
import os, sys
from ganime.store.labels import Answer, LabelLog
from ganime.store.workspace import Workspace
create = Workspace.create_bytes
def killed(self, key, content):
    if (sys.argv[2] == "identity") != key.endswith("identity"):
        return create(self, key, content)
    if sys.argv[2] != "before":
        create(self, key, content)
    os.kill(os.getpid(), 9)
Workspace.create_bytes = killed
Workspace.is_local = property(lambda self: False)  # a store that outlives the process
log = LabelLog(Workspace(sys.argv[1]))
log.append([Answer(image_id="a", question="keep", answer=True)], by="x", how="y")
"""


@pytest.mark.parametrize(
    ("moment", "ends", "said"),
    [
        ("before", [-9, -9], []),
        ("after", [-9, -9], ["a", "a"]),
        ("identity", [-9, 0], ["a"]),  # of the log, which has one from then on
    ],
)
def test_a_kill_leaves_what_the_store_has(
    moment: str,
    ends: list[int],
    said: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workspace = Workspace(str(tmp_path / "store"))
    (tmp_path / "machine").mkdir()
    (tmp_path / "store" / "labels").mkdir(parents=True)  # an object store has no folders to make
    environment = {**os.environ, "TMPDIR": str(tmp_path / "machine")}
    command = [sys.executable, "-c", SCRIPT, workspace.url, moment]
    for end in ends:
        done = subprocess.run(command, env=environment, check=False, timeout=300)
        assert done.returncode == end
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "machine"))
    monkeypatch.setattr(Workspace, "is_local", property(lambda self: False))
    assert [row.image_id for row in LabelLog(workspace).events()] == said


def test_a_bucket_made_anew_knows_nothing_of_the_lost_one(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{bucket}/anew"
    one = Machine(url, tmp_path / "one", monkeypatch)
    other = Machine(url, tmp_path / "other", monkeypatch)
    one.say("lost", True)
    one.say("lost as well", True)
    assert len(other.log.events()) == 2
    for key in [*one.workspace.list(""), IDENTITY]:
        one.workspace.remove(key)
    assert one.log.events() == []
    one.say("new", False)
    # Of this one the machine saw neither the loss nor the moment when there was nothing.
    assert [row.image_id for row in other.log.events()] == ["new"]
    other.say("newer", False)
    assert [(row.label_id, row.image_id) for row in one.log.events()] == [(1, "new"), (2, "newer")]
    assert one.workspace.list("labels") == ["labels/000000001.json", "labels/000000002.json"]


def test_of_two_that_answer_first_both_keep_one_identity(
    one: Machine, other: Machine, overtake: Callable[[], None]
) -> None:
    one.log.events()
    overtake()
    with pytest.raises(StoreError, match="at the same moment"):
        one.say("b", True)
    one.say("b", True)
    assert [row.image_id for row in other.log.events()] == ["a", "b"]


def test_the_review_page_knows_when_somebody_elsewhere_was_first(
    one: Machine, other: Machine
) -> None:
    wish = Wish(image_id="a", question="keep", answer=True, expected=None)
    (event,) = one.review.answer([wish], by="ann", how="by hand")
    with pytest.raises(LabelConflictError, match="ann answered keep meanwhile: yes"):
        other.review.answer([wish], by="bob", how="by hand")
    one.review.undo([event.label_id], by="ann")
    assert other.log.current() == []
    assert [event.by for event in other.review.since(0)] == ["ann", "ann"]


def test_runs_freeze_them_as_on_a_disk(one: Machine) -> None:
    one.say("a", True)
    frozen = one.log.freeze("run-1")
    assert frozen is not None
    assert [row.image_id for row in Table(one.workspace, LabelRow).rows()] == ["a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not json", "holds no labels"),
        (b"{}", "an object between is missing"),
        (b"[]", "an object between is missing"),
        (json.dumps([{"label_id": 1}]).encode(), "holds no labels"),
    ],
)
def test_a_damaged_object_is_named(one: Machine, content: bytes, message: str) -> None:
    one.workspace.write_bytes("labels/000000001.json", content)
    with pytest.raises(StoreError, match=rf"labels/000000001\.json .*{message}"):
        one.log.current()


def test_a_gap_is_told(one: Machine) -> None:
    for image_id in "abc":
        one.say(image_id, True)
    one.workspace.remove("labels/000000002.json")
    one.forget()
    with pytest.raises(StoreError, match=r"labels/000000003\.json .* but 2 is the next"):
        one.log.current()
