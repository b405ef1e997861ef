"""From facts, rules and people's answers to one decision per image and rule."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ganime.filters import Facts, Filter, Flags, Numbers, Verdicts
from ganime.rows import DecisionRow, LabelRow
from ganime.store.card import Tally
from ganime.store.manifest import schema_of

PERSON = "person"  # the rule that holds people's answers to "keep?"
KEEP, DROP, ABSTAIN = range(3)
_VERDICTS = np.array(["keep", "drop", "abstain"])
_DECIDERS = ("rule", "classifier", "person")


@dataclass
class Judged:
    """One rule's decisions on N images, as columns: millions take seconds and little memory.

    Attributes:
        rule: Its name.
        codes: `KEEP`, `DROP` or `ABSTAIN`, int8 [N].
        reasons: Place in `words` of the reason, int32 [N]; -1 for none.
        words: The reasons that occur.
        score: What was measured [N]; NaN for nothing.
        threshold: What it was held against; None for nothing.
        by: Place in rule, classifier, person, int8 [N].
        evidence: JSON of single images, by index.
    """

    rule: str
    codes: npt.NDArray[np.int8]
    reasons: npt.NDArray[np.int32]
    words: list[str]
    score: Numbers
    threshold: float | None
    by: npt.NDArray[np.int8]
    evidence: dict[int, str]

    @property
    def verdict(self) -> npt.NDArray[np.str_]:
        """`keep`, `drop` or `abstain` [N]."""
        return _VERDICTS[self.codes]

    @property
    def drop(self) -> Flags:
        """True where the image must go [N]."""
        return np.asarray(self.codes == DROP, np.bool_)

    def word(self, text: str) -> int:
        """Place of a reason in `words`, added if new."""
        if text not in self.words:
            self.words.append(text)
        return self.words.index(text)


def decide(facts: Facts, rules: Sequence[Filter], labels: Sequence[LabelRow]) -> list[Judged]:
    """Every rule's verdict on every image, people's answers on top.

    A person's answer to a rule's own question replaces that rule's verdict. The answer to `keep` is
    a rule of its own, the first, and outranks all others; it cannot make a broken file whole.
    """
    said = _by_place(facts, labels)
    wanted = said.get("keep", {})
    insisted = {i: row for i, row in wanted.items() if row.answer and facts.problems[i] is None}
    judged = [_person_rule(wanted, len(facts.image_ids))]
    alive = ~judged[0].drop
    for rule in rules:
        decision = _by_rule(rule.rule, rule.judge(facts, alive))
        _overrule(decision, said.get(rule.question, {}) if rule.question else {}, rule.question)
        _overrule(decision, insisted, rule.question)
        judged.append(decision)
        alive &= ~decision.drop
    return judged


def kept_images(judged: Sequence[Judged]) -> Flags:
    """Which images no rule dropped [N]."""
    return statuses(judged) < 0


def statuses(judged: Sequence[Judged]) -> npt.NDArray[np.int16]:
    """Place of the first rule that dropped each image [N]; -1 for the kept."""
    status = np.full(len(judged[0].codes), -1, np.int16)
    for place, decision in reversed(list(enumerate(judged))):
        status[decision.drop] = place
    return status


def dropped_by(judged: Sequence[Judged]) -> Counter[str]:
    """How many images each rule was the first to drop."""
    places, counts = np.unique(statuses(judged), return_counts=True)
    pairs = zip(places.tolist(), counts.tolist(), strict=True)
    return Counter({judged[place].rule: count for place, count in pairs if place >= 0})


def tallies(judged: Sequence[Judged]) -> list[Tally]:
    """What came of each rule."""
    first = dropped_by(judged)
    person = _DECIDERS.index("person")
    return [
        Tally(
            rule=item.rule,
            first=first[item.rule],
            dropped=int(item.drop.sum()),
            abstained=int((item.codes == ABSTAIN).sum()),
            by_people=int((item.by == person).sum()),
        )
        for item in judged
    ]


def doubles(judged: Sequence[Judged]) -> dict[int, str]:
    """Places of the images dropped for the sake of another, and the ids of those others."""
    return {
        i: evidence["kept"]
        for item in judged
        for i, text in item.evidence.items()
        if item.codes[i] == DROP and "kept" in (evidence := json.loads(text))
    }


def summary(judged: Sequence[Judged]) -> str:
    """One line: in, kept, dropped by the first rule that dropped."""
    dropped = dropped_by(judged)
    detail = ", ".join(f"{rule} {count}" for rule, count in dropped.most_common())
    num = len(judged[0].codes)
    line = f"{num} in, {num - dropped.total()} kept, {dropped.total()} dropped"
    return f"{line} ({detail})" if detail else line


def digest(judged: Sequence[Judged]) -> str:
    """Digest of all verdicts and their evidence: equal decisions, equal digest."""
    found = hashlib.sha256()
    for item in judged:
        found.update(json.dumps([item.rule, sorted(item.evidence.items())]).encode())
        found.update(item.codes.tobytes())
    return found.hexdigest()


def to_table(image_ids: Sequence[str] | pa.Array, judged: Sequence[Judged]) -> pa.Table:
    """The decisions with the schema of `ganime.rows.DecisionRow`, rule by rule."""
    ids = pa.array(image_ids, pa.string())
    return pa.concat_tables(_as_table(ids, order, item) for order, item in enumerate(judged))


def _as_table(ids: pa.Array, order: int, item: Judged) -> pa.Table:
    num = len(ids)
    evidence = np.full(num, None, object)
    for i, text in item.evidence.items():
        evidence[i] = text
    reasons = pa.array(item.reasons, mask=item.reasons < 0)
    columns = [
        ids,
        pa.repeat(pa.scalar(item.rule), num),
        pa.repeat(pa.scalar(order, pa.int64()), num),
        pa.DictionaryArray.from_arrays(item.codes, _VERDICTS.tolist()).cast(pa.string()),
        pa.DictionaryArray.from_arrays(reasons, pa.array(item.words, pa.string())).cast(
            pa.string()
        ),
        pa.array(item.score, mask=np.isnan(item.score)),
        pa.repeat(pa.scalar(item.threshold, pa.float64()), num),
        pa.array(evidence, pa.string()),
        pa.DictionaryArray.from_arrays(item.by, list(_DECIDERS)).cast(pa.string()),
    ]
    return pa.table(columns, schema=schema_of(DecisionRow))


def _by_place(facts: Facts, labels: Sequence[LabelRow]) -> dict[str, dict[int, LabelRow]]:
    """Answers by question and place of the image."""
    labelled = {row.image_id for row in labels}
    place = {image_id: i for i, image_id in enumerate(facts.image_ids) if image_id in labelled}
    said: dict[str, dict[int, LabelRow]] = {}
    for row in labels:
        if row.image_id in place:
            said.setdefault(row.question, {})[place[row.image_id]] = row
    return said


def _person_rule(wanted: Mapping[int, LabelRow], num: int) -> Judged:
    judged = Judged(
        rule=PERSON,
        codes=np.full(num, ABSTAIN, np.int8),
        reasons=np.zeros(num, np.int32),
        words=["not_asked"],
        score=np.full(num, np.nan),
        threshold=None,
        by=np.zeros(num, np.int8),
        evidence={},
    )
    for i, row in wanted.items():
        _put_answer(judged, i, row, drop=row.answer is False, reason=PERSON)
    return judged


def _by_rule(rule: str, verdicts: Verdicts) -> Judged:
    num = len(verdicts.drop)
    judged = Judged(
        rule=rule,
        codes=np.where(verdicts.abstain, ABSTAIN, np.where(verdicts.drop, DROP, KEEP)).astype(
            np.int8
        ),
        reasons=np.full(num, -1, np.int32),
        words=[verdicts.reason, verdicts.abstain_reason],
        score=np.full(num, np.nan) if verdicts.score is None else verdicts.score.astype(float),
        threshold=verdicts.threshold,
        by=np.full(num, _DECIDERS.index(verdicts.decided_by), np.int8),
        evidence={i: json.dumps(found, sort_keys=True) for i, found in verdicts.evidence.items()},
    )
    judged.reasons[judged.codes == DROP] = 0
    judged.reasons[judged.codes == ABSTAIN] = 1
    for i, reason in verdicts.reasons.items():
        if judged.codes[i] == DROP:
            judged.reasons[i] = judged.word(reason)
    return judged


def _overrule(judged: Judged, said: Mapping[int, LabelRow], question: str) -> None:
    """Put people's answers in place: yes to the rule's question drops, yes to `keep` keeps."""
    for i, row in said.items():
        drop = bool(row.answer) and row.question == question
        _put_answer(judged, i, row, drop=drop, reason=question)


def _put_answer(judged: Judged, i: int, row: LabelRow, *, drop: bool, reason: str) -> None:
    judged.codes[i] = DROP if drop else KEEP
    judged.reasons[i] = judged.word(reason) if drop else -1
    judged.by[i] = _DECIDERS.index("person")
    judged.evidence[i] = json.dumps(
        {"label_id": row.label_id, "by": row.by, "at": row.at.isoformat(), "note": row.note}
    )
