"""Learn questions' answers again from today's labels, and decide anew: no image is looked at.

Features were measured once; a head is fitted to them in seconds, scores every image, and the
dataset's rules decide again. What a new classifier is worth is said beside what the old one was.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganime.classifiers import storage
from ganime.classifiers.worth import Worth, worth
from ganime.config import overlay
from ganime.errors import ConfigError
from ganime.recurate import Redecision, as_asked, classifiers_of, find_dataset, recurate
from ganime.rows import LabelRow, ScoreRow
from ganime.stages import classify
from ganime.stages.classify import ClassifyConfig
from ganime.stages.curate import DatasetRef
from ganime.stages.evaluate import EvaluateConfig, used_backbone
from ganime.store.lineage import crawled_images, crawls_of
from ganime.store.manifest import Table, read_footer
from ganime.store.workspace import Workspace

log = logging.getLogger(__name__)
Obeyed = Mapping[str, tuple[str, float]]  # by question: the classifier's id and threshold
STANDARD = ClassifyConfig()  # as the command line asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """One question, learned again.

    Attributes:
        question: What is asked.
        before: The classifier that the dataset obeyed; None if there was none.
        after: The new one.
        is_obeyed: Whether it is right often enough for its rule to obey it.
    """

    question: str
    before: Worth | None
    after: Worth
    is_obeyed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Relearned:
    """What came of learning again.

    Attributes:
        learned: Question by question.
        before: The classifiers that the dataset obeyed.
        after: Those that it obeys now.
        redecision: The images that flip, and the new dataset version.
    """

    learned: Sequence[Learned]
    before: Obeyed
    after: Obeyed
    redecision: Redecision


def relearn(
    workspace: Workspace,
    dataset: str,
    questions: Sequence[str] = (),
    *,
    labels: Sequence[LabelRow],
    run_id: str,
    changes: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = log.info,
    write: bool = True,
) -> Relearned:
    """Fit new classifiers to today's labels, score every image and decide again.

    Args:
        workspace: Where.
        dataset: `name/version`, or a name alone for its latest version; empty for the only one.
        questions: What to learn; nothing for every question that the dataset's rules ask and that
            has enough answers.
        labels: People's current answers.
        run_id: Of this run.
        changes: Settings of the classify stage to take instead of those that the dataset's
            classifiers were made by, for example `{"min_precision": 0.9}`.
        say: Told what goes on.
        write: Whether to make a new dataset version; otherwise it is only said what would flip.

    Raises:
        ConfigError: there is no such dataset or question, or too few answers are known.
    """
    found = find_dataset(workspace, dataset)
    before = classifiers_of(workspace, found)
    config = _as_asked(workspace, found, before, questions, changes or {})
    images = crawled_images(workspace, crawls_of(workspace, found.name, found.version))
    tags = {image.image_id: frozenset(image.tags) for image in images}
    asked = [one.question for one in config.questions]
    say(f"learning {', '.join(asked)} from the features of {len(tags)} images")
    features, padded = _input(workspace, found, before, config, tags, run_id)
    fitted = classify.fit(workspace, config, features, tags, labels, run_id, pad_scope=padded)
    if lacking := [name for name in questions if name not in fitted] or ([] if fitted else asked):
        raise ConfigError(
            f"{', '.join(lacking)} has too few answers to learn from: at least "
            f"{config.min_answers} yes and as many no are needed, near-duplicates counting once; "
            "answer more and try again"
        )
    say("scoring every image")
    trusted = _trusted(workspace, config, fitted, sorted(tags), run_id)
    say("deciding again")
    kept = {name: one for name, one in before.items() if name not in fitted}
    after = {**kept, **trusted}
    redecision = recurate(
        workspace, str(found), {}, labels=labels, run_id=run_id, write=write, classifiers=after
    )
    learned = [
        Learned(
            question=question,
            before=worth(workspace, before[question][0]) if question in before else None,
            after=worth(workspace, classifier),
            is_obeyed=question in trusted,
        )
        for question, classifier in fitted.items()
    ]
    return Relearned(learned=learned, before=before, after=after, redecision=redecision)


def _trusted(
    workspace: Workspace,
    config: ClassifyConfig,
    fitted: Mapping[str, str],
    image_ids: Sequence[str],
    run_id: str,
) -> dict[str, tuple[str, float]]:
    """Scores all images; returns those classifiers that are right often enough to be obeyed."""
    trusted = {}
    for question, classifier in fitted.items():
        classify.score(workspace, classifier, image_ids, run_id)
        threshold = classify.trusted_threshold(workspace, config, question, classifier)
        if threshold is not None:
            trusted[question] = (classifier, threshold)
    return trusted


def _as_asked(
    workspace: Workspace,
    dataset: DatasetRef,
    obeyed: Obeyed,
    wanted: Sequence[str],
    changes: Mapping[str, Any],
) -> ClassifyConfig:
    """The settings that the dataset's classifiers were made by, with these questions.

    Raises:
        ConfigError: nobody ever put such a question; lists the known ones.
    """
    if obeyed:
        classifier = next(iter(obeyed.values()))[0]
        (part, *_) = Table(workspace, ScoreRow, root=storage.folder(classifier)).parts()
        made_by = ClassifyConfig.parse(read_footer(workspace, part)["config"])
    else:
        made_by = ClassifyConfig(backbone=used_backbone(workspace, EvaluateConfig()))
    known = {one.question: one for one in (*STANDARD.questions, *made_by.questions)}
    known |= {name: storage.load_question(workspace, one) for name, (one, _) in obeyed.items()}
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError(f"no question is called {unknown[0]!r}; known: {', '.join(known)}")
    rules = as_asked(
        read_footer(workspace, f"datasets/{dataset}/decisions/decisions.parquet")
    ).rules
    ruled = {getattr(rule, "ask", None) for rule in rules if rule.component == "classified"}
    asked = wanted or [name for name in known if name in ruled or name in obeyed]
    if not asked:
        raise ConfigError("the dataset's rules ask no question: name some with questions")
    put = [known[name].model_dump(mode="json") for name in dict.fromkeys(asked)]
    return ClassifyConfig.parse(
        overlay(made_by.model_dump(mode="json"), changes, {"questions": put})
    )


def _input(
    workspace: Workspace,
    dataset: DatasetRef,
    obeyed: Obeyed,
    config: ClassifyConfig,
    tags: Mapping[str, frozenset[str]],
    run_id: str,
) -> tuple[str, str]:
    """Scopes of the features to learn from, and of the padded pixels that they were taken of."""
    if obeyed:
        source = storage.load_settings(workspace, next(iter(obeyed.values()))[0])
        return source["features"], source["padded"]
    footer = read_footer(workspace, f"datasets/{dataset}/decisions/decisions.parquet")
    padded = str(footer["parents"]["padded"])
    backbone = classify.prepare_backbone(workspace, config, tags, padded, run_id)
    return classify.feature_scope(backbone, padded), padded
