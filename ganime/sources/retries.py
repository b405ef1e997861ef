"""What is worth another try, when, and with which error the tries end.

Waits have full jitter (M. Brooker, "Exponential Backoff and Jitter", AWS 2015).
"""

import asyncio
import random
import socket
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from ganime.errors import CannotConnect, SourceRefused, SourceUnavailable
from ganime.sources import Received

ATTEMPTS = 5
_REFUSED_ATTEMPTS = 4  # no answer will differ so soon: with their waits 3.5 s in the mean
_SILENT_ATTEMPTS = 2  # each has waited `CONNECT_S` already
CONNECT_S = 8.0  # a lost packet is sent again after 1, 3 and 7 s (RFC 6298, 2.1)
MAX_RETRY_AFTER_S = 120.0  # rather than sleep longer, the run ends and is started again
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_BACKOFF_S, _BACKOFF_CAP_S = 1.0, 60.0
_BACKOFF_LOOPBACK_S, _BACKOFF_LOOPBACK_CAP_S = 0.02, 0.2  # nobody else is waiting there


class HostBusy(SourceUnavailable):
    """The host answers, but only that it cannot now.

    Attributes:
        status: The HTTP status, 429 or 5xx.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class TurnedAway(SourceRefused):
    """The host refuses this client: wrong or no credentials, or a challenge for browsers."""


class TryAgain(Exception):  # noqa: N818 - it is a signal, which no caller of the client sees
    """This try failed in a way that another may not.

    Attributes:
        error: To be raised if no other try is left.
        outcome: Of this request, a short code for its row.
        after_s: How long the host wants to be left alone [s].
        give_up_with: To be returned, instead of the error, if no other try is left.
        attempts: How many tries are worth it.
    """

    def __init__(
        self,
        error: SourceUnavailable,
        *,
        outcome: str,
        after_s: float = 0.0,
        give_up_with: Received | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.outcome = outcome
        self.after_s = after_s
        self.give_up_with = give_up_with
        self.attempts = attempts


async def back_off(attempt: int, at_least_s: float, *, loopback: bool) -> None:
    """Sleep before trying again: full jitter below a doubling ceiling, capped.

    Args:
        attempt: How many tries have failed, less one.
        at_least_s: What the host asked for.
        loopback: Whether it is a server on this machine.
    """
    base = _BACKOFF_LOOPBACK_S if loopback else _BACKOFF_S
    cap = _BACKOFF_LOOPBACK_CAP_S if loopback else _BACKOFF_CAP_S
    await asyncio.sleep(at_least_s + random.uniform(0, min(cap, base * 2**attempt)))


def retry_after(value: str) -> float:
    """Seconds to wait by a Retry-After header (RFC 9110, 10.2.3): a number or a date."""
    try:
        if value.strip().isdigit():
            return float(value)
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except ValueError:
        return 0.0


def no_connection(origin: str, error: Exception) -> TryAgain | None:
    """What to say of a host that takes no connection; None if the error is of another kind."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        why, attempts = f"it does not answer within {CONNECT_S:g} s", _SILENT_ATTEMPTS
    elif isinstance(error, aiohttp.ClientConnectorError):
        why, attempts = _reason(error.os_error), _REFUSED_ATTEMPTS
    else:
        return None
    unreachable = CannotConnect(
        f"cannot reach {origin}: {why}; is it up? Check the address and the network, "
        "then run the same command again"
    )
    return TryAgain(unreachable, outcome="unreachable", attempts=attempts)


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return f"no host of that name is known here ({error.strerror})"
    return str(error)
