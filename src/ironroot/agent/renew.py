"""When to renew the certificate, and when to try again. Pure: time and randomness are arguments.

At two thirds of the life, a tenth of the life earlier or later, so that a fleet enrolled in one hour does not renew in
one hour; a failed attempt is repeated with jittered back-off that always leaves tries before the end (RFC 9773's idea).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ironroot.agent.backoff import Backoff

JITTER = 0.1
"""Share of the life by which the renewal may move either way."""
MAX_RETRY = timedelta(hours=6)
MAX_ASKED = timedelta(days=1)


class Due(StrEnum):
    """What the certificate's age asks for."""

    NOT_YET = "not-yet"
    NOW = "now"
    EXPIRED = "expired"


def renewal_at(not_before: datetime, not_after: datetime, randomness: float) -> datetime:
    """When to renew a certificate of this life: two thirds of it, moved by up to a tenth; `randomness` in [0, 1].

    Give the same randomness for the same certificate (see `certificate_randomness`) and a restart changes nothing.
    """
    life = not_after - not_before
    return not_before + life * (2 / 3 + JITTER * (2 * randomness - 1))


def certificate_randomness(fingerprint: str) -> float:
    """A number in [0, 1) of a certificate's SHA-256 fingerprint: different on each device, the same after a restart."""
    return int(fingerprint[:13], 16) / 16**13


def due(now: datetime, not_before: datetime, not_after: datetime, randomness: float) -> Due:
    """What to do at `now`. A clock before the certificate's time is a wrong clock, and no reason to renew."""
    if now >= not_after:
        return Due.EXPIRED
    return Due.NOW if now >= renewal_at(not_before, not_after, randomness) else Due.NOT_YET


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failed attempts in a row, and when the next may be made (None: when due)."""

    failures: int = 0
    next_at: datetime | None = None

    def may_try(self, now: datetime) -> bool:
        """Whether the wait is over."""
        return self.next_at is None or now >= self.next_at

    def failed(
        self, now: datetime, not_after: datetime, randomness: float, retry_after_s: float | None = None
    ) -> Attempts:
        """After one more failure at `now`. What the platform asked for is honoured, up to a day."""
        failures = self.failures + 1
        wait = retry_delay(failures, not_after - now, randomness, retry_after_s)
        return Attempts(failures, now + wait)


def retry_delay(
    failures: int, remaining: timedelta, randomness: float, retry_after_s: float | None = None
) -> timedelta:
    """How long to wait after `failures` failures in a row with `remaining` life left.

    Grows from about a minute to at most six hours and a tenth of what remains, and is never under five seconds; with
    `retry_after_s` it is that, plus up to a tenth so that those who were told the same time do not come together.
    """
    if retry_after_s is not None:
        return min(timedelta(seconds=max(retry_after_s, 5.0) * (1 + 0.1 * randomness)), MAX_ASKED)
    longest = min(MAX_RETRY.total_seconds(), max(remaining.total_seconds() / 10, 5.0))
    first = min(60.0, longest)
    return timedelta(seconds=min(Backoff(first, longest).delay_s(failures, randomness), longest))
