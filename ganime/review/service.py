"""What the page's requests share: the columns of now, people's answers, leases and pictures."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from itertools import islice

from ganime.errors import GanimeError
from ganime.review import leases, queues
from ganime.review.answers import Answers, Event, Wish
from ganime.review.cache import Cache, Snapshot
from ganime.review.facets import bins_of
from ganime.review.items import items
from ganime.review.leases import Leases
from ganime.review.orchestrator import Orchestrator
from ganime.review.pages import order_of
from ganime.review.pictures import Pictures
from ganime.review.query import NotThereError
from ganime.review.queues import QueueName
from ganime.review.retraining import Retrainer
from ganime.review.schemas import LabelRequest, Queue
from ganime.review.story import Stories
from ganime.store.workspace import Workspace

_MAX_QUESTIONS = 64  # a byte per image each
_SPARE = 4  # times as many candidates as wanted: others may lease some meanwhile
log = logging.getLogger(__name__)


class Service:
    """One dataset under review. Safe for threads.

    Args:
        workspace: Where.
        dataset: Name of the dataset; empty for the only one.
        thumbnail_bytes: Room for thumbnails on the disk.
        orchestrator: Asked to learn questions again; None does it on this machine.

    Raises:
        ConfigError: there is no such dataset.
        StoreError: the workspace cannot be read.
    """

    def __init__(
        self,
        workspace: Workspace,
        dataset: str = "",
        thumbnail_bytes: int = 2_000_000_000,
        orchestrator: Orchestrator | None = None,
    ) -> None:
        self.workspace = workspace
        self._cache = Cache(workspace, dataset)
        self.snapshot: Snapshot = self._cache.open()
        self.answers = Answers(workspace)
        self.refresh_answers()
        self.pictures = Pictures(workspace, thumbnail_bytes)
        self.stories = Stories(workspace)
        self.leases = Leases(workspace.shared_folder("review") / "leases.db")
        self.retrainer = Retrainer(workspace, orchestrator)
        self._closing = threading.Event()

    def refresh(self) -> None:
        """Take in what runs and people did since; pages of the old columns stay whole."""
        snapshot = self._cache.open(self.snapshot)
        if snapshot is not self.snapshot:
            warm(snapshot)
            self.snapshot = snapshot
        self.refresh_answers()

    def refresh_answers(self) -> None:
        """Take in what people said, by whatever server."""
        self.answers.refresh()

    def keep_fresh(self, every_s: float) -> None:
        """Refresh in the background until `close`."""

        def run() -> None:
            warm(self.snapshot)
            while not self._closing.wait(every_s):
                try:
                    self.refresh()
                except GanimeError as error:  # a run may be writing: what is shown stays
                    log.warning("the page shows what was there before: %s", error)

        threading.Thread(target=run, name="review-refresh", daemon=True).start()

    def close(self) -> None:
        """Stop refreshing, and learning."""
        self._closing.set()
        self.retrainer.close()

    def row(self, snapshot: Snapshot, image_id: str) -> int:
        """The row of an image.

        Raises:
            NotThereError: it is not among the images shown.
        """
        row = snapshot.ids.row(image_id)
        if row is None:
            raise NotThereError(f"no image is {image_id}")
        return row

    def label(self, request: LabelRequest) -> list[Event]:
        """Write answers down, and free the images for others.

        Raises:
            LabelConflictError: somebody else answered meanwhile.
            GanimeError: there are too many questions.
            NotThereError: an image is not there.
        """
        snapshot = self.snapshot
        known = {*self.answers.questions(), *snapshot.scores}
        asked = known | {label.question for label in request.labels}
        if len(asked) > max(_MAX_QUESTIONS, len(known)):
            raise GanimeError(f"there are {len(known)} questions already; answer one of those")
        for label in request.labels:
            self.row(snapshot, label.image_id)
        wishes = [
            Wish(
                image_id=label.image_id,
                question=label.question,
                answer=label.answer,
                expected=label.expected,
                note=label.note,
            )
            for label in request.labels
        ]
        events = self.answers.log.answer(wishes, by=request.by, how=request.how)
        self.answers.refresh()
        return events

    def undo(self, label_ids: list[int], by: str) -> list[Event]:
        """Put back what was said before.

        Raises:
            LabelConflictError: somebody else answered meanwhile.
        """
        events = self.answers.log.undo(label_ids, by=by)
        self.answers.refresh()
        return events

    def queue(self, name: QueueName, question: str, person: str, num: int) -> Queue:
        """Images for one person alone.

        Raises:
            NotThereError: nothing is measured for that question.
        """
        self.refresh_answers()
        snapshot = self.snapshot
        avoid = self.leases.taken(question, person)
        why: dict[int, str] = {}
        if name == "suspects":
            why = dict(queues.suspects(self.workspace, snapshot, self.answers, question))
            found = iter(why)
        else:
            make = {
                "most-uncertain": queues.most_uncertain,
                "random-audit": queues.random_audit,
                "duplicates": queues.duplicates,
            }[name]
            found = make(snapshot, self.answers, question, avoid)
        candidates = islice(found, _SPARE * num + len(avoid))
        ids = [snapshot.ids.text(row) for row in candidates]
        taken = self.leases.take(ids, question, person, num)
        rows = [self.row(snapshot, image_id) for image_id in taken]
        groups = [self.stories.duplicates(snapshot, row) for row in rows]
        until = datetime.now(UTC) + timedelta(seconds=leases.SECONDS)
        return Queue(
            name=name,
            question=question,
            until=until.isoformat(),
            items=items(snapshot, self.answers, rows),
            groups=[group for group in groups if group] if name == "duplicates" else [],
            why=[why[row] for row in rows] if why else [],
        )


def warm(snapshot: Snapshot) -> None:
    """Make the usual orders and bins before somebody waits for them."""
    order_of(snapshot, "newest", None)
    for name in snapshot.scores:
        bins_of(snapshot, name)
        order_of(snapshot, "uncertain", name)
