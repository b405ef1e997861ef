"""What `ganime doctor` says of one thing that it looked at."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: What was looked at.
        ok: Whether it is in order.
        found: What there is.
        advice: What to do about it; empty if it is in order.
    """

    name: str
    ok: bool
    found: str
    advice: str = ""


Findings = Iterator[Finding]
