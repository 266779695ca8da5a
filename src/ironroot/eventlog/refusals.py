"""Facts about refusals, which whoever is refused can repeat at will: within a budget, the rest counted.

A refusal is recorded while its kind has budget for its subject, for its source (the actor) and in all. What is
over is counted, and the count goes into the next fact of the same kind and subject as `suppressed`; what is still
uncounted after a minute is told in one fact `refusals.suppressed`. So a flood costs a bounded number of rows and
hides nothing but its repetitions, and a single source cannot use up what others need to be seen.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import structlog

from ironroot.core.clock import Clock
from ironroot.core.errors import IronrootError
from ironroot.core.gcra import Budget, Gcra
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import PLATFORM, Body, NewFact
from ironroot.store.engine import Store

EACH = Budget(burst=10, period_s=60)
"""Facts of one kind about one subject, and of one kind from one source."""
ALL = Budget(burst=600, period_s=60)
REPORT_EVERY_S = 60.0
MAX_KEYS = 4_096
"""Kinds and subjects counted apart; what comes beyond them is counted by kind alone."""
LISTED = 20

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Suppressed(Body):
    """Refusals that no fact of their own tells: in all, and the most frequent as `KIND SUBJECT` with their number."""

    KIND: ClassVar[str] = "refusals.suppressed"

    total: int
    most: Mapping[str, int]


class RefusalLog:
    """Records refusals within the budget. One for the whole process."""

    def __init__(self, log: EventLog, store: Store, clock: Clock) -> None:
        self.log = log
        self.store = store
        self.clock = clock
        self._each = Gcra(EACH)
        self._all = Gcra(ALL)
        self._over: Counter[tuple[str, str]] = Counter()

    async def note(self, refusal: NewFact) -> bool:
        """Record the refusal, or count it; returns whether it was recorded."""
        key = (refusal.kind, refusal.subject)
        if not self._within(refusal):
            self._count(key)
            return False
        over = self._over.pop(key, 0)
        try:
            async with self.store.write() as tx:
                body = dict(refusal.body) | ({"suppressed": over} if over else {})
                await self.log.append(tx, replace(refusal, body=body))
        except BaseException:
            self._over[key] += over + 1
            raise
        return True

    async def report(self) -> int:
        """Tell in one fact what was only counted so far; returns how many refusals that are."""
        over, self._over = self._over, Counter()
        if not over:
            return 0
        most = {f"{kind} {subject}": number for (kind, subject), number in over.most_common(LISTED)}
        try:
            async with self.store.write() as tx:
                await self.log.append(tx, Suppressed(over.total(), most).fact(PLATFORM, PLATFORM))
        except BaseException:
            self._over.update(over)
            raise
        return over.total()

    async def run(self) -> None:
        """Report every minute until cancelled."""
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            try:
                await self.report()
            except IronrootError as e:
                _log.warning("suppressed refusals are reported later", error=e.message)

    def _within(self, refusal: NewFact) -> bool:
        """Whether every budget has room; only then is it taken from, so that what one has used up costs no other."""
        now = self.clock.monotonic()
        keys = [f"{refusal.kind} {who}" for who in {refusal.subject, refusal.actor} if who != PLATFORM]
        if self._all.peek("", now) or any(self._each.peek(key, now) for key in keys):
            return False
        for key in keys:
            self._each.take(key, now)
        self._all.take("", now)
        return True

    def _count(self, key: tuple[str, str]) -> None:
        if key not in self._over and len(self._over) >= MAX_KEYS:
            key = (key[0], "others")
        self._over[key] += 1
