"""The workspace on an object store, over real HTTP against a local S3 server."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ganime.errors import StoreError
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.server import PracticeServer
from ganime.rows import PostRow
from ganime.sources.safebooru import Safebooru
from ganime.stages import crawl
from ganime.stages.crawl import CrawlConfig
from ganime.store.manifest import Table, stable_columns
from ganime.store.originals import Originals
from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return Corpus.build(PracticeConfig(posts=60, seed=4), tmp_path_factory.mktemp("corpus"))


def settings(booru, **changes):
    return CrawlConfig(
        source=Safebooru(url=booru.url), tags="full_body", **{"shard_size": 10, **changes}
    )


def rows_of(workspace, config):
    names = stable_columns(PostRow)
    rows = Table(workspace, PostRow, crawl.crawl_id(config)).rows()
    return {row.post_id: [getattr(row, name) for name in names] for row in rows}


def test_keys_become_visible_and_are_listed_at_once(bucket):
    workspace = Workspace(f"{bucket}/keys")
    assert workspace.list("manifests") == []
    workspace.write_bytes("manifests/a.parquet", b"one")
    assert workspace.list("manifests") == ["manifests/a.parquet"]
    other = Workspace(f"{bucket}/keys")
    other.write_bytes("manifests/b.parquet", b"two")
    assert workspace.list("manifests") == ["manifests/a.parquet", "manifests/b.parquet"]
    assert workspace.exists("manifests/b.parquet")
    assert workspace.read_bytes("manifests/b.parquet") == b"two"
    assert workspace.size("manifests/b.parquet") == 3
    workspace.remove("manifests/a.parquet")
    assert not other.exists("manifests/a.parquet")
    assert workspace.describe("x") == f"{bucket}/keys/x"


def test_what_another_machine_writes_is_seen_at_once(bucket):
    import s3fs

    workspace = Workspace(f"{bucket}/two")
    elsewhere = s3fs.S3FileSystem(skip_instance_cache=True)
    for number in range(2):
        assert len(workspace.list("labels")) == number
        assert not workspace.exists(f"labels/{number}.json")
        elsewhere.pipe_file(f"{bucket}/two/labels/{number}.json", b"[]")
        assert workspace.exists(f"labels/{number}.json")
    assert not workspace.create_bytes("labels/1.json", b"mine")
    assert workspace.create_bytes("labels/2.json", b"mine")
    assert [workspace.read_bytes(f"labels/{number}.json") for number in (1, 2)] == [b"[]", b"mine"]


def test_a_crawl_on_s3_equals_one_on_a_disk(bucket, corpus, tmp_path):
    with PracticeServer(corpus) as booru:
        remote, local = Workspace(f"{bucket}/whole"), Workspace(str(tmp_path / "local"))
        for workspace in (remote, local):
            crawl.run(workspace, settings(booru), "run")
        rows = rows_of(remote, settings(booru))
        assert rows == rows_of(local, settings(booru))
        fetched = [row for row in Table(remote, PostRow).rows() if row.image_id]
        assert fetched
        for row in fetched:
            assert Originals(remote).get(row.image_id) == Originals(local).get(row.image_id)
        asked = booru.requests["image"]
        crawl.run(remote, settings(booru), "again")
        assert booru.requests["image"] == asked
        assert rows_of(remote, settings(booru)) == rows


CRAWL = """
import sys
from ganime.sources.safebooru import Safebooru
from ganime.stages import crawl
from ganime.store.workspace import Workspace
source = Safebooru(url=sys.argv[1])
config = crawl.CrawlConfig(source=source, tags="full_body", shard_size=10)
crawl.run(Workspace(sys.argv[2]), config, "killed")
"""


def test_after_kill_9_a_crawl_on_s3_goes_on(bucket, corpus):
    workspace = Workspace(f"{bucket}/killed")
    with PracticeServer(corpus, latency_s=0.05) as booru:
        config = settings(booru)
        process = subprocess.Popen([sys.executable, "-c", CRAWL, booru.url, workspace.url])
        deadline = time.monotonic() + 300  # others may be at work on this machine
        while not rows_of(workspace, config) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        before = rows_of(workspace, config)
        assert before
        crawl.run(workspace, config, "resumed")
        rows = rows_of(workspace, config)
        images = [path for path in booru.paths if path.startswith("/images/")]
        again = len(images) - len(set(images))
        whole = Workspace(f"{bucket}/unbroken")
        crawl.run(whole, config, "unbroken")
        assert rows == rows_of(whole, config)
        assert before.items() <= rows.items()
        assert again <= 8 + sum("md5_mismatch" in row for row in rows.values())


def test_a_store_without_credentials_says_so_in_a_sentence(monkeypatch):
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()  # those of other tests have credentials
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    workspace = Workspace("s3://nobodys-bucket/here")
    with pytest.raises(StoreError, match=r"nobodys-bucket.*credentials"):
        workspace.exists("a")
    with pytest.raises(StoreError, match=r"nobodys-bucket.*credentials"):
        workspace.write_bytes("a", b"")
