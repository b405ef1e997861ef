"""Faults on order: which of the practice booru's requests which fault befalls, and how often."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Self

from pydantic import Field, PrivateAttr, model_validator
from starlette.requests import Request
from starlette.responses import Response

from ganime.config import Config
from ganime.errors import ConfigError
from ganime.practice.catalogue import FAULTS, REDIRECTED, Case, Kind, Spoiling

__all__ = ["FAULTS", "FaultRule", "FaultSchedule", "Spoiling", "faults_of"]


class FaultRule(Config):
    """One fault and the requests that it befalls; `share`, `first`, `every` or `at` says which."""

    fault: str = Field(description="One of `FAULTS`.")
    kind: Kind | None = Field(None, description="Of the requests; the fault's first kind if not.")
    share: float = Field(0, ge=0, le=1, description="Of all requests, decided by hash.")
    first: int = Field(0, ge=0, description="So many requests from the start.")
    every: int = Field(0, ge=0, description="Every so-many-th request.")
    at: tuple[int, ...] = Field((), description="Exactly these requests, counted from 1.")
    path: str = Field("", description="Only requests whose path and query hold this text.")
    times: int | None = Field(None, ge=1, description="At most so often on one path and query.")
    seconds: float = Field(1.0, ge=0, le=600, description="Of Retry-After and slow drips [s].")
    count: int = Field(1, ge=1, description="Posts that come in by `posts_inserted`.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fault not in FAULTS:
            raise ValueError(f"no fault is called {self.fault!r}; there are {', '.join(FAULTS)}")
        if self.kind and self.kind not in FAULTS[self.fault].kinds:
            wanted = " or ".join(FAULTS[self.fault].kinds)
            raise ValueError(f"{self.fault} befalls requests of kind {wanted}, not {self.kind}")
        if sum(map(bool, (self.share, self.first, self.every, self.at))) != 1:
            raise ValueError(f"{self.fault}: say one of share, first, every, at")
        return self

    @property
    def befalls(self) -> Kind:
        """The kind of request."""
        return self.kind or FAULTS[self.fault].kinds[0]


class FaultSchedule(Config):
    """Rules, the first that fits wins; to be given to one server as its `faults`.

    It remembers what was asked, so that a retry may succeed; another run needs another one.
    """

    seed: int = 0
    rules: tuple[FaultRule, ...] = ()
    _asked: Counter[int] = PrivateAttr(default_factory=Counter)  # by rule
    _asked_path: Counter[tuple[int, str]] = PrivateAttr(default_factory=Counter)
    _struck: Counter[tuple[int, str]] = PrivateAttr(default_factory=Counter)
    _given: Counter[str] = PrivateAttr(default_factory=Counter)
    _memory: dict[str, bytes] = PrivateAttr(default_factory=dict)

    @property
    def given(self) -> Mapping[str, int]:
        """How often each fault befell a request so far."""
        return self._given

    def check(self, protocol: str) -> None:
        """Refuse rules that make no sense at a site.

        Raises:
            ConfigError: says which.
        """
        for rule in self.rules:
            if rule.fault not in faults_of(protocol, rule.befalls):
                known = ", ".join(faults_of(protocol, rule.befalls))
                raise ConfigError(
                    f"{protocol} never shows {rule.fault} on a {rule.befalls}; it may show {known}"
                )

    def __call__(self, request: Request) -> Response | Spoiling | None:
        """The fault that befalls a request: an answer, or what happens to the true one."""
        if REDIRECTED in request.url.query:
            return None
        path = f"{request.url.path}?{request.url.query}"
        chosen: FaultRule | None = None
        for place, rule in enumerate(self.rules):
            if rule.befalls != request.state.kind or rule.path not in path:
                continue
            if self._strikes(place, rule, path) and chosen is None:
                self._struck[place, path] += 1
                chosen = rule
        if chosen is None:
            return None
        self._given[chosen.fault] += 1
        return FAULTS[chosen.fault].make(Case(request, chosen.seconds, chosen.count, self._memory))

    def _strikes(self, place: int, rule: FaultRule, path: str) -> bool:
        """Count a request of a rule, and say whether the rule befalls it."""
        self._asked[place] += 1
        self._asked_path[place, path] += 1
        ordinal = self._asked[place]
        if rule.times is not None and self._struck[place, path] >= rule.times:
            return False
        if rule.share:
            key = f"{self.seed} {place} {self._asked_path[place, path]} {path}"
            draw = int.from_bytes(hashlib.sha256(key.encode()).digest()[:6], "big")
            return draw < rule.share * (1 << 48)
        if rule.every:
            return ordinal % rule.every == 0
        return ordinal <= rule.first or ordinal in rule.at


def faults_of(protocol: str, kind: str) -> tuple[str, ...]:
    """Names of the faults that make sense at a site for a kind of request."""
    return tuple(
        name
        for name, fault in FAULTS.items()
        if kind in fault.kinds and (kind == "robots" or protocol in fault.protocols)
    )
