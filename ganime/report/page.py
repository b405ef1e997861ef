"""Put the page together and write it: one file that asks nothing of any server."""

import logging
from typing import Any

from ganime.report import words
from ganime.report.examples import (
    Cards,
    dropped_examples,
    duplicate_groups,
    kept_examples,
    lost_posts,
    near_misses,
)
from ganime.report.frame import render_report
from ganime.report.funnel import Funnel, funnel_of
from ganime.report.inputs import ReportInputs
from ganime.report.model import Model, read_model
from ganime.report.provenance import flattened, read_origins
from ganime.report.questions import read_questions
from ganime.report.records import Records, read_records
from ganime.report.thumbnails import Thumbnails, real_grid
from ganime.store.workspace import Workspace

log = logging.getLogger(__name__)


def report_key(run_id: str) -> str:
    """Where a run's page lies."""
    return f"reports/{run_id}/index.html"


def build_report(workspace: Workspace, inputs: ReportInputs) -> str:
    """Write the page of a run; the same manifests and inputs give the same bytes.

    Parts of a run that do not exist (no classifier, no model, no evaluation) are said to be
    missing. Everything that came from a site is escaped; only http and https become links.
    However long the run, a model's pictures take 2.9 MB at most, and a thumbnail 8 kB.

    Args:
        workspace: Where the run's manifests lie, and where the page goes.
        inputs: Which run.

    Returns:
        The page's key: `reports/<run_id>/index.html`.

    Raises:
        StoreError: a manifest cannot be read, or the page cannot be written.
    """
    content = render_report(_gather(workspace, inputs)).encode()
    key = report_key(inputs.run_id)
    workspace.write_bytes(key, content)
    log.info("report: %s, %s", workspace.describe(key), words.size(len(content)))
    return key


def _gather(workspace: Workspace, inputs: ReportInputs) -> dict[str, Any]:
    records = read_records(workspace, inputs.crawl_ids, inputs.dataset_name, inputs.dataset_version)
    cards = Cards(records, Thumbnails(workspace, inputs.pad_scope))
    model = read_model(workspace, inputs.model_id) if inputs.model_id else None
    groups, num_groups = duplicate_groups(records, cards)
    funnel = funnel_of(records)
    return {
        "inputs": inputs,
        "title": inputs.title or inputs.dataset_name or "Run",
        "sentence": sentence(funnel, records, model),
        "funnel": funnel,
        "records": records,
        "num_train": sum(row.split == "train" for row in records.members),
        "real_grid": real_grid(workspace, records.members),
        "kept": kept_examples(records, cards),
        "dropped": dropped_examples(records, cards),
        "lost": lost_posts(records, cards),
        "groups": groups,
        "num_groups": num_groups,
        "abstained": records.abstained,
        "pairs": near_misses(workspace, records, cards),
        "questions": read_questions(workspace, inputs.classifiers, cards),
        "model": model,
        "origins": read_origins(workspace, records, inputs),
        "settings": [
            (stage, flattened(table if isinstance(table, dict) else {stage: table}))
            for stage, table in inputs.settings.items()
        ],
    }


def sentence(funnel: Funnel, records: Records, model: Model | None) -> str:
    """The run in one sentence."""
    said = f"{words.count(funnel.num_in)} posts became "
    if not records.decided:
        return f"{said}{words.count(funnel.num_kept)} images; no dataset was built from them."
    said += f"{words.count(funnel.num_kept)} images for the dataset"
    if model is None or not model.nimg:
        return f"{said}; no model was trained on it."
    said += f"; a generator saw {words.count(model.nimg)} of them, repeats counted"
    if not model.metrics:
        return f"{said}, and was not scored."
    metric = model.metrics[0]
    if len(metric.rows) == 1:
        return f"{said}, and its {metric.name} is {words.number(metric.last.value)}."
    first, last = metric.first.value, metric.last.value
    verb = "fell" if last < first else "rose" if last > first else "stayed"
    return (
        f"{said}, and its {metric.name} {verb} from {words.number(first)} to {words.number(last)}."
    )
