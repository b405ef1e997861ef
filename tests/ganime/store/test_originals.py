import hashlib
import os
import subprocess
import sys
import threading

import pytest

from ganime.errors import StoreError
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "workspace"))


@pytest.fixture
def staging(tmp_path):
    folder = tmp_path / "workspace" / ".staging"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("number", [1, 3, 40])
def test_staged_originals_are_there_at_once_and_visible_after_the_commit(
    workspace, staging, number
):
    originals = Originals(workspace, staging)
    contents = [os.urandom(500) for _ in range(number)]
    ids = [originals.put(content) for content in contents]
    assert all(originals.has(image_id) for image_id in ids)
    assert workspace.list("originals") == []
    originals.commit()
    assert [Originals(workspace).get(image_id) for image_id in ids] == contents
    assert list(staging.iterdir()) == []


def test_the_same_bytes_are_kept_once_also_from_many_threads(workspace, staging):
    originals = Originals(workspace, staging)
    threads = [
        threading.Thread(target=lambda: [originals.put(b"same"), originals.commit()])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workspace.list("originals")) == 1
    assert list(staging.iterdir()) == []


def test_a_long_file_is_kept_and_its_source_may_go(workspace, staging, tmp_path):
    originals = Originals(workspace, staging)
    body = tmp_path / "workspace" / "body"
    body.write_bytes(b"long")
    image_id = originals.put_file(body)
    body.unlink()
    originals.commit()
    assert image_id == hashlib.sha256(b"long").hexdigest()
    assert originals.get(image_id) == b"long"


def test_a_staged_original_can_be_read(workspace, staging):
    originals = Originals(workspace, staging)
    assert originals.get(originals.put(b"bytes")) == b"bytes"


def test_without_staging_each_is_visible_at_once(workspace):
    image_id = Originals(workspace).put(b"bytes")
    assert workspace.read_bytes(f"originals/{image_id[:2]}/{image_id}") == b"bytes"


def test_a_folder_that_cannot_be_written_says_what_to_do(workspace, staging):
    (staging.parent / "originals").write_text("a file where the folder should be")
    originals = Originals(workspace, staging)
    image_id = originals.put(b"bytes")
    with pytest.raises(StoreError, match=r"cannot keep originals in .*workspace: .*run the same"):
        originals.commit()
    assert originals.has(image_id)
    (staging.parent / "originals").unlink()
    originals.commit()
    assert originals.get(image_id) == b"bytes"


KILLED = """
import os, sys
from pathlib import Path
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace
originals = Originals(Workspace(sys.argv[1]), Path(sys.argv[2]))
while True:
    for _ in range(20):
        originals.put(os.urandom(20_000))
    originals.commit()
    print("ready", flush=True)
"""


def test_killed_at_any_moment_every_visible_original_is_whole(workspace, staging):
    for moment in (0.01, 0.03, 0.07, 0.15):
        command = [sys.executable, "-c", KILLED, workspace.url, str(staging)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        process.stdout.readline()  # the first are there, however slow the machine
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
        process.communicate()
    keys = workspace.list("originals")
    assert keys
    for key in keys:
        content = workspace.read_bytes(key)
        assert hashlib.sha256(content).hexdigest() == key.rsplit("/", 1)[1]
