"""Ways to change a character towards what a classifier, or the head of a tag, says yes to.

Shen, Gu, Tang, Zhou: Interpreting the Latent Space of GANs for Semantic Face Editing, 2020,
1907.10786: a classifier scores samples, and the normal of the plane that separates their codes is
the direction (2.1). The paper fits it to the extremes of half a million samples; a ridge
regression on the logits of all scores gets the same from a thousand.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from ganime.config import Config
from ganime.errors import StoreError
from ganime.lite.directions import unpack
from ganime.model_packages.facts import brought_key
from ganime.store.workspace import Workspace
from ganime.studio.directions import PRINCIPAL_SCALE, Named
from ganime.studio.engine import Floats
from ganime.studio.judging import Asked, Bench, Judge, Judges
from ganime.studio.tag_judging import Taught

Numbers = npt.NDArray[np.float64]
log = logging.getLogger(__name__)
NUM_SAMPLES = 1024  # twice as many as the longest codes have numbers
NUM_HELD_OUT = 256  # of them: chance alone correlates 0.2 once in a thousand times
# At an end of the slider, three deviations away, a score is moved by that times three of its own
# deviations: below 0.3 by less than one, which other differences drown.
LEAST_CORRELATION = 0.3
NUM_CHECKED = 64  # new characters at either end, which say what the slider does
LEAST_RISE = 0.1  # of the mean score from end to end: less is not seen in ten characters
PENALTIES = tuple(10.0**power for power in range(-3, 4))  # in units of the mean variance of codes
_LEAST_CHANCE = 1e-6  # of scores: beyond, their logits tell calibration's digits


@dataclass(frozen=True, slots=True)
class Fitted:
    """A direction found in samples.

    Attributes:
        step: What an amount of 1, a deviation of the codes, adds to a code, float32 [W].
        correlation: Between predicted and true logits of samples that were held out.
    """

    step: Floats
    correlation: float


class Attribute(Config):
    """What was found for one judge and one snapshot, be it of use or not."""

    question: str
    classifier_id: str
    step: tuple[float, ...] = Field(description="See `Fitted`; empty where nothing was found.")
    correlation: float = Field(description="See `Fitted`.")
    low: float = Field(description="Mean score of new characters at the slider's lower end.")
    high: float = Field(description="The same at its upper end.")

    @property
    def name(self) -> str:
        """Of the direction; with the classifier, so that an address means one for ever."""
        return name_of(self.question, self.classifier_id)

    @property
    def works(self) -> bool:
        """Whether a slider along it shows what it says."""
        return bool(self.step) and self.high - self.low >= LEAST_RISE

    @property
    def named(self) -> Named:
        """As a page offers it."""
        figures = (self.correlation, self.low, self.high)
        return Named(self.name, "question", PRINCIPAL_SCALE, *figures)


def name_of(question: str, classifier_id: str) -> str:
    """The name of a direction, `question:chibi@0123456789ab`."""
    return f"question:{question}@{classifier_id}"


def is_name(name: str) -> bool:
    """Whether it could be the name of one."""
    return name.startswith("question:")


def fit(codes: Floats, scores: Numbers) -> Fitted:
    """The direction along which scores rise.

    Args:
        codes: Of the samples, in no order [N, W].
        scores: Of the same, in 0-1 [N].

    Returns:
        The direction of all samples, and the correlation of one of those that are not held out.
        Its strength of regularisation is chosen among the latter (generalised cross-validation,
        Golub, Heath, Wahba 1979).
    """
    chances = np.clip(scores, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
    logits = np.log(chances / (1 - chances))
    if not logits.std():
        return Fitted(np.zeros(codes.shape[1], np.float32), 0.0)
    learned = np.arange(len(codes)) >= min(NUM_HELD_OUT, len(codes) // 2)
    weights, penalty = _ridge(codes[learned], logits[learned], PENALTIES)
    found = _correlation(codes[~learned] @ weights, logits[~learned])
    weights, _ = _ridge(codes, logits, (penalty,))
    unit = weights / max(float(np.linalg.norm(weights)), 1e-12)
    deviation = float((codes @ unit).std())
    return Fitted((unit * deviation).astype(np.float32), found)


def _ridge(codes: Floats, values: Numbers, penalties: Sequence[float]) -> tuple[Numbers, float]:
    """Weights [W] that predict values [N] from codes [N, W], and the best of the penalties."""
    centred = codes.astype(np.float64) - codes.mean(axis=0, dtype=np.float64)
    left, sizes, right = np.linalg.svd(centred, full_matrices=False)
    wanted = left.T @ (values - values.mean())
    rest = float(np.sum((values - values.mean()) ** 2) - np.sum(wanted**2))
    unit = max(float(np.mean(sizes**2)), 1e-12)

    def doubt(penalty: float) -> float:
        kept = sizes**2 / (sizes**2 + penalty * unit)
        left_over = rest + float(np.sum(((1 - kept) * wanted) ** 2))
        return left_over / (len(codes) - float(kept.sum())) ** 2

    best = min(penalties, key=doubt)
    weights: Numbers = right.T @ (wanted * sizes / (sizes**2 + best * unit))
    return weights, best


def _correlation(one: Numbers, other: Numbers) -> float:
    """Pearson's; 0 where either is constant."""
    if not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other).item(0, 1))


@dataclass(frozen=True, slots=True)
class Sought:
    """What the last classifier of each question gave, and the tags that are no question.

    Attributes:
        found: Directions that work, sorted by question.
        without: Questions without one; a tag without one is nothing that anybody asked for.
        unsought: Whose directions were not looked for yet.
    """

    found: Sequence[Named] = ()
    without: Sequence[str] = ()
    unsought: Sequence[Judge] = ()


class Attributes:
    """Those of one snapshot that were looked for, kept beside it.

    Args:
        workspace: Where.
        model_id: Of the model.
        nimg: Of the snapshot.
        judges: Who answers questions.
        taught: What the model was trained on.
    """

    def __init__(
        self, workspace: Workspace, model_id: str, nimg: int, judges: Judges, taught: Taught
    ) -> None:
        self._workspace, self._judges, self._taught = workspace, judges, taught
        self._folder = f"models/{model_id}/studio"
        self._prefix = f"{self._folder}/question-{nimg:09d}-"
        self._known: dict[str, Attribute] = {}  # by classifier
        self._brought_key = brought_key(model_id, nimg)
        self._brought: dict[str, Attribute] | None = None  # by classifier; None before a look

    def known(self) -> Mapping[str, Attribute]:
        """All by classifier, those that another process found as well; damaged ones are not."""
        for key in self._workspace.list(self._folder, ".json"):
            identity = key.removeprefix(self._prefix).removesuffix(".json")
            if key.startswith(self._prefix) and identity not in self._known:
                try:
                    content = self._workspace.read_bytes(key)
                    self._known[identity] = Attribute.model_validate_json(content)
                except (ValidationError, StoreError):
                    continue  # it is looked for again
        return {**self._those_brought(), **self._known}

    def _those_brought(self) -> Mapping[str, Attribute]:
        """Those that came with a package, by classifier: no classifier here need know them."""
        if self._brought is None:
            try:
                self._brought = _brought(self._workspace, self._brought_key, self._taught.tag_names)
            except (StoreError, ValueError) as error:
                log.warning("%s is not used: %s", self._brought_key, error)
                self._brought = {}
        return self._brought

    def sought(self, asked: Asked | None = None) -> Sought:
        """What there is for the questions of now.

        Args:
            asked: What `Judges.asked` gives, where that is known already.
        """
        known = self.known()
        judges = self._judges.of(self._taught, asked or self._judges.asked())
        ours = [(one, known[one.classifier_id]) for one in judges if one.classifier_id in known]
        questions = {one.question for one in judges}
        found = [own for _, own in ours]
        found += [one for one in self._those_brought().values() if one.question not in questions]
        return Sought(
            sorted((one.named for one in found if one.works), key=lambda one: one.name),
            [one.question for one, own in ours if not own.works and not one.dataset],
            [one for one in judges if one.classifier_id not in known],
        )

    def bench(self) -> Bench:
        """Who was not asked yet and can be; see `Judges.bench`."""
        return self._judges.bench(self.sought().unsought)

    def keep(self, found: Attribute) -> None:
        """Keep one; where nothing can be written, as long as this lives."""
        self._known[found.classifier_id] = found
        key = f"{self._prefix}{found.classifier_id}.json"
        try:
            self._workspace.write_text(key, found.model_dump_json())
        except StoreError as error:
            log.warning("a direction is not kept: %s", error)

    def steps(self) -> Mapping[str, Floats]:
        """What an amount of 1 adds to a code, float32 [W], by the names of those that work."""
        return {
            one.name: np.array(one.step, np.float32) for one in self.known().values() if one.works
        }


def _brought(workspace: Workspace, key: str, tag_names: Sequence[str]) -> dict[str, Attribute]:
    """Directions of questions in a file that an import checked, by classifier."""
    if not workspace.exists(key):
        return {}
    found = {}
    for name, one in unpack(workspace.read_bytes(key), tag_names=tag_names).items():
        if is_name(name):
            question, identity = name.removeprefix("question:").rsplit("@", 1)
            found[identity] = Attribute(
                question=question,
                classifier_id=identity,
                step=tuple(one.step.tolist()),
                correlation=one.correlation or 0.0,
                low=one.low or 0.0,
                high=one.high or 0.0,
            )
    return found
