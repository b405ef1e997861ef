"""The review page's HTTP interface; `ganime.review.schemas` says what each request answers."""

import logging
from typing import Annotated

from fastapi import FastAPI, Query, Request, Response
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from ganime.errors import GanimeError, ImageError, StoreError
from ganime.review import accounts, facets, queues, retraining, threshold_preview
from ganime.review.answers import LabelConflictError
from ganime.review.items import event_answer, items
from ganime.review.orchestrator import OrchestratorError
from ganime.review.pages import CURSOR, Sort, page
from ganime.review.query import Filters, NotThereError, Selection
from ganime.review.queues import QueueName
from ganime.review.retraining import RetrainingBusyError
from ganime.review.schemas import (
    Audit,
    DatasetAnswer,
    Difference,
    Facets,
    ImageStory,
    Intake,
    LabelAnswer,
    LabelRequest,
    Metrics,
    Model,
    ModelComparison,
    PageAnswer,
    Person,
    Question,
    QuestionInfo,
    Queue,
    Retraining,
    RetrainRequest,
    ScoreInfo,
    Step,
    ThresholdPreview,
    ThresholdRequest,
    ThresholdsSaved,
    ThresholdUndo,
    UndoRequest,
    Value,
)
from ganime.review.service import Service
from ganime.review.tag_search import find_tags
from ganime.rows import ScoreRow
from ganime.store.workspace import Workspace
from ganime.web.guard import Guard
from ganime.web.pages import add_static

# An image never changes under its id; `private`, since some are nobody else's business.
_FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}
# Whatever an original is, it runs nothing and loads nothing.
_INERT = {"content-security-policy": "default-src 'none'; sandbox"}
_DIGITS = r"^[0-9a-f]{64}$"
log = logging.getLogger(__name__)

Id = Annotated[str, InPath(pattern=_DIGITS)]
Wanted = Annotated[Filters, Query()]
Rule = Annotated[str, InPath(max_length=60)]
Finite = Annotated[float, Query(allow_inf_nan=False)]


class PageQuery(Filters):
    """Filters, an order and a place in it."""

    sort: Sort = "newest"
    by: str | None = None
    cursor: Annotated[str, Query(pattern=CURSOR)] | None = None
    num: Annotated[int, Query(ge=1, le=500)] = 100


def build_app(service: Service, *, hosts: frozenset[str], token: str = "") -> Guard:
    """The ASGI app, guarded.

    Args:
        service: What it shows.
        hosts: Names that the server answers to.
        token: What every request must know; empty for none.
    """
    # The usual page of an API's description loads its scripts from elsewhere; ours is a docstring.
    app = FastAPI(title="ganime review", docs_url=None, redoc_url=None, openapi_url=None)
    _add_errors(app)
    _add_images(app, service)
    _add_labels(app, service)
    _add_thresholds(app, service)
    _add_retraining(app, service)
    _add_accounts(app, service)
    _add_comparisons(app, service.workspace)
    _add_pictures(app, service)
    add_static(app, "review")
    return Guard(app, name="review", hosts=hosts, token=token)


def _add_errors(app: FastAPI) -> None:
    def told(status: int, error: str) -> JSONResponse:
        return JSONResponse({"error": error}, status)

    @app.exception_handler(NotThereError)
    def unknown(request: Request, error: NotThereError) -> JSONResponse:
        return told(404, str(error))

    @app.exception_handler(LabelConflictError)
    def conflict(request: Request, error: LabelConflictError) -> JSONResponse:
        events = [event_answer(event).model_dump() for event in error.events]
        return JSONResponse({"error": str(error), "events": events}, 409)

    @app.exception_handler(RetrainingBusyError)
    def busy(request: Request, error: RetrainingBusyError) -> JSONResponse:
        return told(409, str(error))

    @app.exception_handler(OrchestratorError)
    def no_orchestrator(request: Request, error: OrchestratorError) -> JSONResponse:
        return told(502, str(error))

    @app.exception_handler(ImageError)
    def no_picture(request: Request, error: ImageError) -> JSONResponse:
        return told(404, error.reason)

    @app.exception_handler(StoreError)
    def no_store(request: Request, error: StoreError) -> JSONResponse:
        log.warning("%s: %s", request.url.path, error)
        return told(500, "the workspace cannot be read or written; the server's log says why")

    @app.exception_handler(GanimeError)
    def wrong(request: Request, error: GanimeError) -> JSONResponse:
        return told(400, str(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = [f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors()]
        return told(422, "; ".join(problems))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        return told(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> JSONResponse:
        return told(500, "something went wrong; the server's log says what")


def _add_images(app: FastAPI, service: Service) -> None:
    @app.get("/api/dataset")
    def dataset() -> DatasetAnswer:
        snapshot = service.snapshot
        scored = service.workspace.list(f"manifests/{ScoreRow.FOLDER}", ".parquet")
        asked = {key.split("/")[2] for key in scored}  # what classifiers answer
        return DatasetAnswer(
            dataset=snapshot.dataset,
            key=snapshot.key,
            num_images=snapshot.num_rows,
            rules=snapshot.rules,
            scores=[
                ScoreInfo(
                    name=one.name,
                    threshold=one.threshold,
                    drops_above=one.above,
                    is_rule=one.order is not None,
                )
                for one in snapshot.scores.values()
            ],
            questions=sorted(asked | {*service.answers.questions()}),
        )

    @app.get("/api/images")
    def images(wanted: Annotated[PageQuery, Query()]) -> PageAnswer:
        selection = Selection(service.snapshot, service.answers, wanted)
        by = wanted.by or wanted.score
        found = page(selection, wanted.sort, by, wanted.cursor, wanted.num)
        shown = items(selection.snapshot, service.answers, found.rows)
        return PageAnswer(items=shown, cursor=found.cursor)

    @app.get("/api/facets")
    def counts(wanted: Wanted) -> Facets:
        return facets.count(Selection(service.snapshot, service.answers, wanted))

    @app.get("/api/tags")
    def tags(
        prefix: Annotated[str, Query(max_length=200)] = "",
        num: Annotated[int, Query(ge=1, le=200)] = 20,
    ) -> list[Value]:
        found = find_tags(service.snapshot, prefix, num)
        return [Value(value=tag, count=count) for tag, count in found]

    @app.get("/api/images/{image_id}")
    def story(image_id: Id) -> ImageStory:
        snapshot = service.snapshot
        row = service.row(snapshot, image_id)
        return service.stories.tell(snapshot, service.answers, row)


def _add_labels(app: FastAPI, service: Service) -> None:
    @app.post("/api/labels")
    def label(request: LabelRequest) -> LabelAnswer:
        return LabelAnswer(events=[event_answer(event) for event in service.label(request)])

    @app.post("/api/undo")
    def undo(request: UndoRequest) -> LabelAnswer:
        events = service.undo(request.label_ids, request.by)
        return LabelAnswer(events=[event_answer(event) for event in events])

    @app.get("/api/queues/{name}")
    def queue(
        name: QueueName,
        person: Annotated[Person, Query()],
        question: Annotated[Question, Query()] = "keep",
        num: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Queue:
        return service.queue(name, question, person, num)

    @app.get("/api/audit")
    def audit(question: Annotated[Question, Query()] = "keep") -> Audit:
        service.refresh_answers()
        return queues.audit(service.snapshot, service.answers, question)


def _add_thresholds(app: FastAPI, service: Service) -> None:
    @app.get("/api/thresholds/{rule}")
    def preview(rule: Rule, value: Finite) -> ThresholdPreview:
        return threshold_preview.preview(service.snapshot, service.answers, rule, value)

    @app.get("/api/thresholds")
    def saved() -> ThresholdsSaved:
        return threshold_preview.saved(service.workspace, service.snapshot)

    @app.post("/api/thresholds/{rule}")
    def save(rule: Rule, request: ThresholdRequest) -> ThresholdsSaved:
        log.info("%s sets %s to %s", request.by, rule, request.value)
        return threshold_preview.save(
            service.workspace,
            service.snapshot,
            rule,
            request.value,
            by=request.by,
            note=request.note,
        )

    @app.post("/api/thresholds/{rule}/undo")
    def undo(rule: Rule, request: ThresholdUndo) -> ThresholdsSaved:
        log.info("%s takes the setting of %s back", request.by, rule)
        return threshold_preview.take_back(service.workspace, service.snapshot, rule, by=request.by)


def _add_retraining(app: FastAPI, service: Service) -> None:
    @app.get("/api/questions")
    def questions() -> list[QuestionInfo]:
        service.refresh_answers()
        return retraining.questions(service.workspace, service.snapshot, service.answers)

    @app.get("/api/retraining")
    def now() -> Retraining:
        return service.retrainer.now()

    @app.post("/api/retraining")
    def retrain(request: RetrainRequest) -> Retraining:
        return service.retrainer.start(service.snapshot, request.question, request.by)


def _add_accounts(app: FastAPI, service: Service) -> None:
    workspace = service.workspace

    @app.get("/api/funnel")
    def funnel() -> list[Step]:
        return accounts.funnel(service.snapshot)

    @app.get("/api/intake")
    def intake() -> list[Intake]:
        return accounts.intake(service.snapshot)

    @app.get("/api/versions")
    def versions() -> list[str]:
        return accounts.versions(workspace)

    @app.get("/api/diff")
    def diff(
        before: Annotated[str, Query(max_length=200)], after: Annotated[str, Query(max_length=200)]
    ) -> Difference:
        return accounts.compare(workspace, before, after)

    @app.get("/api/models")
    def models() -> list[Model]:
        return accounts.all_models(workspace)

    @app.get("/api/models/{model_id}/metrics")
    def metrics(model_id: str) -> Metrics:
        return accounts.metrics(workspace, model_id)

    @app.get("/api/models/{model_id}/samples/{nimg}")
    def sample(model_id: str, nimg: int) -> Response:
        content = accounts.sample(workspace, model_id, nimg)
        return Response(content, media_type="image/png", headers=_FOR_EVER)


def _add_comparisons(app: FastAPI, workspace: Workspace) -> None:
    @app.get("/api/comparisons/{first}/{second}")
    def comparison(first: str, second: str) -> ModelComparison:
        return accounts.comparison(workspace, first, second)

    @app.get("/api/comparisons/{first}/{second}/sheet")
    def sheet(first: str, second: str) -> Response:
        content = accounts.comparison_sheet(workspace, first, second)
        # The same two may be compared again.
        return Response(content, media_type="image/png", headers={"cache-control": "no-cache"})


def _add_pictures(app: FastAPI, service: Service) -> None:
    @app.get("/thumbnails/{image_id}")
    def thumbnail(image_id: Id) -> Response:
        service.row(service.snapshot, image_id)
        content = service.pictures.thumbnail(image_id)
        return Response(content, media_type="image/webp", headers=_FOR_EVER)

    @app.get("/padded/{image_id}")
    def padded(image_id: Id) -> Response:
        snapshot = service.snapshot
        content = service.pictures.padded(snapshot, service.row(snapshot, image_id))
        if content is None:
            raise NotThereError(f"{image_id} was not padded")
        # Other settings pad it otherwise: not for ever.
        return Response(
            content, media_type="image/png", headers={"cache-control": "private, max-age=60"}
        )

    @app.get("/originals/{image_id}")
    def original(image_id: Id, download: bool = False) -> Response:
        snapshot = service.snapshot
        content, media_type = service.pictures.original(snapshot, service.row(snapshot, image_id))
        headers = {**_FOR_EVER, **_INERT}
        if download or media_type is None:
            headers["content-disposition"] = f'attachment; filename="{image_id}"'
        return Response(
            content, media_type=media_type or "application/octet-stream", headers=headers
        )
