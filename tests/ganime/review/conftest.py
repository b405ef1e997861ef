"""A small workspace as the real stages leave it, and the page served over it by real HTTP."""

import io
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from ganime.config import Config
from ganime.practice.corpus import Corpus, PracticeConfig
from ganime.practice.server import PracticeServer
from ganime.recurate import find_dataset
from ganime.review.serve import ReviewConfig, server_of
from ganime.review.service import Service
from ganime.rows import FaceRow, MetricRow, ScoreRow
from ganime.sources.safebooru import Safebooru
from ganime.stages import crawl, curate, dedupe, pad
from ganime.stages.crawl import CrawlConfig
from ganime.stages.crawl_config import crawl_id
from ganime.stages.curate import CurateConfig
from ganime.stages.dedupe import DedupeConfig
from ganime.stages.pad import PadConfig
from ganime.store.lineage import CrawledImages, crawled_images
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace
from ganime.web.server import listen

RATINGS = ("general", "sensitive", "questionable", "explicit", "unknown")
CURATE = CurateConfig.parse(
    {
        "resolution": 32,
        "rules": [
            "decodable",
            {"name": "min_side", "pixels": 110},
            "background",
            {"name": "classified", "ask": "chibi"},
            "duplicate",
        ],
    }
)
THRESHOLD = 0.6
_FROM = Provenance(stage="test", revision=1, config=Config(), run_id="run")


def score_of(image_id: str) -> float:
    """What the classifier of these tests says: the id's first byte, spread over 0-1."""
    return int(image_id[:2], 16) / 255


def make_version(
    workspace: Workspace,
    config: CurateConfig = CURATE,
    classifiers: dict[str, tuple[str, float]] | None = None,
) -> str:
    """Make a dataset version of all that was crawled."""
    scopes = [path.name for path in (Path(workspace.url) / "manifests" / "posts").iterdir()]
    reference = curate.run(
        workspace,
        config,
        images=crawled_images(workspace, scopes),
        classifiers=classifiers or {"chibi": ("chibi0001", THRESHOLD)},
        labels=[],
        pad_scope=pad.scope(PadConfig(size=64)),
        crawl_ids=scopes,
        run_id="run",
    )
    return str(reference)


def write_scores(workspace: Workspace, images: CrawledImages) -> None:
    """Scores and figures, as a classifier leaves them."""
    ids = images.ids.to_pylist()
    rows = [
        ScoreRow(
            image_id=image_id,
            measurement="chibi",
            revision="chibi0001",
            score=score_of(image_id),
            run_id="run",
            at=datetime(2025, 3, 1, tzinfo=UTC),
        )
        for image_id in ids
    ]
    Table(workspace, ScoreRow, "chibi/chibi0001").write("scores", rows, _FROM)
    suspects = [
        {"image_id": ids[i], "score": score_of(ids[i]), "answer": i == 1, "by": "tags"}
        for i in (1, 2)
    ]
    figures = {"question": "chibi", "threshold": THRESHOLD, "suspects": suspects}
    workspace.write_text("classifiers/chibi0001/figures.json", json.dumps(figures))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crawled, measured, padded and decided about, once."""
    folder = tmp_path_factory.mktemp("review")
    practice = PracticeConfig(
        posts=60, height_min=120, height_max=200, near=0.2, flashy=0.15, broken=0.1, chibi=0.1
    )
    corpus = Corpus.build(practice, folder / "corpus")
    workspace = Workspace(str(folder / "workspace"))
    with PracticeServer(corpus) as server:
        config = CrawlConfig(
            source=Safebooru(url=server.url), tags="full_body", limit=60, ratings=RATINGS
        )
        crawl.run(workspace, config, "run")
    images = crawled_images(workspace, [crawl_id(config)])
    ids = images.ids.to_pylist()
    for shard in dedupe.plan(workspace, ids, DedupeConfig()):
        dedupe.run_fingerprints(workspace, DedupeConfig(), shard, "run")
    dedupe.compare(workspace, DedupeConfig(), "run")
    for shard in pad.plan(workspace, ids, PadConfig(size=64)):
        pad.run(workspace, PadConfig(size=64), shard, "run")
    faces = [
        FaceRow(image_id=image_id, boxes=[[9, 5, 30, 26]], problem=None, run_id="run")
        for image_id in ids
    ]
    Table(workspace, FaceRow, "lbp-r1").write("faces", faces, _FROM)
    write_scores(workspace, images)
    make_version(workspace)
    return folder / "workspace"


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Workspace:
    """A copy of it, to be changed at will."""
    shutil.copytree(template, tmp_path / "workspace")
    return Workspace(str(tmp_path / "workspace"))


@pytest.fixture
def serve_with(serving: Callable[..., Any]) -> Callable[..., Any]:
    """Serves the page over real HTTP: a service, with a token; gives its address.

    The service is closed afterwards.
    """

    @contextmanager
    def serve(service: Service, token: str = "") -> Iterator[str]:
        config = ReviewConfig(port=0)
        with closing(service), serving(server_of(service, config, token), listen(config)) as url:
            yield url

    return serve


Client = httpx.Client
POST = {"X-Ganime": "review"}


@pytest.fixture
def trained(workspace: Workspace) -> tuple[str, str]:
    """Two models with samples, curves and scores, compared by `ganime compare`."""
    dataset = str(find_dataset(workspace, ""))
    for place, name in enumerate(("aaaa", "bbbb")):
        settings = {"dataset_version": dataset, "config": {"resolution": 32, "lr": 0.1 + place}}
        workspace.write_text(f"models/{name}/config.json", json.dumps(settings))
        for nimg in (1000, 2000 + 500 * place):
            buffer = io.BytesIO()
            Image.new("RGB", (96, 64), (90 * place, nimg % 255, 99)).save(buffer, "PNG")
            workspace.write_bytes(f"models/{name}/samples/{nimg:09d}.png", buffer.getvalue())
        rows = [
            MetricRow(nimg=nimg, name="loss_generator", value=1 / nimg)
            for nimg in range(100, 2001, 100)
        ]
        Table(workspace, MetricRow, root=f"models/{name}").write("metrics", rows, _FROM)
    gap = {"name": "fd", "first": 30.0, "second": 20.0, "better": "lower", "half": 4.0}
    told = {
        **{"first": "aaaa@2000", "second": "bbbb@2500", "reference": dataset},
        **{"counts": [60, 256], "gaps": [{**gap, "verdict": "B is better"}], "tags": []},
    }
    workspace.write_text("comparisons/aaaa-bbbb.json", json.dumps(told))
    return "aaaa", "bbbb"


@pytest.fixture
def service(workspace: Workspace) -> Service:
    return Service(workspace)


@pytest.fixture
def client(service: Service, serve_with: Callable[..., Any]) -> Iterator[Client]:
    """Talks to the page as its own scripts do."""
    with serve_with(service) as url, Client(base_url=url, headers=POST, timeout=30) as found:
        yield found


@pytest.fixture
def label(client: Client) -> Callable[..., httpx.Response]:
    """Posts one answer."""

    def post(image_id: str, answer: bool | None, **changes: Any) -> httpx.Response:
        one = {"image_id": image_id, "question": "keep", "answer": answer, "expected": None}
        body = {"by": changes.pop("by", "ann"), "how": changes.pop("how", "by hand")}
        return client.post("/api/labels", json={**body, "labels": [{**one, **changes}]})

    return post


@pytest.fixture
def curated() -> CurateConfig:
    """The settings of the dataset."""
    return CURATE


@pytest.fixture
def decide() -> Callable[..., str]:
    """Makes another version of the dataset: of a workspace, by other settings."""
    return make_version


@pytest.fixture
def decide_by() -> Callable[..., str]:
    """Makes another version of the dataset: of a workspace, by other classifiers."""
    return lambda workspace, classifiers: make_version(workspace, classifiers=classifiers)


_NAMED = "localStorage.setItem('ganime.person', 'ann')"


Visit = Callable[[Any], Awaitable[None]]


@pytest.fixture
def drive(
    visit_page: Callable[..., Any], service: Service, serve_with: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """Runs a visit by someone who said a name before; nothing outside is asked."""
    with serve_with(service) as url:

        def run(
            visit: Callable[[Any], Awaitable[None]], *, before: str = _NAMED, **how: Any
        ) -> Any:
            return visit_page(url, visit, before=before, **how)

        yield run
