"""Learning a question again while the page is open: by the orchestrator, or in a process here."""

import json
import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from ganime.classifiers.worth import worth
from ganime.errors import GanimeError, StoreError
from ganime.review.answers import Answers
from ganime.review.cache import Snapshot
from ganime.review.orchestrator import Orchestrator
from ganime.review.schemas import ClassifierWorth, QuestionInfo, Retrained, Retraining
from ganime.review.verdict_columns import newest_of
from ganime.store.workspace import Workspace

_PATIENCE_S = 10  # for a process that was told to end
log = logging.getLogger(__name__)


class RetrainingBusyError(GanimeError):
    """One question is being learned already."""


class Retrainer:
    """Learns one question at a time. Safe for threads.

    Args:
        workspace: Where.
        orchestrator: Asked to do it; None does it here.
    """

    def __init__(self, workspace: Workspace, orchestrator: Orchestrator | None = None) -> None:
        self._workspace = workspace
        self._orchestrator = orchestrator
        self._lock = threading.Lock()
        self._now = Retraining()
        self._process: subprocess.Popen[str] | None = None
        self._run_id = ""  # of the orchestrator's run

    def start(self, snapshot: Snapshot, question: str, by: str) -> Retraining:
        """Begin to learn a question from all that people said by now.

        Raises:
            RetrainingBusyError: another is being learned.
            OrchestratorError: the orchestrator does not take it.
        """
        with self._lock:
            if self._now.state == "running":
                raise RetrainingBusyError(
                    f"{self._now.question} is being learned since {self._now.started}, as "
                    f"{self._now.by} asked: wait until it is done"
                )
            name = snapshot.dataset.partition("/")[0]
            self._now = Retraining(
                state="running",
                question=question,
                by=by,
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                steps=["asked the orchestrator" if self._orchestrator else "starting"],
            )
            try:
                self._begin(name, question)
            except BaseException:
                self._now = self._now.model_copy(update={"state": "failed"})
                raise
            log.info("%s has %s learned again", by, question)
            return self._now

    def now(self) -> Retraining:
        """What is going on, or how the last one ended."""
        if self._run_id and self._orchestrator and self._now.state == "running":
            run = self._orchestrator.look(self._run_id)
            state = ("done" if run.is_right else "failed") if run.has_ended else "running"
            error = f"the run ended as {run.state}: {run.url}" if state == "failed" else None
            steps = list(dict.fromkeys([*self._now.steps, run.state]))
            self._change(state=state, steps=steps, error=error)
        return self._now

    def close(self) -> None:
        """End the process, if one is at work: what it learned so far is kept, nothing is half."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait(_PATIENCE_S)

    def _begin(self, dataset: str, question: str) -> None:
        if self._orchestrator is not None:
            parameters = {
                "workspace": self._workspace.url,
                "dataset": dataset,
                "questions": [question],
            }
            run = self._orchestrator.start(parameters)
            self._run_id = run.run_id
            self._change(url=run.url, steps=[run.state])
            return
        run_id = f"review-{uuid.uuid4().hex[:12]}"
        command = [sys.executable, "-m", "ganime.review.relearning"]
        self._process = subprocess.Popen(
            [*command, self._workspace.url, dataset, question, run_id],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        listen = threading.Thread(
            target=self._listen, args=(self._process,), name="review-retrain", daemon=True
        )
        listen.start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Take in what the process says until it ends."""
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._take_in(json.loads(line))
        status = process.wait()
        if self._now.state == "running":
            self._change(state="failed", error=f"the process ended with status {status}")

    def _take_in(self, told: Mapping[str, Any]) -> None:
        if "step" in told:
            self._change(steps=[*self._now.steps, told["step"]])
        elif "error" in told:
            self._change(state="failed", error=told["error"])
        else:
            self._change(state="done", result=Retrained.model_validate(told["result"]))

    def _change(self, **values: Any) -> None:
        self._now = self._now.model_copy(update=values)


def questions(workspace: Workspace, snapshot: Snapshot, answers: Answers) -> list[QuestionInfo]:
    """What may be learned: how good its classifier is, and what people said since."""
    found = []
    for question, classifier in sorted(newest_of(workspace, []).items()):
        current = [one for one in answers.events(question) if one.answer is not None]
        try:
            told = ClassifierWorth.model_validate(asdict(worth(workspace, classifier)))
        except StoreError as error:
            log.warning("%s is left out of the questions: %s", question, error)
            continue
        found.append(
            QuestionInfo(
                question=question,
                is_rule=question in snapshot.rules,
                num_yes=sum(bool(one.answer) for one in current),
                num_no=sum(not one.answer for one in current),
                worth=told,
            )
        )
    return found
