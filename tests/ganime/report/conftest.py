"""A workspace as a whole run leaves it, written through the real tables; its pixels are drawn."""

import hashlib
import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from ganime.config import Config
from ganime.report import ReportInputs
from ganime.rows import (
    DecisionRow,
    EvaluationRow,
    ImageRow,
    ListingRow,
    MemberRow,
    MetricRow,
    NeighbourRow,
    PaddedRow,
    PostRow,
    ScoreRow,
    SeenPost,
)
from ganime.store.labels import Answer, LabelLog
from ganime.store.manifest import Provenance, Table, schema_of
from ganime.store.pixels import write_shard
from ganime.store.workspace import Workspace
from ganime.training.video import animation

CRAWL, SCOPE, NAME, VERSION, MODEL = "crawl0001", "pad0001-r1", "characters", "v0001", "model0001"
QUERY = "query0001"
ROOT, START = f"datasets/{NAME}/{VERSION}", datetime(2025, 3, 1, 12, tzinfo=UTC)
RULES = ("person", "decodable", "tags", "min_side", "background", "multiple", "chibi", "duplicate")
SIDE, RESOLUTION = 96, 32
HOSTILE_TAG = "<script>alert(1)</script>\"'\u202egnp.exe"
HOSTILE_URL = "javascript:alert(document.domain)"
_MADE = Provenance(stage="test", revision=1, config=Config(), run_id="run")


@dataclass(frozen=True)
class Story:
    """What becomes of one synthetic post."""

    number: int
    outcome: str = "fetched"
    reason: str | None = None
    rule: str = ""  # that drops it
    rule_reason: str = ""
    file_of: int | None = None  # another post with the same file
    kept_instead: int | None = None
    by_hand: bool = False

    @property
    def image_id(self) -> str | None:
        if self.outcome not in ("fetched", "known"):
            return None
        number = self.number if self.file_of is None else self.file_of
        return hashlib.sha256(str(number).encode()).hexdigest()


def stories(num: int) -> list[Story]:
    """Deterministic fates, in shares as a real crawl has them."""
    found = []
    for i in range(num):
        story = Story(i)
        match i % 40:
            case 3:
                story = Story(i, "skipped", "rating")
            case 7:
                story = Story(i, "failed", "http_404" if i % 80 == 7 else "truncated")
            case 9:
                story = Story(i, "known", file_of=i - 1)
            case 11:
                story = Story(i, rule="decodable", rule_reason="truncated")
            case 13 | 14:
                story = Story(i, rule="tags", rule_reason="excluded_tag")
            case 16:
                story = Story(i, rule="min_side", rule_reason="too_small")
            case 18 | 19 | 20:
                story = Story(i, rule="background", rule_reason="flashy_background")
            case 22 | 23:
                story = Story(i, rule="multiple", rule_reason="multiple")
            case 25 | 26 | 27:
                story = Story(i, rule="chibi", rule_reason="chibi", by_hand=i % 40 == 27)
            case 30 | 31:
                story = Story(
                    i, rule="duplicate", rule_reason="near_duplicate", kept_instead=i - i % 40 + 29
                )
        found.append(story)
    return found


def draw(number: int, side: int, wobble: float = 0.0) -> np.ndarray:
    """A small figure: uint8 sRGB [side, side, 3]."""
    random = np.random.default_rng(number)
    image = np.full((192, 192, 3), 255, np.uint8)
    hair, dress = (tuple(int(c) for c in random.integers(40, 230, 3)) for _ in range(2))
    x, head = 96 + int(wobble * 20), int(random.integers(20, 30))
    cv2.ellipse(image, (x, 60), (head + 9, head + 14), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.circle(image, (x, 62), head, (250, 220, 200), -1, cv2.LINE_AA)
    cv2.fillPoly(
        image,
        [np.array([[x - 12, 86], [x + 12, 86], [x + 34, 150], [x - 34, 150]])],
        dress,
        cv2.LINE_AA,
    )
    for sign in (-1, 1):
        cv2.circle(image, (x + sign * head // 2, 62), 4, (40, 30, 60), -1, cv2.LINE_AA)
        cv2.line(image, (x + sign * 10, 150), (x + sign * 10, 184), (250, 220, 200), 8, cv2.LINE_AA)
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def post_row(story: Story, **changes: Any) -> PostRow:
    i = story.number
    fields: dict[str, Any] = {
        "crawl_id": CRAWL,
        "source": "safebooru",
        "post_id": str(5_000_000 - i),
        "position": i,
        "post_url": f"https://safebooru.org/index.php?page=post&s=view&id={5_000_000 - i}",
        "file_url": f"https://img.safebooru.org/images/{i}.png",
        "query": "full_body standing",
        "tags": sorted({"1girl", "solo", "standing", "full_body", f"tag_{i % 17}"}),
        "artist_tags": [f"artist_{i % 23}"],
        "copyright_tags": ["original"],
        "character_tags": [],
        "meta_tags": [],
        "rating": "explicit" if story.reason == "rating" else "general",
        "score": i % 9,
        "width": 600,
        "height": 900,
        "site_md5": None,
        "posted_at": START - timedelta(days=i),
        "changed_at": None,
        "state": "active",
        "parent_id": None,
        "source_link": None,
        "version": 1,
        "outcome": story.outcome,
        "reason": story.reason,
        "transient": False,
        "attempt": 1,
        "http_status": 404 if story.reason == "http_404" else 200,
        "num_bytes": 90_000 + i if story.image_id else None,
        "image_id": story.image_id,
        "fetched_at": START + timedelta(seconds=i) if story.image_id else None,
        "run_id": "run",
    }
    return PostRow(**{**fields, **changes})


def _image_row(story: Story) -> ImageRow:
    broken = story.rule == "decodable"
    return ImageRow(
        image_id=str(story.image_id),
        problem=story.rule_reason if broken else None,
        format="PNG",
        mode="RGB",
        width=None if broken else 600,
        height=None if broken else 900,
        frames=1,
        num_bytes=90_000,
        phash=None if broken else 2**63 + story.number,
        phash_mirrored=None if broken else story.number,
        trim_box=[],
        thumbnail=None,
        alpha_fraction=0.0,
        border_colour=[255, 255, 255],
        background_fraction=0.97,
        background_texture=0.5,
        sharpness=80.0,
        run_id="run",
    )


def score_of(story: Story, question: str) -> float:
    drawn = np.random.default_rng((story.number, len(question)))
    return float(drawn.beta(6, 2) if story.rule == question else drawn.beta(0.5, 14))


def _decision(story: Story, order: int, rule: str, by_number: dict[int, Story]) -> DecisionRow:
    drops = story.rule == rule
    score = threshold = None
    evidence: dict[str, Any] | None = None
    if rule in ("multiple", "chibi"):
        score, threshold = score_of(story, rule), 0.42
        drops = score > threshold if not story.rule or drops else False
    elif rule == "min_side":
        score, threshold = (90.0 if drops else 900.0), 128.0
    elif rule == "background":
        score, threshold = (0.3 + story.number % 30 / 100 if drops else 0.97), 0.7
    elif rule == "duplicate" and drops and story.kept_instead is not None:
        score, threshold = 0.86 + story.number % 13 / 100, 0.85
        evidence = {
            "kept": by_number[story.kept_instead].image_id,
            "hamming": 6,
            "mirrored": story.number % 2 == 0,
        }
    elif rule == "tags" and drops:
        evidence = {"tags": ["comic"]}
    by_hand = drops and story.by_hand
    if by_hand:
        evidence = {
            "label_id": 3,
            "by": "ada",
            "at": START.isoformat(),
            "note": "big head, short legs",
        }
    return DecisionRow(
        image_id=str(story.image_id),
        rule=rule,
        order=order,
        verdict="drop" if drops else "abstain" if rule == "person" else "keep",
        reason=(story.rule_reason or rule) if drops else "not_asked" if rule == "person" else None,
        score=score,
        threshold=threshold,
        evidence=json.dumps(evidence) if evidence else None,
        decided_by="person"
        if by_hand
        else "classifier"
        if rule in ("multiple", "chibi")
        else "rule",
    )


@dataclass(frozen=True)
class Made:
    """A workspace and what it was made of."""

    workspace: Workspace
    inputs: ReportInputs
    stories: list[Story]


def make_workspace(folder: Path, num: int = 240) -> Made:
    """Write everything a run leaves behind."""
    workspace = Workspace(str(folder))
    told = stories(num)
    rows = [post_row(story) for story in told]
    rows[0] = replace(rows[0], tags=[HOSTILE_TAG, "1girl"], post_url=HOSTILE_URL)
    Table(workspace, PostRow, CRAWL).write("posts", rows, _MADE)
    listed = [_listing(row) for row in rows]
    Table(workspace, ListingRow, QUERY).write("page", listed, _MADE)
    queries = [{"query_id": QUERY, "source": "safebooru", "root": "", "tags": ""}]
    crawl = json.dumps({"queries": queries, "ratings": ["general"]})
    workspace.write_text(f"manifests/crawls/{CRAWL}.json", crawl)
    images = list({story.image_id: story for story in reversed(told) if story.image_id}.values())[
        ::-1
    ]
    Table(workspace, ImageRow).write("images", [_image_row(story) for story in images], _MADE)
    kept = _write_decisions(workspace, images)
    Table(workspace, NeighbourRow).write("edges", _edges(images, kept), _MADE)
    _write_pixels(workspace, images, kept)
    _write_classifiers(workspace, images)
    _write_model(workspace)
    LabelLog(workspace).append(
        [Answer(image_id=str(images[0].image_id), question="keep", answer=True)],
        by="ada",
        how="by hand",
    )
    return Made(workspace, _inputs(), told)


def _listing(row: PostRow) -> ListingRow:
    shared = {name: getattr(row, name) for name in schema_of(SeenPost).names}
    return ListingRow(**shared, query_id=QUERY)


def _edges(images: list[Story], kept: list[Story]) -> list[NeighbourRow]:
    alike = {str(kept[5].image_id): str(kept[4].image_id)}
    return [
        NeighbourRow(
            image_id=image_id,
            others=[other] if other else [],
            hamming=[9] if other else [],
            similarity=[0.812] if other else [],
            mirrored=[False] if other else [],
            run_id="run",
        )
        for image_id in (str(story.image_id) for story in images)
        for other in [alike.get(image_id)]
    ]


def _write_decisions(workspace: Workspace, images: list[Story]) -> list[Story]:
    by_number = {story.number: story for story in images}
    table = {
        story.number: [_decision(story, order, rule, by_number) for order, rule in enumerate(RULES)]
        for story in images
    }
    Table(workspace, DecisionRow, root=ROOT).write(
        "decisions", [row for rows in table.values() for row in rows], _MADE
    )
    return [story for story in images if all(row.verdict != "drop" for row in table[story.number])]


def _write_pixels(workspace: Workspace, images: list[Story], kept: list[Story]) -> None:
    fine = [story for story in images if story.rule != "decodable"]
    padded = [
        draw(story.kept_instead or story.number, SIDE, 0.2 if story.kept_instead else 0)
        for story in fine
    ]
    write_shard(workspace, f"padded/{SCOPE}/a.npy", np.stack(padded))
    place = {story.number: i for i, story in enumerate(fine)}
    Table(workspace, PaddedRow, SCOPE).write(
        "a",
        [
            PaddedRow(
                image_id=str(story.image_id),
                shard=f"padded/{SCOPE}/a.npy" if story.number in place else None,
                offset=place.get(story.number),
                scale=0.1,
                fill=[255, 255, 255],
                problem=None if story.number in place else story.rule_reason,
                run_id="run",
            )
            for story in images
        ],
        _MADE,
    )
    write_shard(
        workspace,
        f"{ROOT}/images.npy",
        np.stack([draw(story.number, RESOLUTION) for story in kept]),
    )
    Table(workspace, MemberRow, root=ROOT).write(
        "members",
        [
            MemberRow(
                image_id=str(story.image_id),
                shard=f"{ROOT}/images.npy",
                offset=i,
                split="holdout" if i % 20 == 0 else "train",
                tags=["1girl"],
            )
            for i, story in enumerate(kept)
        ],
        _MADE,
    )


def _write_classifiers(workspace: Workspace, images: list[Story]) -> None:
    for question in ("multiple", "chibi"):
        scores = [(str(story.image_id), score_of(story, question)) for story in images]
        Table(workspace, ScoreRow, f"{question}/{question}0001").write(
            "scores",
            [
                ScoreRow(
                    image_id=image_id,
                    measurement=question,
                    revision=f"{question}0001",
                    score=score,
                    run_id="run",
                    at=START,
                )
                for image_id, score in scores
            ],
            _MADE,
        )
        workspace.write_text(
            f"classifiers/{question}0001/figures.json", json.dumps(_figures(question, scores))
        )


def _figures(question: str, scores: list[tuple[str, float]]) -> dict[str, Any]:
    cuts = np.linspace(0.02, 0.98, 60)
    curve = [
        {"threshold": cut, "precision": 1 - 0.6 * math.exp(-5 * cut), "recall": 1 - cut**4}
        for cut in cuts.tolist()
    ]
    return {
        "question": question,
        "threshold": 0.42,
        "confusion": {"tp": 41, "fp": 6, "fn": 9, "tn": 1310},
        "precision": 0.872,
        "precision_interval": [0.748, 0.94],
        "recall": 0.82,
        "recall_interval": [0.692, 0.902],
        "f1": 0.845,
        "average_precision": 0.891,
        "roc_auc": 0.987,
        "labels": {"positive": {"people": 12, "tags": 38}, "negative": {"people": 4, "tags": 1312}},
        "calibration_error": 0.021,
        "curve": curve,
        "num_set_aside": 2,
        "wish": {"precision": 0.9, "reached": False, "value": 0.872, "interval": [0.748, 0.94]},
        "people": {"precision": 0.951, "recall": 0.83, "precision_interval": [0.81, 0.99]},
        "suspects": [
            {
                "image_id": image_id,
                "score": score,
                "answer": False,
                "by": "tags",
                "set_aside": score > 0.8,
            }
            for image_id, score in sorted(scores, key=lambda item: -item[1])[:9]
        ],
    }


CURVES: dict[str, Callable[[float], float]] = {
    "loss_generator": lambda t: 0.8 + 1.2 * (1 - math.exp(-4 * t)),
    "loss_discriminator": lambda t: 1.35 - 0.5 * (1 - math.exp(-6 * t)),
    "penalty_discriminator": lambda t: 0.1 + 0.05 * t,
    "told_apart": lambda t: 0.7 + 0.1 * t,
    "images_per_second": lambda t: 172.0,
    "diversity": lambda t: 0.4 + 0.5 * t,
    "augment_probability": lambda t: 0.4 * t,
    "overfit": lambda t: 0.6,
    "temperature": lambda t: 37.0,  # which nobody has heard of
}
EXAMINED: dict[str, Callable[[float], float]] = {
    "spread": lambda t: 0.3 + 0.5 * t,
    "recall_16px": lambda t: 0.4 * t,
    "copied": lambda t: 0.02 if t > 0.9 else 0.0,
}


def _write_model(workspace: Workspace, total: int = 40_000) -> None:
    random = np.random.default_rng(0)
    root = f"models/{MODEL}"
    rows = [
        MetricRow(
            nimg=nimg,
            name=name,
            value=curve(nimg / total) * float(1 + 0.06 * random.standard_normal()),
        )
        for nimg in range(512, total + 1, 512)
        for name, curve in CURVES.items()
    ]
    rows += [
        MetricRow(nimg=nimg, name=name, value=curve(nimg / total))
        for nimg in range(4000, total + 1, 4000)
        for name, curve in EXAMINED.items()
    ]
    rows.append(MetricRow(nimg=12_000, name="rollbacks", value=1.0))
    Table(workspace, MetricRow, root=root).write("metrics", rows, _MADE)
    evaluations = [
        _evaluation(nimg, 90 + 320 * math.exp(-nimg / 9000))
        for nimg in range(4000, total + 1, 4000)
    ]
    evaluations.append(replace(_evaluation(0, 21.5), metric="fd_resnet18_tags_floor"))
    Table(workspace, EvaluationRow, root=root).write("evaluations", evaluations, _MADE)
    for nimg in range(4000, total + 1, 4000):
        noise = 1 - nimg / total
        write_png(workspace, f"{root}/samples/{nimg:09d}.png", _sheet(64, noise))
        write_png(workspace, f"{root}/samples/{nimg:09d}-tags.png", _sheet(16, noise))
    write_png(workspace, f"{root}/nearest.png", _sheet(12, 0.0, columns=6))
    frames = [_sheet(64, noise) for noise in (1.0, 0.5, 0.0)]
    workspace.write_bytes(f"{root}/progress.webp", animation(frames, 4, ".webp", hold=True))
    config = {
        "num_images": 180,
        "parameters": {"generator": 1_234_567, "discriminator": 987_654},
        "tags": ["long_hair", HOSTILE_TAG, "smile"],
        "config": {
            "recipe": {"name": "dcgan", "latent": 128},
            "resolution": RESOLUTION,
            "batch": 16,
            "mirror": True,
            "augment": {"name": "ada", "changes": ["hue", "scale"], "target": 0.6},
        },
    }
    workspace.write_text(f"{root}/config.json", json.dumps(config))
    finished = {"nimg": total, "run_id": "run", "ended": "all images were shown"}
    workspace.write_text(f"{root}/finished.json", json.dumps(finished))


def write_png(workspace: Workspace, key: str, image: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    workspace.write_bytes(key, buffer.getvalue())


def _sheet(num: int, noise: float, columns: int = 8) -> np.ndarray:
    cells = [_sample(i, noise) for i in range(num)]
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, num, columns)]
    return np.vstack(rows)


def _sample(number: int, noise: float) -> np.ndarray:
    clean = draw(1000 + number, RESOLUTION).astype(np.float64)
    blurred = cv2.GaussianBlur(clean, (0, 0), 0.3 + 4 * noise)
    return np.clip(blurred, 0, 255).astype(np.uint8)


def _evaluation(nimg: int, value: float) -> EvaluationRow:
    return EvaluationRow(
        model_id=MODEL,
        nimg=nimg,
        metric="fd_resnet18_tags",
        value=value,
        extractor="resnet18_tags",
        weights="0123456789ab",
        resize="bicubic, antialiased, 64 px",
        num_real=180,
        num_fake=1000,
        reference=f"{NAME}/{VERSION}",
        seed=0,
    )


def _inputs() -> ReportInputs:
    return ReportInputs(
        run_id="b6f0c1d2-3e4f-4a5b-8c6d-7e8f90a1b2c3",
        run_url="http://127.0.0.1:4200/runs/flow-run/b6f0c1d2",
        started_at=START,
        finished_at=START + timedelta(minutes=7, seconds=31),
        crawl_ids=[CRAWL],
        pad_scope=SCOPE,
        dataset_name=NAME,
        dataset_version=VERSION,
        classifiers={"multiple": "multiple0001", "chibi": "chibi0001"},
        model_id=MODEL,
        settings={
            "crawl": {
                "source": {"name": "safebooru", "url": "https://safebooru.org"},
                "tags": "full_body standing",
                "limit": 240,
            },
            "curate": {
                "rules": [
                    {"name": "min_side", "pixels": 128},
                    {"name": "tags", "exclude": ["comic", HOSTILE_TAG]},
                ]
            },
            "train": {"nimg": 40_000, "augment": ["translation"], "mirror": True, "note": None},
        },
        command='ganime run --tags "full_body standing" --limit 240 --set train.nimg=40000',
        versions={"ganime": "0.1.0", "python": "3.11.9", "torch": "2.13.0"},
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The workspace of a whole run; tests do not change its manifests."""
    return make_workspace(tmp_path_factory.mktemp("report"))
