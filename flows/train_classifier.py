"""What people said by now: heads fitted anew, images scored, the dataset decided again."""

from collections.abc import Sequence
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.forms import dataset_named, run_named
from ganime.classifiers.head import HeadConfig
from ganime.relearn import Relearned
from ganime.stages.classify import ClassifyConfig
from ganime.store.labels import LabelLog
from ganime.store.workspace import Workspace
from tasks.notify import tell_of_failure
from tasks.policies import refuse_after
from tasks.relearn import relearn_task

HEAD = HeadConfig()  # as the form begins
STANDARD = ClassifyConfig()


@flow(
    name="train-classifier",
    flow_run_name=run_named("train-classifier", "dataset"),
    on_failure=[tell_of_failure],
    on_crashed=[tell_of_failure],
)
def train_classifier(
    workspace: str = "workspace",
    dataset: str = "",
    questions: Sequence[str] = (),
    min_precision: Annotated[float, Field(ge=0, le=1)] = STANDARD.min_precision,
    min_answers: Annotated[int, Field(ge=2)] = STANDARD.min_answers,
    head: HeadConfig = HEAD,
) -> Relearned:
    """Learn from people's labels, score all images, and decide on the dataset again.

    No image is fetched and no feature measured again, so it takes seconds.

    Args:
        workspace: Folder or fsspec URL that holds everything.
        dataset: A dataset's name for its newest version, or name/version; nothing or `latest` if
            there is only one dataset.
        questions: What to learn anew, for example chibi or multiple; nothing for every question
            that the dataset's rules ask and that has enough answers.
        min_precision: A classifier with a lower held-out precision is not obeyed.
        min_answers: A question with fewer yes or fewer no gets no classifier.
        head: How the heads are fitted, and how their penalties are chosen.
    """
    refuse_after()
    store = Workspace(workspace)
    store.check_writable()
    run_id = str(flow_run.root_flow_run_id)
    found = dataset_named(store, dataset)
    log = LabelLog(store)
    log.freeze(run_id)
    changes = {
        "min_precision": min_precision,
        "min_answers": min_answers,
        "head": head.model_dump(mode="json"),
    }
    return relearn_task(store, str(found), questions, log.current(), changes, run_id)
