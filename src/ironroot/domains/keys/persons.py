"""A key for each person, so that what facts hold about somebody ends with that key (`eventlog.ports.PersonKeys`).

The chain keeps the sealed bytes for ever; destroying the key makes them noise. A person written about again after
erasure gets a new key of a higher generation, so the old bytes stay closed. Invariant: `open` answers None, never
another person's text, once the key that sealed is gone.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Protocol

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ironroot.core.clock import Clock
from ironroot.core.errors import NotFound
from ironroot.domains.keys import envelope, tables
from ironroot.domains.keys.facts import PersonErased
from ironroot.domains.keys.model import SECRET_BYTES
from ironroot.domains.keys.ports import Facts
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert

CACHED = 1024
Key = tuple[int, bytes]


class Sealer(Protocol):
    """What seals the keys themselves."""

    def seal(self, context: str, plaintext: bytes) -> bytes:
        """Seal for a place."""
        ...

    def open(self, context: str, sealed: bytes) -> bytes:
        """Open. Raises Corrupt."""
        ...


class PersonKeyring:
    """Keys of persons, at most 1,024 of them in memory."""

    def __init__(self, store: Store, log: Facts, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._log = log
        self._sealer = sealer
        self._clock = clock
        self._cache: OrderedDict[str, Key] = OrderedDict()

    async def seal(self, tx: Tx, person: str, plaintext: bytes) -> bytes:
        """Encrypt under the person's key; the key is made when the person has none."""
        key = await self._load(tx.conn, person)
        if key is None:
            await self._make(tx, person)
            key = await self._load(tx.conn, person)
        assert key is not None  # noqa: S101 (written in this transaction)
        found = key
        tx.on_commit(lambda: self._remember(person, found))
        return envelope.seal(key[1], key[0], _fact_of(person), plaintext, secrets.token_bytes(envelope.NONCE_BYTES))

    async def open(self, person: str, sealed: bytes) -> bytes | None:
        """Decrypt; None once the key is erased. Raises Corrupt for bytes this person's key did not seal."""
        generation = envelope.generation(sealed)
        key = self._cache.get(person)
        if key is None or key[0] != generation:
            async with self._store.read() as conn:
                key = await self._load(conn, person)
            if key is None or key[0] != generation:
                return None
            self._remember(person, key)
        return envelope.unseal(key[1], _fact_of(person), sealed)

    async def erase(self, tx: Tx, person: str, actor: str) -> None:
        """Destroy the person's key, with its fact. Doing it twice is doing it once. Raises NotFound for nobody.

        Copies in backups end with the backups: say so where somebody asks for erasure.
        """
        table = tables.person_key
        row = (await tx.execute(select(table.c.wrapped).where(table.c.person == person))).first()
        if row is None:
            raise NotFound("nothing personal is kept about this person", remedy="check the id")
        if row.wrapped is None:
            return
        erased = update(table).where(table.c.person == person).values(wrapped=None, erased_at=self._clock.now())
        await tx.execute(erased)
        subject = person if "/" in person else f"user/{person}"
        await self._log.append(tx, PersonErased(person).fact(subject, actor))
        tx.on_commit(lambda: self._forget(person))

    async def _load(self, conn: AsyncConnection, person: str) -> Key | None:
        table = tables.person_key
        row = (await conn.execute(select(table).where(table.c.person == person))).first()
        if row is None or row.wrapped is None:
            return None
        return row.generation, self._sealer.open(_key_of(person, row.generation), row.wrapped)

    async def _make(self, tx: Tx, person: str) -> None:
        table = tables.person_key
        now = self._clock.now()
        before = (await tx.execute(select(table.c.generation).where(table.c.person == person))).scalar()
        generation = (before or 0) + 1
        wrapped = self._sealer.seal(_key_of(person, generation), secrets.token_bytes(SECRET_BYTES))
        if before is not None:
            await tx.execute(
                update(table)
                .where(table.c.person == person, table.c.wrapped.is_(None))
                .values(generation=generation, wrapped=wrapped, created_at=now, erased_at=None)
            )
            return
        insert = upsert(self._store.engine_name, table).values(
            person=person, generation=generation, wrapped=wrapped, created_at=now
        )
        await tx.execute(insert.on_conflict_do_nothing())

    def _remember(self, person: str, key: Key) -> None:
        self._cache[person] = key
        self._cache.move_to_end(person)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)

    def _forget(self, person: str) -> None:
        self._cache.pop(person, None)


def _key_of(person: str, generation: int) -> str:
    return f"person_key/wrapped/{person}/{generation}"


def _fact_of(person: str) -> str:
    return f"fact/personal/{person}"
