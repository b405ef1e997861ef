import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganime.errors import StoreError
from ganime.store.workspace import Workspace


@pytest.fixture(params=["disk", "memory"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    """Every promise holds on a disk and on a store without paths."""
    if request.param == "disk":
        return Workspace(str(tmp_path / "workspace"))
    return Workspace(f"memory://{tmp_path.name}")


def test_what_was_written_is_read_and_listed(workspace: Workspace) -> None:
    workspace.write_bytes("a/b/c.txt", b"one")
    workspace.write_text("a/d.txt", "two")
    assert workspace.read_bytes("a/b/c.txt") == b"one"
    assert workspace.list("a") == ["a/b/c.txt", "a/d.txt"]
    assert workspace.list("a", "d.txt") == ["a/d.txt"]
    assert workspace.list("nothing") == []
    assert workspace.size("a/d.txt") == 3
    with workspace.source("a/b/c.txt") as source:
        content = Path(source).read_bytes() if isinstance(source, str) else source.read()
        assert content == b"one"
    assert workspace.local_path("a/b/c.txt").read_bytes() == b"one"


def test_of_those_who_create_a_key_one_succeeds(workspace: Workspace) -> None:
    assert workspace.create_bytes("folder/key", b"first")
    assert not workspace.create_bytes("folder/key", b"second")
    assert workspace.read_bytes("folder/key") == b"first"
    assert workspace.list("folder") == ["folder/key"]


def test_writing_again_replaces(workspace: Workspace) -> None:
    workspace.write_bytes("key", b"old")
    workspace.write_bytes("key", b"new")
    assert workspace.read_bytes("key") == b"new"
    workspace.remove("key")
    workspace.remove("key")
    assert not workspace.exists("key")


def test_a_failed_write_leaves_nothing_behind(workspace: Workspace) -> None:
    def fail_halfway() -> None:
        with workspace.writing("folder/key") as path:
            path.write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert not workspace.exists("folder/key")
    assert workspace.list("folder") == []


def test_a_missing_key_is_named(workspace: Workspace) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*not there"):
        workspace.read_bytes("nowhere")


def test_keys_cannot_leave_the_workspace(workspace: Workspace) -> None:
    for key in ("../outside", "a/../../outside", "/etc/passwd"):
        with pytest.raises(StoreError, match="not a key"):
            workspace.write_bytes(key, b"")


def test_a_full_disk_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    workspace = Workspace(str(tmp_path))
    with pytest.raises(StoreError, match="the disk is full; make room"):
        workspace.write_bytes("key", b"content")
    assert list(tmp_path.iterdir()) == []


def test_kill_during_a_write_leaves_no_visible_key(tmp_path: Path) -> None:
    script = (
        "import os, sys\n"
        "from ganime.store.workspace import Workspace\n"
        "with Workspace(sys.argv[1]).writing('folder/key') as path:\n"
        "    path.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert Workspace(str(tmp_path)).list("folder") == []
    assert not Workspace(str(tmp_path)).exists("folder/key")


def test_a_workspace_below_a_file_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="choose another --workspace"):
        Workspace(str(tmp_path / "file" / "workspace")).check_writable()
