"""The main job, whole: real HTTP, real Prefect, real Parquet, a real GAN."""

import json
import os
import random
import re
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ganime.practice.corpus import Corpus
from ganime.practice.server import PracticeServer
from ganime.rows import DecisionRow, PostRow
from ganime.store.lineage import crawls, datasets
from ganime.store.manifest import Table
from ganime.store.pixels import Dataset
from ganime.store.workspace import Workspace

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unbroken(
    corpus: Corpus, command: Any, smoke_arguments: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, str]:
    """One whole run: its workspace, the port of its booru, its output."""
    workspace = tmp_path_factory.mktemp("unbroken")
    with PracticeServer(corpus) as booru:
        done = command.run(*smoke_arguments(booru.url, workspace))
        assert done.returncode == 0, done.stderr
        return workspace, int(booru.url.rsplit(":", 1)[1]), done.stdout + done.stderr


def test_a_run_ends_with_funnel_and_report(unbroken: tuple[Path, int, str]) -> None:
    workspace, _, output = unbroken
    found = re.search(r"report: (.+index\.html)", output)
    assert found
    page = Path(found[1]).read_text()
    assert Path(found[1]).is_relative_to(workspace)
    assert "</html>" in page
    assert "http://" not in re.sub(r"http://127\.0\.0\.1:\d+", "", _attributes(page, "src"))
    assert "Traceback" not in output


def test_every_post_has_one_outcome_and_every_image_one_decision_per_rule(
    unbroken: tuple[Path, int, str], corpus: Corpus
) -> None:
    store = Workspace(str(unbroken[0]))
    (crawl_id,) = crawls(store)
    posts = Table(store, PostRow, crawl_id).rows()
    assert len({row.post_id for row in posts}) == len(posts) > 0
    assert {row.outcome for row in posts} <= {"fetched", "known", "skipped", "failed"}
    assert all((row.image_id is not None) == (row.outcome in ("fetched", "known")) for row in posts)
    assert all(row.reason for row in posts if row.outcome in ("skipped", "failed"))
    ((name, version),) = datasets(store)
    decisions = Table(store, DecisionRow, root=f"datasets/{name}/{version}").rows()
    rules = {row.rule for row in decisions}
    images = {row.image_id for row in decisions}
    assert images == {row.image_id for row in posts if row.image_id}
    assert len(decisions) == len(rules) * len(images)


def test_no_broken_file_and_no_exact_copy_reaches_the_dataset(
    unbroken: tuple[Path, int, str], corpus: Corpus
) -> None:
    store = Workspace(str(unbroken[0]))
    ((name, version),) = datasets(store)
    members = {row.image_id for row in Dataset(store, name, version).members}
    broken = {row.sha256 for row in corpus.truth() if row.fault is not None}
    assert members
    assert not members & broken
    assert len(Dataset(store, name, version).members) == len(members)


def test_no_character_is_kept_twice_and_no_two_are_merged(
    unbroken: tuple[Path, int, str], corpus: Corpus
) -> None:
    store = Workspace(str(unbroken[0]))
    ((name, version),) = datasets(store)
    drawn = {row.sha256: row.character_id for row in corpus.truth()}
    kept = [drawn[row.image_id] for row in Dataset(store, name, version).members]
    assert len(kept) == len(set(kept))
    decisions = Table(store, DecisionRow, root=f"datasets/{name}/{version}").rows()
    copies = [row for row in decisions if row.rule == "duplicate" and row.verdict == "drop"]
    assert copies
    for row in copies:
        assert drawn[json.loads(row.evidence or "")["kept"]] == drawn[row.image_id]


def test_a_dataset_is_decided_again_compared_and_exported(
    unbroken: tuple[Path, int, str], command: Any, tmp_path: Path
) -> None:
    where = ["-w", str(unbroken[0])]
    store = Workspace(str(unbroken[0]))
    ((name, version),) = datasets(store)
    foretold = command.run("curate", "--set", "min_side.pixels=600", "--dry-run", *where)
    assert re.search(r"kept -> min_side, for example [0-9a-f]{12}", foretold.stdout)
    assert datasets(store) == [(name, version)]
    zipped = tmp_path / "characters.zip"
    done = command.run("export", str(zipped), "--to", "stylegan", *where)
    assert done.stdout == f"{name}/{version}: {zipped}\n", done.stderr
    with zipfile.ZipFile(zipped) as archive:
        pictures = [item for item in archive.namelist() if item.endswith(".png")]
    members = Dataset(store, name, version).members
    assert len(pictures) == sum(member.split == "train" for member in members)
    same = command.run("diff", name, f"{name}/{version}", *where)
    assert same.returncode == 0, same.stderr
    wrong = command.run("curate", "--set", "chibbi.threshold=1", *where)
    assert wrong.returncode == 2
    assert "no rule is called 'chibbi'" in wrong.stderr


def test_the_second_run_fetches_nothing_and_changes_nothing(
    unbroken: tuple[Path, int, str],
    corpus: Corpus,
    command: Any,
    smoke_arguments: Any,
    rows_of: Any,
) -> None:
    workspace, port, _ = unbroken
    before = rows_of(str(workspace))
    with PracticeServer(corpus, port=port) as booru:
        done = command.run(*smoke_arguments(booru.url, workspace))
        assert done.returncode == 0, done.stderr
        assert booru.requests["image"] == 0
        assert booru.requests["list"] <= 2
    assert rows_of(str(workspace)) == before


def test_killed_anywhere_the_same_command_finishes_the_same(
    unbroken: tuple[Path, int, str],
    corpus: Corpus,
    command: Any,
    smoke_arguments: Any,
    rows_of: Any,
    tmp_path: Path,
) -> None:
    _, port, _ = unbroken
    seed = int(os.environ.get("GANIME_KILL_SEED", time.time()))
    moments = random.Random(seed)
    with PracticeServer(corpus, port=port) as booru:
        for _ in range(4):
            asked = booru.requests["list"]
            process = command.start(*smoke_arguments(booru.url, tmp_path))
            while booru.requests["list"] == asked and process.poll() is None:
                time.sleep(0.1)
            time.sleep(moments.uniform(0, 15))  # all stages lie within
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        fetched_twice = _fetched_twice(booru)
        done = command.run(*smoke_arguments(booru.url, tmp_path))
        assert done.returncode == 0, done.stderr
    assert rows_of(str(tmp_path)) == rows_of(str(unbroken[0])), f"GANIME_KILL_SEED={seed}"
    assert _models(tmp_path) == _models(unbroken[0]), f"GANIME_KILL_SEED={seed}"
    assert len(fetched_twice) <= 4 * 100, "at most the shards in flight are fetched again"


def test_a_correction_by_hand_counts_in_the_next_run(
    unbroken: tuple[Path, int, str],
    corpus: Corpus,
    command: Any,
    smoke_arguments: Any,
) -> None:
    workspace, port, _ = unbroken
    store = Workspace(str(workspace))
    old = set(datasets(store))
    ((name, version),) = old
    wrong = Dataset(store, name, version).members[0].image_id
    said = command.run("label", wrong, "no", "--by", "ann", "--workspace", str(workspace))
    assert said.returncode == 0, said.stderr
    with PracticeServer(corpus, port=port) as booru:
        done = command.run(*smoke_arguments(booru.url, workspace))
        assert done.returncode == 0, done.stderr
    ((name, version),) = set(datasets(store)) - old
    assert wrong not in {row.image_id for row in Dataset(store, name, version).members}
    told = command.run("explain", wrong[:16], "--workspace", str(workspace))
    assert "ann said keep: no" in told.stdout
    assert "dropped by person" in told.stdout
    status = command.run("status", "--workspace", str(workspace))
    assert "person" in status.stdout


def test_nothing_is_asked_of_any_other_machine(
    corpus: Corpus, command: Any, smoke_arguments: Any, tmp_path: Path
) -> None:
    """Every address that any Python process of the run looks up or connects to is this machine."""
    log = tmp_path / "addresses.txt"
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        place = args[1] if event != 'socket.getaddrinfo' else args[0]\n"
        f"        open({str(log)!r}, 'a').write(f'{{place!r}}\\n')\n"
        "sys.addaudithook(hook)\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with PracticeServer(corpus) as booru:
        done = command.run(
            *smoke_arguments(booru.url, tmp_path / "workspace", "--limit", "40"),
            PYTHONPATH=path,
        )
    assert done.returncode == 0, done.stderr
    asked = set(log.read_text().splitlines())
    local = re.compile(r"127\.0\.0\.1|localhost|'::1'|None|^'/|^b'/|''")
    assert asked
    assert [place for place in asked if not local.search(place)] == []


def test_an_unknown_tag_is_named(
    booru: PracticeServer, command: Any, smoke_arguments: Any, tmp_path: Path
) -> None:
    done = command.run(*smoke_arguments(booru.url, tmp_path, tags="no_such_tag"))
    _is_one_sentence(done, "no_such_tag")


def test_missing_weights_are_named(
    booru: PracticeServer, command: Any, smoke_arguments: Any, tmp_path: Path
) -> None:
    weights = ["--backbone-weights", "missing.pth", "--limit", "20"]
    done = command.run(*smoke_arguments(booru.url, tmp_path, *weights))
    _is_one_sentence(done, "missing.pth")


def test_a_missing_folder_is_named(command: Any, tmp_path: Path) -> None:
    where = ["--path", str(tmp_path / "nowhere"), "-w", str(tmp_path / "w")]
    _is_one_sentence(command.run("run", "--preset", "smoke", *where), "nowhere")


def test_weights_that_are_missing_are_named_before_anything_is_fetched(
    command: Any, tmp_path: Path
) -> None:
    where = ["--path", str(tmp_path), "-w", str(tmp_path / "w")]
    done = command.run("run", "--backbone-weights", str(tmp_path / "absent.pth"), *where)
    _is_one_sentence(done, "absent.pth")
    assert not (tmp_path / "w" / "manifests").exists()


def test_an_unreachable_site_is_named(command: Any, smoke_arguments: Any, tmp_path: Path) -> None:
    done = command.run(*smoke_arguments("http://127.0.0.1:9", tmp_path))
    _is_one_sentence(done, "127.0.0.1:9")


def _is_one_sentence(done: Any, about: str) -> None:
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ganime: ")
    assert about in last


def _attributes(page: str, name: str) -> str:
    return " ".join(re.findall(rf'{name}="([^"]*)"', page))


def _fetched_twice(booru: PracticeServer) -> list[str]:
    images = [path for path in booru.paths if path.startswith("/images/")]
    return [path for path in set(images) if images.count(path) > 1]


def _models(workspace: Path) -> dict[str, bytes]:
    """Final snapshots and settings: bit for bit what a training came to."""
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for path in sorted(workspace.glob("models/*/snapshots/*.safetensors"))
    }
