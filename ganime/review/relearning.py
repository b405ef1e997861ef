"""The program that learns a question again for the page: `python -m ganime.review.relearning`.

A process of its own: it brings torch, which takes seconds and hundreds of megabytes that the page's
server does without. It says what it does as lines of JSON on standard output, the result last.
"""

import json
import sys
from dataclasses import asdict

from ganime.errors import GanimeError
from ganime.recurate import KEPT
from ganime.relearn import Relearned, relearn
from ganime.store.labels import LabelLog
from ganime.store.workspace import Workspace


def main(url: str, dataset: str, question: str, run_id: str) -> int:
    """Learn again.

    Returns:
        The exit status: 0 if it is done, 1 if it was refused.
    """
    workspace = Workspace(url)
    try:
        log = LabelLog(workspace)
        log.freeze(run_id)
        done = relearn(
            workspace,
            dataset,
            [question],
            labels=log.current(),
            run_id=run_id,
            say=lambda text: _tell({"step": text}),
        )
    except GanimeError as error:
        _tell({"error": str(error)})
        return 1
    _tell({"result": _told(done)})
    return 0


def _told(done: Relearned) -> dict[str, object]:
    flips = done.redecision.flips
    (learned,) = done.learned
    return {
        "before": asdict(learned.before) if learned.before else None,
        "after": asdict(learned.after),
        "is_obeyed": learned.is_obeyed,
        "num_kept": sum(len(ids) for (_, now), ids in flips.items() if now == KEPT),
        "num_dropped": sum(len(ids) for (was, _), ids in flips.items() if was == KEPT),
        "dataset": str(done.redecision.after),
    }


def _tell(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:5]))
