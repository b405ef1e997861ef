"""What a run shows on its page in Prefect: each artifact small, each key with a history.

Thumbnails go into markdown as data: URIs: table cells show no pictures, and a URL would need a
server of ours to be up when the page is looked at.
"""

import base64
import html

import numpy as np
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from ganime.images import encode_jpeg
from ganime.report.funnel import read_funnel
from ganime.rows import DecisionRow, EvaluationRow
from ganime.stages import crawl
from ganime.stages.crawl import OUTCOMES, CrawlConfig
from ganime.stages.curate import DatasetRef
from ganime.store.manifest import Table
from ganime.store.pixels import Dataset, PaddedPixels, Pixels
from ganime.store.workspace import Workspace
from ganime.training.sheets import tile
from ganime.training.snapshot import load_generator

NUM_EXAMPLES = 6  # per reason; keeps the artifact below 50 kB
SIDE = 64  # [px]


def publish_crawl(workspace: Workspace, config: CrawlConfig) -> None:
    """Where the posts of each site stand, and why some have no image."""
    rows = [
        {
            "site": name,
            "posts": found.num_posts,
            **{key: found.outcomes.get(key, 0) for key in OUTCOMES},
            "MB": round(found.num_bytes / 1e6, 1),
            "why": ", ".join(
                f"{reason} {number}" for (_, reason), number in sorted(found.reasons.items())
            ),
        }
        for name, found in crawl.summaries(workspace, config).items()
    ]
    create_table_artifact(rows, key="crawl", description=f"crawl {crawl.crawl_id(config)}")


def publish_funnel(workspace: Workspace, crawl_ids: list[str], dataset: DatasetRef) -> None:
    """How many came in, were kept and were dropped, and why, step by step."""
    funnel = read_funnel(workspace, crawl_ids, dataset.name, dataset.version)
    rows = [
        {
            "stage": step.stage,
            "step": step.rule,
            "in": step.num_in,
            "kept": step.num_kept,
            "dropped": step.num_dropped,
            "why": ", ".join(f"{reason} {count}" for reason, count in step.dropped.items()),
        }
        for step in funnel.steps
    ]
    create_table_artifact(rows, key="funnel", description=f"{dataset}: {dataset.num_images} images")


def publish_decisions(workspace: Workspace, dataset: DatasetRef, pad_scope: str) -> None:
    """A few examples of what was kept, and of what each rule dropped."""
    table = Table(workspace, DecisionRow, root=f"datasets/{dataset}")
    dropped: dict[str, list[str]] = {}
    seen: set[str] = set()
    for row in sorted(table.rows(), key=lambda row: (row.order, row.image_id)):
        if row.verdict == "drop" and row.image_id not in seen:
            seen.add(row.image_id)
            dropped.setdefault(f"{row.rule}: {row.reason}", []).append(row.image_id)
    kept = [row.image_id for row in Dataset(workspace, dataset.name, dataset.version).members]
    padded = PaddedPixels(workspace, pad_scope)
    lines = [f"# Decisions of {dataset}"]
    for title, ids in {"kept": kept, **dropped}.items():
        shown = [image_id for image_id in ids if image_id in padded][:NUM_EXAMPLES]
        lines.append(f"\n**{html.escape(title)}**: {len(ids)}\n")
        lines.append(" ".join(_picture(padded.load([item])[0], item[:12]) for item in shown))
    create_markdown_artifact("\n".join(lines), key="decisions")


def publish_samples(workspace: Workspace, model_id: str) -> None:
    """Samples of the last snapshot."""
    grid = tile(load_generator(workspace, model_id).sample(16, seed=0), 8)
    where = workspace.describe(f"models/{model_id}/samples")
    text = f"# {model_id}\n\n{_data_uri(grid, 'samples')}\n\nAll grids: `{where}`"
    create_markdown_artifact(text, key="samples")


def publish_metrics(workspace: Workspace, model_id: str) -> None:
    """Every metric of every snapshot."""
    rows = Table(workspace, EvaluationRow, root=f"models/{model_id}").rows()
    table = [
        {
            "images shown": row.nimg,
            "metric": row.metric,
            "value": round(row.value, 3),
            "samples": row.num_fake,
            "reals": row.num_real,
            "reference": row.reference,
        }
        for row in sorted(rows, key=lambda row: (row.metric, row.nimg))
    ]
    create_table_artifact(table, key="metrics", description=f"model {model_id}")


def publish_report(workspace: Workspace, key: str) -> None:
    """Where the report is."""
    where = html.escape(workspace.describe(key))
    create_markdown_artifact(f"The report: `{where}`", key="report")


def _picture(image: Pixels, name: str) -> str:
    step = max(1, image.shape[0] // SIDE)
    height = image.shape[0] // step * step
    small = image[:height, :height].reshape(height // step, step, height // step, step, 3)
    return _data_uri(small.mean((1, 3)).astype(np.uint8), name)


def _data_uri(image: Pixels, name: str) -> str:
    content = base64.b64encode(encode_jpeg(image)).decode()
    return f'<img alt="{html.escape(name)}" src="data:image/jpeg;base64,{content}">'
