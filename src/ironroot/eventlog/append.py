"""Turns what happened into pending facts: checked, sealed, and answered by the folds that watch.

A fold may answer a fact with further facts, and they are folded in turn; how deep that may go is bounded, so two
folds that answer each other end in an error instead of a full disk.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from ironroot.core.canonical import encode
from ironroot.core.clock import Clock
from ironroot.core.errors import Fault, Malformed, TooLarge
from ironroot.core.ids import FactId, new_id
from ironroot.eventlog import personal
from ironroot.eventlog.model import NewFact, PendingFact
from ironroot.eventlog.ports import Fold, PersonKeys
from ironroot.eventlog.tables import fact_pending
from ironroot.store.engine import Tx

MAX_BODY_BYTES = 65_536
MAX_DEPTH = 8
"""Facts answering facts answering facts."""
MAX_ANSWERS = 1_000
"""Facts in one append, all answers included."""
_KIND = re.compile(r"[a-z][a-z0-9_]{0,30}\.[a-z][a-z0-9_]{0,30}")
_WHO = re.compile(r"[^\x00-\x20\x7f\ud800-\udfff]{1,255}")


class Appender:
    """Writes pending facts inside the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.persons: PersonKeys | None = None
        self._folds: dict[str, list[Fold]] = defaultdict(list)

    def add_fold(self, fold: Fold) -> None:
        """Show `fold` every fact of its kinds from now on."""
        for kind in fold.kinds:
            self._folds[kind].append(fold)

    async def append(self, tx: Tx, news: Sequence[NewFact]) -> list[FactId]:
        """Write the facts and all answers of the folds; returns the ids of `news`, in order.

        Raises Malformed or TooLarge for a fact that cannot be recorded, Fault when folds answer without end.
        """
        rows: list[dict[str, Any]] = []
        ids: list[FactId] = []
        waiting = deque((new, 0) for new in news)
        limit = len(news) + MAX_ANSWERS
        while waiting:
            new, depth = waiting.popleft()
            pending, text = await self._pending(tx, new)
            rows.append(
                {
                    "id": pending.id,
                    "at": pending.at,
                    "kind": pending.kind,
                    "subject": pending.subject,
                    "actor": pending.actor,
                    "body": text,
                }
            )
            if depth == 0:
                ids.append(pending.id)
            for fold in self._folds.get(new.kind, ()):
                answers = await fold.fold(tx, pending)
                if answers and (depth == MAX_DEPTH or len(rows) + len(answers) > limit):
                    raise Fault(f"folds answer each other without end: {new.kind}", code="fold-loop")
                waiting.extend((answer, depth + 1) for answer in answers)
        if rows:
            await tx.execute(insert(fact_pending), rows)
        return ids

    async def _pending(self, tx: Tx, new: NewFact) -> tuple[PendingFact, str]:
        if _KIND.fullmatch(new.kind) is None:
            raise Malformed(f"not a kind of fact: {new.kind[:80]!r}", remedy="kinds are noun.past_tense")
        for who in (new.subject, new.actor):
            if _WHO.fullmatch(who) is None:
                raise Malformed(f"not a subject or actor: {who[:80]!r}", remedy="write them as kind/id")
        if personal.FIELD in new.body:
            raise Malformed(f"{personal.FIELD!r} in a body is the log's own field")
        body = await personal.seal(tx, self.persons, new)
        text = encode(body)
        if len(text) > MAX_BODY_BYTES:
            raise TooLarge(f"the body of {new.kind} has {len(text)} bytes", remedy="a fact names things, it holds none")
        fact_id = FactId(new_id("fct", secrets.token_bytes(16)))
        return PendingFact(fact_id, self.clock.now(), new.kind, new.subject, new.actor, body), text.decode()
