"""Near-duplicates are shown as pairs, the doubtful ones first, and never too many."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganime.config import Config
from ganime.rows import DecisionRow, PaddedRow
from ganime.stages.curate import DatasetRef
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import PaddedPixels, write_shard
from ganime.store.workspace import Workspace
from tasks.duplicates import NUM_PAIRS, duplicate_pairs, duplicates_text

MADE = Provenance(stage="test", revision=1, config=Config(), run_id="run")
NUM, SCOPE, DATASET = 40, "scope", DatasetRef("girls", "v1", 20)
IDS = [f"{i:064x}" for i in range(NUM)]


def decision(i: int, **changes: Any) -> DecisionRow:
    facts: dict[str, Any] = {
        "image_id": IDS[i],
        "rule": "duplicate",
        "order": 0,
        "verdict": "keep",
        "reason": None,
        "score": None,
        "threshold": 0.85,
        "evidence": None,
        "decided_by": "rule",
    }
    return DecisionRow(**{**facts, **changes})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Each odd image is a copy of the even one before it; noise compresses as badly as can be."""
    store, random = Workspace(str(tmp_path)), np.random.default_rng(0)
    images = random.integers(0, 256, (NUM, 128, 128, 3), dtype=np.uint8)
    shard = f"padded/{SCOPE}/a.npy"
    write_shard(store, shard, images)
    rows = [
        PaddedRow(
            image_id=image_id,
            shard=shard,
            offset=i,
            scale=1.0,
            fill=[255, 255, 255],
            problem=None,
            run_id="run",
        )
        for i, image_id in enumerate(IDS)
    ]
    Table(store, PaddedRow, SCOPE).write("a", rows, MADE)
    decisions = []
    for i in range(0, NUM, 2):
        evidence = json.dumps({"kept": IDS[i], "hamming": 3, "mirrored": i == 0})
        copied = {"verdict": "drop", "score": 0.85 + i / 1000, "reason": "near_duplicate"}
        decisions += [decision(i), decision(i + 1, evidence=evidence, **copied)]
    too_small = json.dumps({"side": 9})
    decisions.append(decision(0, rule="min_side", order=1, verdict="drop", evidence=too_small))
    Table(store, DecisionRow, root=f"datasets/{DATASET}").write("decisions", decisions, MADE)
    return store


def test_the_least_alike_pairs_are_shown_beside_each_other(workspace: Workspace) -> None:
    pairs = duplicate_pairs(workspace, DATASET)
    assert len(pairs) == NUM // 2
    assert pairs[0] == (0.85, IDS[1], IDS[0], True)
    text = duplicates_text(str(DATASET), pairs, PaddedPixels(workspace, SCOPE))
    assert "20 images were dropped as copies of 20 others" in text
    assert text.count("<img") == 2 * NUM_PAIRS
    assert "similarity 0.850, mirrored" in text
    assert text.index("0.850") < text.index("0.852")
    assert len(text.encode()) < 50_000


def test_pairs_without_pixels_are_counted_alone(workspace: Workspace) -> None:
    text = duplicates_text("<b>", duplicate_pairs(workspace, DATASET), PaddedPixels(workspace, "x"))
    assert "# Near-duplicates in &lt;b&gt;\n\n20 images" in text
    assert "<img" not in text
