"""Gives committed facts their place: number, hash, Merkle leaf, and from time to time a signed checkpoint.

One step takes the pending facts that are committed, in the order they were written, and moves them into the chain
in one transaction. Any process may run steps: on PostgreSQL an advisory lock lets one at a time through, every
step begins at the head the database has, and the primary key makes a fork impossible.

A fact whose transaction is still open is simply not seen yet; it gets a later number, and no reader's cursor
passes it by. A stored chain that does not fit its last checkpoint is not continued: nothing is numbered and
nothing signed until somebody has looked, and the facts wait in `fact_pending`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from ironroot.core import merkle
from ironroot.core.chain import link_bytes
from ironroot.core.clock import Clock
from ironroot.core.errors import Corrupt, Refused
from ironroot.core.ids import FactId
from ironroot.core.merkle import Frontier
from ironroot.eventlog.encoding import record, record_of
from ironroot.eventlog.model import Fact, Head
from ironroot.eventlog.ports import CheckpointSigner
from ironroot.eventlog.tables import fact, fact_checkpoint, fact_of, fact_pending
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert
from ironroot.verify.note import Checkpoint, VerifierKey, sign, verify_checkpoint

BATCH = 256
"""Facts per step: hashing them keeps the event loop for about 3 ms."""
CHECKPOINT_EVERY_S = 1.0
_ADVISORY_LOCK = 0x1F0_FAC7
_HOUR_S = 3600
_COLUMNS = tuple(column.name for column in fact.columns)


@dataclass(slots=True)
class _State:
    """The end of the chain as last committed by this process."""

    head: Head
    frontier: Frontier
    note: str | None = None
    signed_size: int = 0


class Sequencer:
    """Numbers, chains and signs. `published` is called with every batch right after its commit."""

    def __init__(self, store: Store, clock: Clock, published: Callable[[Sequence[Fact]], None]) -> None:
        self.store = store
        self.clock = clock
        self.signer: CheckpointSigner | None = None
        self._published = published
        self._turn = asyncio.Lock()
        self._state: _State | None = None
        self._signed_at: float | None = None

    @property
    def key(self) -> VerifierKey | None:
        """The public key of checkpoints."""
        return None if self.signer is None else VerifierKey(self.signer.name, self.signer.public)

    def checkpoint_due_s(self) -> float | None:
        """Seconds until the next checkpoint should be signed; None when the last one covers everything."""
        state = self._state
        if state is None or self.signer is None or state.frontier.size == state.signed_size:
            return None
        if self._signed_at is None:
            return 0.0
        return max(0.0, self._signed_at + CHECKPOINT_EVERY_S - self.clock.monotonic())

    async def step(self, *, checkpoint: bool = False) -> int:
        """Put up to BATCH pending facts into the chain and return how many; with `checkpoint`, sign the result.

        Raises Corrupt when the stored chain is not the one that was signed, Unavailable when the store is.
        """
        async with self._turn:
            try:
                return await self._step(checkpoint=checkpoint)
            except IntegrityError:
                self._state = None  # the chain went on without this process: begin from what is stored
                return await self._step(checkpoint=checkpoint)

    async def _step(self, *, checkpoint: bool) -> int:
        async with self.store.write() as tx:
            if self.store.engine_name == "postgresql":
                await tx.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            state, others = await self._resume(tx)
            facts, rows = _chained(await _take(tx), state.head)
            following = replace(state)
            if facts:
                await tx.execute(insert(fact), rows)
                following.head = Head(facts[-1].seq, facts[-1].hash)
                following.frontier = state.frontier.extend([merkle.leaf(one.hash) for one in facts])
            signing = self._shall_sign(following, demanded=checkpoint)
            if signing:
                following.note = await self._sign(tx, following.frontier)
                following.signed_size = following.frontier.size
            tx.on_commit(lambda: self._adopt(following, [*others, *facts], signed=signing))
        return len(facts)

    async def checkpoint(self) -> tuple[str, int] | None:
        """A signed checkpoint over everything committed so far, and its size; None without a signer."""
        while await self.step(checkpoint=True) == BATCH:
            pass
        state = self._state
        return None if state is None or state.note is None else (state.note, state.signed_size)

    def _shall_sign(self, state: _State, *, demanded: bool) -> bool:
        if self.signer is None or (state.note is not None and state.signed_size == state.frontier.size):
            return False
        now = self.clock.monotonic()
        due = self._signed_at is None or now - self._signed_at >= CHECKPOINT_EVERY_S
        return demanded or (due and state.frontier.size > 0)

    async def _sign(self, tx: Tx, frontier: Frontier) -> str:
        if self.signer is None or self.key is None:
            raise Corrupt("no key to sign a checkpoint with")
        text = Checkpoint(self.signer.name, frontier.size, frontier.root()).text()
        note, now = sign(text, self.key, self.signer.sign), self.clock.now()
        if frontier.size:
            values = {"size": frontier.size, "at": now, "note": note, "frontier": frontier.to_bytes()}
            statement = upsert(self.store.engine_name, fact_checkpoint).values(
                hour=int(now.timestamp()) // _HOUR_S, **values
            )
            await tx.execute(statement.on_conflict_do_update(index_elements=["hour"], set_=values))
        return note

    def _adopt(self, state: _State, facts: Sequence[Fact], *, signed: bool) -> None:
        self._state = state
        if signed:
            self._signed_at = self.clock.monotonic()
        if facts:
            self._published(facts)

    async def _resume(self, tx: Tx) -> tuple[_State, list[Fact]]:
        """The chain's end as the database holds it, and the facts that other processes put there meanwhile. SQLite
        has one writing process; should there be another, the primary key refuses its second fact of one number.
        """
        if self._state is not None and self.store.engine_name == "sqlite":
            return self._state, []
        row = (await tx.execute(select(fact.c.seq, fact.c.hash).order_by(fact.c.seq.desc()).limit(1))).first()
        head = Head() if row is None else Head(row.seq, bytes(row.hash))
        if self._state is None or head.seq < self._state.head.seq:
            return await _rebuilt(tx, head, self.key), []
        state, others = replace(self._state), []
        while state.head.seq < head.seq:
            others += await _follow(tx, state)
        if state.head != head:
            raise Corrupt(f"fact {head.seq} is not the one that was written")
        return state, others


async def _take(tx: Tx) -> list[Any]:
    """Remove and return the oldest committed pending facts, in the order they were written."""
    oldest = select(fact_pending.c.n).order_by(fact_pending.c.n).limit(BATCH)
    taken = await tx.execute(delete(fact_pending).where(fact_pending.c.n.in_(oldest)).returning(*fact_pending.c))
    return sorted(taken.all(), key=lambda row: int(row.n))


def _chained(pending: Sequence[Any], head: Head) -> tuple[list[Fact], list[dict[str, Any]]]:
    """The facts in their places after `head`, and their rows."""
    facts: list[Fact] = []
    rows: list[dict[str, Any]] = []
    seq, prev = head.seq, head.hash
    for row in pending:
        seq += 1
        digest = link_bytes(prev, record(seq, row.id, row.at, row.kind, row.subject, row.actor, row.body))
        values = (seq, row.id, row.at, row.kind, row.subject, row.actor, row.body, prev, digest)
        rows.append(dict(zip(_COLUMNS, values, strict=True)))
        facts.append(
            Fact(seq, FactId(row.id), row.at, row.kind, row.subject, row.actor, json.loads(row.body), prev, digest)
        )
        prev = digest
    return facts, rows


async def _rebuilt(tx: Tx, head: Head, key: VerifierKey | None) -> _State:
    """The state at `head`, worked out from the last checkpoint and the facts after it. Raises Corrupt."""
    latest = select(fact_checkpoint).order_by(fact_checkpoint.c.size.desc()).limit(1)
    row = (await tx.execute(latest)).first()
    state = _State(Head(), Frontier())
    if row is not None:
        state = _State(Head(), Frontier.parse(bytes(row.frontier)), row.note, row.size)
        if key is not None:
            signed = _signed(row.note, key)
            if (signed.size, signed.root) != (state.frontier.size, state.frontier.root()):
                raise Corrupt(f"the stored checkpoint of {row.size} facts does not match its signature")
        if head.seq < row.size:
            raise Corrupt(f"the log was cut back: {row.size} facts were signed, {head.seq} are stored")
        # The last signed fact itself is looked at too: what follows builds on its hash.
        state.head = await _linked(tx, row.size)
    while state.head.seq < head.seq:
        await _follow(tx, state)
    if state.head != head:
        raise Corrupt(f"the stored chain ends at fact {state.head.seq}, not at {head.seq}")
    return state


def _signed(note: str, key: VerifierKey) -> Checkpoint:
    try:
        return verify_checkpoint(note, key)
    except Refused as e:
        raise Corrupt(
            f"the stored checkpoint is not this log's: {e.message}",
            remedy="were the keys replaced, or the database of another platform put here? put back what belongs together",
        ) from e


async def _linked(tx: Tx, seq: int) -> Head:
    row = (await tx.execute(select(fact).where(fact.c.seq == seq))).first()
    if row is None or link_bytes(bytes(row.prev), record_of(row)) != bytes(row.hash):
        raise Corrupt(f"fact {seq} is missing or does not match its hash")
    return Head(seq, bytes(row.hash))


async def _follow(tx: Tx, state: _State) -> list[Fact]:
    """Append the next stored facts to `state`, checking each link, and return them."""
    after = select(fact).where(fact.c.seq > state.head.seq).order_by(fact.c.seq).limit(BATCH)
    facts: list[Fact] = []
    seq, prev = state.head.seq, state.head.hash
    for row in (await tx.execute(after)).all():
        seq += 1
        if row.seq != seq or bytes(row.prev) != prev or link_bytes(prev, record_of(row)) != bytes(row.hash):
            raise Corrupt(f"fact {seq} is missing or does not match its hash")
        facts.append(fact_of(row))
        prev = bytes(row.hash)
    if not facts:
        raise Corrupt(f"fact {seq + 1} is missing")
    state.head = Head(seq, prev)
    state.frontier = state.frontier.extend([merkle.leaf(one.hash) for one in facts])
    return facts
