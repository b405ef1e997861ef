"""Learn questions again and decide anew. See `ganime.relearn`."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import task

from ganime.relearn import Relearned, relearn
from ganime.rows import LabelRow
from ganime.store.workspace import Workspace
from tasks.classifier_figures import publish_relearning
from tasks.policies import STAGE


@task(name="relearn", task_run_name="relearn-{dataset}", **STAGE)
def relearn_task(
    workspace: Workspace,
    dataset: str,
    questions: Sequence[str],
    labels: Sequence[LabelRow],
    changes: Mapping[str, Any],
    run_id: str,
) -> Relearned:
    """See `ganime.relearn.relearn`."""
    done = relearn(workspace, dataset, questions, labels=labels, run_id=run_id, changes=changes)
    publish_relearning(workspace, done.before, done.after, done.redecision.lines())
    return done
