"""The JSON of every endpoint, for who writes the page.

All ids of images are 64 hex digits, all times ISO 8601 in UTC, all scores as they were measured.
Errors are `{"error": "in words"}` with status 400 (what was asked for makes no sense), 401 (token),
403 (origin), 404, 409 (`Conflict` below), 413 (too large), 421 (host), 422 (a parameter is wrong)
or 500. Where a parameter takes several values it is repeated: `?tag=1girl&tag=solo`.

| request | parameters | answer |
|---|---|---|
| GET /api/dataset | | `DatasetAnswer` |
| GET /api/images | `Filters`, sort, by, cursor, num | `PageAnswer` |
| GET /api/facets | `Filters` | `Facets` |
| GET /api/tags | prefix, num | `list[Value]` |
| GET /api/images/{id} | | `ImageStory` |
| GET /thumbnails/{id} /originals/{id} /padded/{id} | originals: download=1 | a picture |
| POST /api/labels | `LabelRequest` | `LabelAnswer`, or 409 `Conflict` |
| POST /api/undo | `UndoRequest` | `LabelAnswer`, or 409 `Conflict` |
| GET /api/queues/{name} | person, question, num | `Queue` |
| GET /api/audit | question | `Audit` |
| GET /api/thresholds/{rule} | value | `ThresholdPreview` |
| GET /api/thresholds | | `ThresholdsSaved` |
| POST /api/thresholds/{rule} | `ThresholdRequest` | `ThresholdsSaved` |
| POST /api/thresholds/{rule}/undo | `ThresholdUndo` | `ThresholdsSaved` |
| GET /api/questions | | `list[QuestionInfo]` |
| GET /api/retraining | | `Retraining` |
| POST /api/retraining | `RetrainRequest` | `Retraining`, or 409 while another is learned |
| GET /api/funnel | | `list[Step]` |
| GET /api/intake | | `list[Intake]`, the last 400 days with any |
| GET /api/versions | | `list[str]`, name/version, the last made last |
| GET /api/diff | before, after | `Difference` |
| GET /api/models | | `list[Model]` |
| GET /api/models/{id}/metrics | | `Metrics` |
| GET /api/models/{id}/samples/{nimg} | | a PNG |
| GET /api/comparisons/{first}/{second} | | `ModelComparison`, or 404 if none was made |
| GET /api/comparisons/{first}/{second}/sheet | | a PNG: both models, the same seeds |

POSTs are JSON and need the header `X-Ganime: review`; browsers send a matching `Origin`. Where a
token is set, the first address opened is `/?token=…`, which leaves a cookie; programs send
`Authorization: Bearer …`. Queues are most-uncertain, suspects, random-audit and duplicates. `sort`
is newest, oldest, uncertain, highest or lowest, the last three `by` a score; `cursor` is that of
the page before, `num` at most 500.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

ImageId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Person = Annotated[str, Field(pattern=r"^[\w][\w .@+-]{0,59}$")]
Question = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,59}$")]
_MAX_BATCH = 500  # a page at a time


class Answered(BaseModel):
    """The last event to one question about one image. `answer` is null if it was taken back."""

    label_id: int
    answer: bool | None
    by: str
    at: str
    how: str


class ImageItem(BaseModel):
    """One image of a page. `status` is kept, dropped or undecided; `rule` and `reason` say why."""

    id: str
    status: str
    rule: str | None
    reason: str | None
    by_person: bool = Field(description="Whether a person's answer decided.")
    post: str = Field(description="source/post_id of its first post")
    num_posts: int
    sources: list[str]
    rating: str
    posted: str | None
    fetched: str | None
    width: int
    height: int
    num_bytes: int
    problem: str | None
    scores: dict[str, float]
    answers: dict[str, Answered]


class PageAnswer(BaseModel):
    """`cursor` fetches the next page; null on the last one."""

    items: list[ImageItem]
    cursor: str | None


class Value(BaseModel):
    """One value of a facet and how many images would be left."""

    value: str
    count: int


class Month(BaseModel):
    """Images by the month of their first post, as 2025-03."""

    month: str
    count: int


class Histogram(BaseModel):
    """Images by score in equal bins from `low` to `high`; the outer bins take what is beyond.

    It ignores score_min and score_max. `num_without` have no such score.
    """

    score: str
    threshold: float
    drops_above: bool
    low: float
    high: float
    counts: list[int]
    num_without: int


class Facets(BaseModel):
    """Counts by facet, each ignoring its own filter; values that no image has are left out.

    `total` pass all filters. `label` is none, yes and no to `question`. The histogram is there
    where `score` was asked for.
    """

    total: int
    num_images: int
    status: list[Value]
    rule: list[Value]
    reason: list[Value]
    source: list[Value]
    rating: list[Value]
    month: list[Month]
    label: list[Value]
    histogram: Histogram | None


class ScoreInfo(BaseModel):
    """Something that was measured."""

    name: str
    threshold: float
    drops_above: bool
    is_rule: bool


class DatasetAnswer(BaseModel):
    """What is shown; `key` changes when the manifests did."""

    dataset: str
    key: str
    num_images: int
    rules: list[str]
    scores: list[ScoreInfo]
    questions: list[str]


class Decision(BaseModel):
    """One rule's verdict; in the order of the rules, the first drop is the status."""

    rule: str
    order: int
    verdict: str
    reason: str | None
    score: float | None
    threshold: float | None
    evidence: Any
    decided_by: str


class Edge(BaseModel):
    """Two images that look alike: by bits of their hashes, and by their thumbnails."""

    one: str
    other: str
    hamming: int
    similarity: float
    mirrored: bool


class DuplicateGroup(BaseModel):
    """Near-duplicates of which one was kept, itself among `members`."""

    kept: str
    members: list[str]
    num_members: int
    edges: list[Edge]


class Faces(BaseModel):
    """Of one search for faces. Boxes: left, top, right, bottom [px] in the upright original."""

    run_id: str
    boxes: list[list[int]]
    problem: str | None


class Post(BaseModel):
    """One post of the image and how its file was fetched. Links are http or https, or null."""

    crawl_id: str
    source: str
    post_id: str
    post_url: str | None
    file_url: str | None
    source_link: str | None
    query: str
    rating: str
    tags: dict[str, list[str]] = Field(description="general, artist, copyright, character, meta")
    posted: str | None
    fetched: str | None
    outcome: str
    run_id: str
    attempts: list[dict[str, Any]]


class LabelEvent(Answered):
    """One thing a person said."""

    question: str
    note: str
    supersedes: int | None


class Score(BaseModel):
    """One classifier's answer."""

    question: str
    classifier: str
    score: float
    at: str


class UsedBy(BaseModel):
    """A dataset version that holds the image, and the models trained on that version."""

    dataset: str
    split: str
    models: list[str]


class ImageStory(BaseModel):
    """All about one image."""

    image: ImageItem
    decisions: list[Decision]
    duplicates: DuplicateGroup | None
    look_alikes: list[Edge]
    faces: list[Faces]
    facts: dict[str, Any]
    posts: list[Post]
    scores: list[Score]
    labels: list[LabelEvent]
    used_by: list[UsedBy]
    provenance: dict[str, Any] = Field(description="what made the decisions: run, code, settings")


class Strict(BaseModel):
    """Base of what is sent to us: nothing unknown."""

    model_config = ConfigDict(extra="forbid")


class NewLabel(Strict):
    """One answer. `expected` is the label_id of the last event that the person saw, or null."""

    image_id: ImageId
    question: Question
    answer: bool | None
    expected: int | None
    note: str = Field("", max_length=500)


class LabelRequest(Strict):
    """Answers of one person, written all or none. `how` the images were chosen: a queue's name."""

    by: Person
    how: str = Field("by hand", pattern=r"^[a-z][a-z -]{0,39}$")
    labels: list[NewLabel] = Field(min_length=1, max_length=_MAX_BATCH)


class UndoRequest(Strict):
    """Take back these events of one's own."""

    by: Person
    label_ids: list[int] = Field(min_length=1, max_length=_MAX_BATCH)


class LabelAnswer(BaseModel):
    """What is on the disk now, in the order it was sent."""

    events: list["EventAnswer"]


class EventAnswer(Answered):
    """One event that was written."""

    image_id: str
    question: str
    supersedes: int | None


class Conflict(BaseModel):
    """Somebody answered since the person looked; nothing was written. `events` are there now."""

    error: str
    events: list[EventAnswer]


class Queue(BaseModel):
    """Images for one person alone until `until`; asking again renews, answering frees them.

    `groups` are for the queue `duplicates`, one for each item.
    """

    name: str
    question: str
    until: str
    items: list[ImageItem]
    groups: list[DuplicateGroup] = []
    why: list[str] = Field([], description="for each item of the queue suspects, in words")


class Audit(BaseModel):
    """How right the decisions are, from images drawn at random and answered in that queue.

    For the question `keep`: the share of yes among kept images. For a classifier's question: the
    share of yes among images that it drops. `interval` is Wilson's, 95 %; null before any answer.
    """

    question: str
    population: int
    answered: int
    right: int
    precision: float | None
    interval: list[float] | None


class ThresholdPreview(BaseModel):
    """What another threshold would change.

    Other rules' verdicts are taken as they are: near-duplicates are decided anew only by a run.
    `dropped` and `kept` are the images nearest to the new threshold of those that flip.
    """

    rule: str
    threshold: float
    value: float
    drops_above: bool
    num_dropped: int = Field(description="kept now, dropped then")
    num_kept: int = Field(description="dropped now, kept then")
    num_still_dropped: int = Field(description="no longer by this rule, but by another")
    dropped: list[ImageItem]
    kept: list[ImageItem]


class ThresholdRequest(Strict):
    """The new threshold, and why."""

    value: float
    by: Person
    note: str = Field("", max_length=500)


class ThresholdUndo(Strict):
    """Take back the last that was saved of a rule."""

    by: Person


class SavedThreshold(BaseModel):
    """What a person saved of one rule; `is_obeyed` if the version under review was made by it."""

    rule: str
    option: str
    value: float
    by: str
    at: str
    note: str
    is_obeyed: bool


class ThresholdsSaved(BaseModel):
    """What is saved of all rules, and the command that decides by it without waiting for a run."""

    settings: list[SavedThreshold]
    command: str


class ClassifierWorth(BaseModel):
    """A classifier's figures, see `ganime.classifiers.worth.Worth`."""

    classifier: str
    threshold: float
    precision: float | None
    precision_interval: list[float] | None
    recall: float | None
    recall_interval: list[float] | None
    judged_by: str
    num_people: int


class QuestionInfo(BaseModel):
    """A question that a classifier answers; `num_yes` and `num_no` are people's answers of now."""

    question: str
    is_rule: bool
    num_yes: int
    num_no: int
    worth: ClassifierWorth


class RetrainRequest(Strict):
    """Learn a question again."""

    question: Question
    by: Person


class Retrained(BaseModel):
    """What came of it: images that flip, and the new dataset version."""

    before: ClassifierWorth | None
    after: ClassifierWorth
    is_obeyed: bool
    num_kept: int = Field(description="dropped before, kept now")
    num_dropped: int = Field(description="kept before, dropped now")
    dataset: str


class Retraining(BaseModel):
    """What is being learned or was last; `url` is the orchestrator's page, if it does the work."""

    state: Literal["idle", "running", "done", "failed"] = "idle"
    question: str = ""
    by: str = ""
    started: str = ""
    steps: list[str] = []
    error: str | None = None
    url: str | None = None
    result: Retrained | None = None


class Step(BaseModel):
    """One step from posts to the dataset; in = kept + dropped."""

    stage: str
    rule: str
    unit: str
    num_in: int
    num_kept: int
    dropped: dict[str, int]


class Change(BaseModel):
    """Images that came or went for one reason, with a few of them."""

    reason: str
    count: int
    examples: list[str]


class Difference(BaseModel):
    """Two dataset versions compared; lines of settings begin with + or -."""

    before: str
    after: str
    num_before: int
    num_after: int
    added: list[Change]
    removed: list[Change]
    settings: list[str]


class Evaluation(BaseModel):
    """One metric of one snapshot."""

    nimg: int
    metric: str
    value: float
    extractor: str
    reference: str
    num_real: int
    num_fake: int


class Model(BaseModel):
    """One model: its settings, metrics and the snapshots that have samples."""

    id: str
    dataset: str | None
    settings: dict[str, Any]
    evaluations: list[Evaluation]
    samples: list[int]


class MetricGap(BaseModel):
    """One metric of two models: `half` of the 95 % interval of second - first, and it in words."""

    name: str
    first: float
    second: float
    better: str
    half: float
    verdict: str


class ModelComparison(BaseModel):
    """What `ganime compare` found; first and second are `model@images shown`."""

    first: str
    second: str
    reference: str
    num_real: int
    num_fake: int
    gaps: list[MetricGap]
    tags: list[MetricGap]
    has_sheet: bool


class Intake(BaseModel):
    """Images that were fetched on one day, UTC, and what became of them since."""

    day: str
    num: int
    kept: int
    dropped: int
    undecided: int


class Metrics(BaseModel):
    """Curves by name: `nimg` and `value` of equal length, thinned to what a plot can show."""

    curves: dict[str, dict[Literal["nimg", "value"], list[float]]]
