"""From facts, rules and people's answers to one decision per image and rule."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ganime.filters import Facts, Filter, Flags, Numbers, Verdicts
from ganime.rows import DecisionRow, LabelRow
from ganime.store.manifest import schema_of

PERSON = "person"  # the rule that holds people's answers to "keep?"


@dataclass(frozen=True)
class Judged:
    """One rule's decisions on N images, as columns of `ganime.rows.DecisionRow`."""

    rule: str
    verdict: list[str]
    reason: list[str | None]
    score: list[float | None]
    threshold: list[float | None]
    evidence: list[str | None]
    decided_by: list[str]

    @property
    def drop(self) -> Flags:
        """True where the image must go [N]."""
        return np.array([verdict == "drop" for verdict in self.verdict], bool)


def decide(facts: Facts, rules: Sequence[Filter], labels: Sequence[LabelRow]) -> list[Judged]:
    """Every rule's verdict on every image, people's answers on top.

    A person's answer to a rule's own question replaces that rule's verdict. The answer to `keep` is
    a rule of its own, the first, and outranks all others; it cannot make a broken file whole.
    """
    answers = {(row.question, row.image_id): row for row in labels}
    wanted = [answers.get(("keep", image_id)) for image_id in facts.image_ids]
    judged = [_person_rule(wanted)]
    alive = ~judged[0].drop
    for rule in rules:
        decision = _by_rule(rule.rule, rule.judge(facts, alive))
        if rule.question:
            said = [answers.get((rule.question, image_id)) for image_id in facts.image_ids]
            _overrule(decision, said, rule.question)
        insisted = [
            row if row is not None and row.answer and problem is None else None
            for row, problem in zip(wanted, facts.problems, strict=True)
        ]
        _overrule(decision, insisted, rule.question)
        judged.append(decision)
        alive &= ~decision.drop
    return judged


def kept_images(judged: Sequence[Judged]) -> Flags:
    """Which images no rule dropped [N]."""
    return np.array([status is None for status in first_drop(judged)], bool)


def first_drop(judged: Sequence[Judged]) -> list[str | None]:
    """Each image's status: the first rule that dropped it, or None [N]."""
    status: list[str | None] = [None] * len(judged[0].verdict)
    for decision in reversed(judged):
        for i in np.flatnonzero(decision.drop):
            status[i] = decision.rule
    return status


def summary(judged: Sequence[Judged]) -> str:
    """One line: in, kept, dropped by the first rule that dropped."""
    status = first_drop(judged)
    dropped = Counter(rule for rule in status if rule is not None)
    detail = ", ".join(f"{rule} {count}" for rule, count in dropped.most_common())
    kept = len(status) - dropped.total()
    line = f"{len(status)} in, {kept} kept, {dropped.total()} dropped"
    return f"{line} ({detail})" if detail else line


def to_table(image_ids: list[str], judged: Sequence[Judged]) -> pa.Table:
    """The decisions with the schema of `ganime.rows.DecisionRow`, rule by rule."""
    num = len(image_ids)
    parts = [
        pa.table(
            [
                image_ids,
                [item.rule] * num,
                [order] * num,
                item.verdict,
                item.reason,
                item.score,
                item.threshold,
                item.evidence,
                item.decided_by,
            ],
            schema=schema_of(DecisionRow),
        )
        for order, item in enumerate(judged)
    ]
    return pa.concat_tables(parts)


def _person_rule(wanted: Sequence[LabelRow | None]) -> Judged:
    num = len(wanted)
    judged = Judged(
        rule=PERSON,
        verdict=["abstain"] * num,
        reason=["not_asked"] * num,
        score=[None] * num,
        threshold=[None] * num,
        evidence=[None] * num,
        decided_by=["rule"] * num,
    )
    for i, row in enumerate(wanted):
        if row is not None:
            _put_answer(judged, i, row, drop=row.answer is False, reason=PERSON)
    return judged


def _by_rule(rule: str, verdicts: Verdicts) -> Judged:
    num = len(verdicts.drop)
    verdict, reason = ["keep"] * num, [None] * num  # type: list[str], list[str | None]
    for i in np.flatnonzero(verdicts.drop):
        verdict[i], reason[i] = "drop", verdicts.reasons.get(int(i), verdicts.reason)
    for i in np.flatnonzero(verdicts.abstain):
        verdict[i], reason[i] = "abstain", verdicts.abstain_reason
    evidence: list[str | None] = [None] * num
    for place, found in verdicts.evidence.items():
        evidence[place] = json.dumps(found, sort_keys=True)
    return Judged(
        rule=rule,
        verdict=verdict,
        reason=reason,
        score=_nullable(verdicts.score, num),
        threshold=[verdicts.threshold] * num,
        evidence=evidence,
        decided_by=[verdicts.decided_by] * num,
    )


def _overrule(judged: Judged, said: Sequence[LabelRow | None], question: str) -> None:
    """Put people's answers in place: yes to the rule's question drops, yes to `keep` keeps."""
    for i, row in enumerate(said):
        if row is not None:
            drop = bool(row.answer) and row.question == question
            _put_answer(judged, i, row, drop=drop, reason=question)


def _put_answer(judged: Judged, i: int, row: LabelRow, *, drop: bool, reason: str) -> None:
    judged.verdict[i] = "drop" if drop else "keep"
    judged.reason[i] = reason if drop else None
    judged.decided_by[i] = "person"
    judged.evidence[i] = json.dumps(
        {"label_id": row.label_id, "by": row.by, "at": row.at.isoformat(), "note": row.note}
    )


def _nullable(values: Numbers | None, num: int) -> list[float | None]:
    if values is None:
        return [None] * num
    return [None if np.isnan(value) else float(value) for value in values]
