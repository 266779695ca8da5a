"""Certificate revocation lists as they are asked for: the stored one while it is good, a new one otherwise.

A new list is made when something was revoked or half of the life of the old one has passed. Building takes at most a
tenth of the time: after a build of 5 ms the list stays as it is for 50 ms, whatever is revoked and asked meanwhile.
Numbers only grow, also when two processes publish; the loser of a race serves the winner's list.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from ironroot.core.clock import Clock
from ironroot.domains.pki import tables
from ironroot.domains.pki.crl import Revoked, build, kept_from, refresh_at
from ironroot.domains.pki.facts import CrlIssued
from ironroot.domains.pki.hierarchy import Hierarchy, Signing
from ironroot.domains.pki.model import PkiConfig, Reason
from ironroot.domains.pki.ports import Facts
from ironroot.eventlog.model import PLATFORM
from ironroot.store.engine import Store

CHUNK = 500
LOOK_AGAIN_S = 1.0
"""How long a list is served from memory before the store is asked whether another process revoked something."""
REST = 10
"""Rest after a build, in builds."""
_IN_THREAD = 200


@dataclass(slots=True)
class _Served:
    der: bytes
    refresh: datetime
    looked: float
    rest_until: float


class Publisher:
    """The newest list of every CA."""

    def __init__(self, store: Store, facts: Facts, clock: Clock, hierarchy: Hierarchy, config: PkiConfig) -> None:
        self._store = store
        self._facts = facts
        self._clock = clock
        self._hierarchy = hierarchy
        self._lifetime = config.crl_lifetime
        self._served: dict[str, _Served] = {}
        self._turn: dict[str, asyncio.Lock] = {}
        self._changed: set[str] = set()

    def changed(self, ca: str) -> None:
        """A certificate of this CA was revoked in this process: look before serving the next list."""
        self._changed.add(ca)

    async def crl(self, ca: str) -> bytes:
        """The list in DER, valid for at least half of a list's life. Raises NotFound."""
        signing = self._hierarchy.named(ca)
        if found := self._fresh(ca):
            return found
        async with self._turn.setdefault(ca, asyncio.Lock()):
            if found := self._fresh(ca):
                return found
            return await self._look(signing)

    def _fresh(self, ca: str) -> bytes | None:
        served = self._served.get(ca)
        if served is None or self._clock.now() >= served.refresh:
            return None
        now = self._clock.monotonic()
        looked = ca not in self._changed and now - served.looked < LOOK_AGAIN_S
        return served.der if looked or now < served.rest_until else None

    async def _look(self, signing: Signing) -> bytes:
        name = signing.ca.name
        self._changed.discard(name)
        stored = select(tables.crl, tables.ca.c.revision.label("wanted")).join(
            tables.ca, tables.ca.c.name == tables.crl.c.ca
        )
        async with self._store.read() as conn:
            row = (await conn.execute(stored.where(tables.crl.c.ca == name))).one()
        refresh = refresh_at(row.this_update, row.next_update)
        if row.revision == row.wanted and self._clock.now() < refresh:
            self._served[name] = _Served(row.der, refresh, self._clock.monotonic(), 0.0)
            return bytes(row.der)
        return await self._publish(signing, row.number, row.wanted)

    async def _publish(self, signing: Signing, number: int, revision: int) -> bytes:
        """Build and store list `number + 1`, unless another process did: then serve that."""
        started = self._clock.monotonic()
        name = signing.ca.name
        this_update = self._clock.now().replace(microsecond=0)
        next_update = this_update + self._lifetime
        entries = await self._entries(name, kept_from(this_update, self._lifetime))

        def make() -> bytes:
            return build(
                signing.ca.certificate,
                signing.key,
                entries,
                number=number + 1,
                this_update=this_update,
                next_update=next_update,
            )

        der = await asyncio.to_thread(make) if len(entries) > _IN_THREAD else make()
        table = tables.crl
        async with self._store.write() as tx:
            done = await tx.execute(
                update(table)
                .where(table.c.ca == name, table.c.number == number)
                .values(number=number + 1, revision=revision, der=der, this_update=this_update, next_update=next_update)
            )
            if done.rowcount == 1:
                body = CrlIssued(name, number + 1, len(entries), this_update, next_update)
                await self._facts.append(tx, body.fact(f"ca/{name}", PLATFORM))
            else:
                der = (await tx.execute(select(table.c.der).where(table.c.ca == name))).scalar_one()
        now = self._clock.monotonic()
        rest = (now - started) * REST
        self._served[name] = _Served(der, refresh_at(this_update, next_update), now, now + rest)
        return der

    async def _entries(self, ca: str, from_: datetime) -> list[Revoked]:
        """Every entry, read in chunks so that the event loop breathes between them."""
        table = tables.certificate
        query = (
            select(table.c.number, table.c.serial, table.c.revoked_at, table.c.reason)
            .where(table.c.issuer == ca, table.c.revoked_at.is_not(None), table.c.not_after >= from_)
            .order_by(table.c.number)
            .limit(CHUNK)
        )
        found: list[Revoked] = []
        after = 0
        async with self._store.read() as conn:
            while True:
                rows = (await conn.execute(query.where(table.c.number > after))).all()
                found += [Revoked(int(row.serial, 16), row.revoked_at, Reason(row.reason)) for row in rows]
                if len(rows) < CHUNK:
                    return found
                after = rows[-1].number
