"""The review page over HTTP on millions of images, beside DuckDB if it is installed.

    python benchmarks/review.py                       # 2,000,000 images; about a minute and 1 GB
    python benchmarks/review.py --images 200000

Drawn columns are put in place of those that an empty workspace has; a server process of its own
opens them and answers a client that sends one request after the other. Given are wall times and
the server's CPU time per request: on a machine that does other things too, the latter compares.
Then a thousand labels are given and the server killed, and keys are pressed in a browser, if one is
installed.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from review_keys import label_and_kill, press_keys

from ganime.review.cache import Cache
from ganime.review.columns import open_columns, write_columns
from ganime.review.digests import Ids
from ganime.review.image_columns import tag_columns
from ganime.review.verdict_columns import cell_columns
from ganime.store.word_sets import WordSets
from ganime.store.workspace import Workspace

RULES = ("person", "decodable", "tags", "min_side", "background", "multiple", "chibi", "duplicate")
SHARES = (0.0, 0.01, 0.05, 0.04, 0.12, 0.1, 0.06, 0.15)  # of all images that each rule drops
SCORED = {"background": (0.7, False), "multiple": (0.5, True), "chibi": (0.53, True)}
NUM_TAGS, TAGS_PER_IMAGE = 40_000, 26
SERVER = """
import sys
from ganime.review.serve import ReviewConfig, serve
from ganime.store.workspace import Workspace
serve(Workspace(sys.argv[1]), ReviewConfig(port=0), lambda url: print(url, flush=True))
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=2_000_000)
    options.add_argument("--requests", type=int, default=60, help="of each kind")
    options.add_argument("--labels", type=int, default=1000, help="before the server is killed")
    options.add_argument("--keys", type=int, default=60, help="pressed in a browser")
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    figures: dict[str, Any] = {"images": chosen.images}
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace(f"{name}/workspace")
        started = time.perf_counter()
        draw(workspace, chosen.images)
        print(f"{chosen.images} images drawn in {time.perf_counter() - started:.0f} s")
        figures |= ask_server(workspace, chosen.requests)
        figures |= ask_duckdb(Path(name), workspace, chosen.requests)
        figures["killed"] = label_and_kill(SERVER, workspace, chosen.labels)
        figures["keys"] = press_keys(SERVER, workspace, chosen.keys)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1))


def draw(workspace: Workspace, num: int) -> None:
    """Columns of so many images, as the cache of an empty workspace."""
    Cache(workspace).open()
    store = Workspace(str(workspace.shared_folder("review")))
    keys = {key.split("/")[-1].split("-")[0]: key for key in store.list("r1", ".arrow")}
    random = np.random.default_rng(0)
    made = _images(random, num) | _decisions(random, num)
    made |= tag_columns(_drawn_tags(random, num))
    for group, (columns, notes) in made.items():
        write_columns(store, keys[group], columns, notes)
    parts = [open_columns(store, keys[group]) for group in ("images", "decisions")]
    for group, (columns, notes) in cell_columns(*parts).items():
        write_columns(store, keys[group], columns, notes)


def _images(random: np.random.Generator, num: int) -> dict[str, Any]:
    digests = random.integers(0, 256, (num, 32), np.uint8)
    digests = digests[np.argsort(digests[:, :8].copy().view(">u8").ravel())]
    posted = random.integers(1_300_000_000, 1_740_000_000, num).astype(np.uint32)
    names = pa.array([f"safebooru/{i}" for i in range(1000)])
    images = {
        "digest": digests,
        "post": names.take(pa.array(random.integers(0, 1000, num))),
        "num_posts": np.ones(num, np.int32),
        "sources": (1 << random.integers(0, 5, num)).astype(np.uint32),
        "rating": random.integers(0, 5, num).astype(np.int8),
        "posted": posted,
        "fetched": random.integers(1_740_000_000, 1_741_000_000, num).astype(np.uint32),
        "month": posted.astype("datetime64[s]").astype("datetime64[M]").astype(np.int16),
    }
    notes = {
        "sources": ["danbooru", "gelbooru", "getchu", "safebooru", "zerochan"],
        "num_posts": num,
        "num_with_image": num,
        "lost": {},
    }
    sides = random.integers(200, 4000, (2, num)).astype(np.uint32)
    facts = {
        "width": sides[0],
        "height": sides[1],
        "num_bytes": sides[0] * 300,
        "problem": np.full(num, -1, np.int16),
        "format": np.zeros(num, np.int16),
    }
    padded = {"shard": np.full(num, -1, np.int16), "offset": np.zeros(num, np.int32)}
    return {
        "images": (images, notes),
        "facts": (facts, {"problem": [], "format": ["PNG"]}),
        "padded": (padded, {"shards": []}),
        "scores": ({"none": np.zeros(num, bool)}, {"questions": []}),
    }


def _decisions(random: np.random.Generator, num: int) -> dict[str, Any]:
    first = random.choice(len(RULES) + 1, num, p=[*SHARES, 1 - sum(SHARES)])
    status = np.where(first == len(RULES), -1, first).astype(np.int8)
    dropped = status >= 0
    reason = np.where(dropped, status * 3 + random.integers(0, 3, num), -1).astype(np.int16)
    scores, told = {}, []
    for order, rule in enumerate(RULES):
        entry = {"rule": rule, "order": order, "threshold": None, "above": None, "scored": False}
        if rule in SCORED:
            threshold, above = SCORED[rule]
            entry |= {"threshold": threshold, "above": above, "scored": True}
            scores[f"score_{order}"] = random.beta(0.6, 3, num).astype(np.float32)
        told.append(entry)
    bits = np.where(dropped, 1 << np.maximum(status, 0).astype(np.int64), 0)
    columns = {
        "status": status,
        "reason": reason,
        "drops": bits.astype(np.uint64),
        "people": np.zeros(num, np.uint64),
        "kept_instead": np.full(num, -1, np.int32),
        **scores,
    }
    reasons = [f"{rule}_{i}" for rule in RULES for i in range(3)]
    return {"decisions": (columns, {"rules": told, "reasons": reasons})}


def _drawn_tags(random: np.random.Generator, num: int) -> WordSets:
    """Tags as boorus have them: a few on most images, most on few."""
    words = sorted(f"{a}_{b}" for a in _syllables(200) for b in _syllables(NUM_TAGS // 200))
    ranks = random.permutation(len(words)).astype(np.int32)
    drawn = (len(words) ** random.random((num, TAGS_PER_IMAGE), np.float32)).astype(np.int32) - 1
    codes = np.sort(ranks[np.minimum(drawn, len(words) - 1)], axis=1)
    fresh = np.ones(codes.shape, bool)
    np.not_equal(codes[:, 1:], codes[:, :-1], out=fresh[:, 1:])
    starts = np.concatenate([[0], np.cumsum(fresh.sum(axis=1))])
    return WordSets(words, codes[fresh], starts)


def _syllables(num: int) -> list[str]:
    return [f"{'bcdfghklmnprstvz'[i % 16]}{'aeiou'[i // 16 % 5]}{i // 80}" for i in range(num)]


def ask_server(workspace: Workspace, num: int) -> dict[str, Any]:
    """Wall and CPU time of each kind of request."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, workspace.url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    client = _Client(url, process.pid)
    client.get("/api/images", {"num": 100})
    start_s = time.perf_counter() - started
    print(f"start to first answer (goal <= 3 s): {start_s:.2f} s, {client.cpu_s():.2f} s CPU")
    found: dict[str, Any] = {"start_s": start_s, "start_cpu_s": client.cpu_s()}
    try:
        common = [one["value"] for one in client.get("/api/tags", {"num": 60})]
        kinds: dict[str, Callable[[np.random.Generator], list[float]]] = {
            "facets and histogram": lambda random: client.timed("/api/facets", _filters(random)),
            "page and facets": lambda random: _both(client, _filters(random)),
            "next page": lambda random: _next(client, random),
            "facets, one tag": lambda random: client.timed(
                "/api/facets", {**_filters(random), "tag": str(random.choice(common))}
            ),
            "page and facets, two tags": lambda random: _both(
                client, {**_filters(random), "tag": random.choice(common, 2).tolist()}
            ),
            "tag prefix": lambda random: client.timed("/api/tags", {"prefix": "ba"}),
            "threshold preview": lambda random: client.timed(
                "/api/thresholds/chibi", {"value": round(float(random.random()), 3)}
            ),
            "queue most-uncertain": lambda random: client.timed(
                "/api/queues/most-uncertain", {"person": "ann", "question": "chibi"}
            ),
            "label acknowledged": lambda random: _label(client, random),
        }
        for kind, ask in kinds.items():
            ask(np.random.default_rng(99))  # orders and bins are made when first asked for
            found[kind] = _report(kind, client, ask, num)
        found["server_mb"] = _resident_mb(process.pid)
        print(f"server: {found['server_mb']:.0f} MB resident, mapped files among them")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
    return {"server": found}


def _report(kind: str, client: "_Client", ask: Callable[..., list[float]], num: int) -> Any:
    random = np.random.default_rng(1)
    before = client.cpu_s()
    walls = sorted(ask(random)[0] for _ in range(num))
    cpu_ms = 1000 * (client.cpu_s() - before) / num
    p50, p95 = statistics.median(walls), walls[int(0.95 * (num - 1))]
    print(f"{kind:28} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   server CPU {cpu_ms:6.1f} ms")
    return {"p50_ms": p50, "p95_ms": p95, "cpu_ms": cpu_ms}


def _filters(random: np.random.Generator) -> dict[str, Any]:
    """What people combine: a rule or status, a score's range, sources, dates."""
    low = round(float(random.random() * 0.6), 2)
    filters: dict[str, Any] = {"score": str(random.choice(list(SCORED)))}
    if random.random() < 0.5:
        filters |= {"score_min": low, "score_max": low + 0.3}
    if random.random() < 0.4:
        filters["status"] = str(random.choice(["kept", "dropped"]))
    if random.random() < 0.4:
        filters["rule"] = random.choice(RULES[1:], 2, replace=False).tolist()
    if random.random() < 0.3:
        filters["source"] = str(random.choice(["safebooru", "danbooru"]))
    if random.random() < 0.2:
        filters["posted_from"] = f"20{random.integers(12, 24)}-03-01"
    return filters


def _both(client: "_Client", filters: dict[str, Any]) -> list[float]:
    page = client.timed("/api/images", {**filters, "sort": "uncertain", "num": 100})
    return [page[0] + client.timed("/api/facets", filters)[0]]


def _next(client: "_Client", random: np.random.Generator) -> list[float]:
    query = {**_filters(random), "sort": "highest", "num": 100}
    cursor = client.get("/api/images", query)["cursor"]
    return client.timed("/api/images", {**query, "cursor": cursor} if cursor else query)


def _label(client: "_Client", random: np.random.Generator) -> list[float]:
    day = f"2020-{random.integers(1, 13):02}-{random.integers(1, 28):02}"
    item = client.get("/api/images", {"label": "none", "posted_from": day, "num": 1})["items"][0]
    one = {"image_id": item["id"], "question": "keep", "answer": True, "expected": None}
    started = time.perf_counter()
    client.post("/api/labels", {"by": "ann", "labels": [one]})
    return [1000 * (time.perf_counter() - started)]


class _Client:
    """Sends one request after the other, over one connection."""

    def __init__(self, url: str, process_id: int) -> None:
        self._connection = http.client.HTTPConnection(url.split("/")[2], timeout=60)
        self._process_id = process_id

    def get(self, path: str, query: dict[str, Any]) -> Any:
        self._connection.request("GET", f"{path}?{urlencode(query, doseq=True)}")
        return self._answer()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"X-Ganime": "review", "Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(body), headers)
        return self._answer()

    def timed(self, path: str, query: dict[str, Any]) -> list[float]:
        started = time.perf_counter()
        self.get(path, query)
        return [1000 * (time.perf_counter() - started)]

    def cpu_s(self) -> float:
        """CPU time that the server took so far."""
        fields = Path(f"/proc/{self._process_id}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _answer(self) -> Any:
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            sys.exit(f"{answer.status}: {content.decode()}")
        return json.loads(content)


def _resident_mb(process_id: int) -> float:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def ask_duckdb(folder: Path, workspace: Workspace, num: int) -> dict[str, Any]:
    """The same page and counts by SQL on Parquet, without HTTP; nothing if it is not installed."""
    try:
        import duckdb
    except ImportError:
        print("DuckDB is not installed: pip install duckdb")
        return {}
    snapshot = Cache(workspace).open()
    ids = Ids(snapshot.groups["images"]["digest"])
    table = pa.table(
        {
            "id": pa.array([ids.text(row) for row in range(len(ids))]),
            "post": snapshot.groups["images"].table["post"],
            "sources": snapshot.groups["images"]["sources"],
            "posted": snapshot.groups["images"]["posted"],
            "status": snapshot.groups["decisions"]["status"],
            "reason": snapshot.groups["decisions"]["reason"],
            **{name: scores.values for name, scores in snapshot.scores.items()},
        }
    )
    path = folder / "images.parquet"
    pq.write_table(table, path, compression="zstd")
    connection = duckdb.connect()
    found = {}
    for kind, ask in (("page", _sql_page), ("facets", _sql_facets)):
        random = np.random.default_rng(1)
        walls, before = [], time.process_time()
        for _ in range(num):
            started = time.perf_counter()
            for statement in ask(random, path):
                connection.execute(statement).fetchall()
            walls.append(1000 * (time.perf_counter() - started))
        cpu_ms = 1000 * (time.process_time() - before) / num
        p50, p95 = statistics.median(walls), sorted(walls)[int(0.95 * (num - 1))]
        print(f"DuckDB {kind:21} p50 {p50:6.1f} ms   p95 {p95:6.1f} ms   CPU {cpu_ms:6.1f} ms")
        found[kind] = {"p50_ms": p50, "p95_ms": p95, "cpu_ms": cpu_ms}
    return {"duckdb": found}


def _sql_page(random: np.random.Generator, path: Path) -> Iterator[str]:
    low = random.random() * 0.6
    yield (
        f"SELECT * FROM '{path}' WHERE status = {random.integers(-1, 8)} AND chibi BETWEEN {low}"
        f" AND {low + 0.3} ORDER BY abs(chibi - 0.53), id LIMIT 100"
    )


def _sql_facets(random: np.random.Generator, path: Path) -> Iterator[str]:
    low = random.random() * 0.6
    for column in ("status", "reason", "sources", "floor(chibi * 100)"):
        yield (
            f"SELECT {column}, count(*) FROM '{path}' WHERE chibi BETWEEN {low} AND {low + 0.3}"
            " GROUP BY 1"
        )


if __name__ == "__main__":
    main()
