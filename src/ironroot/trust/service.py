"""Folds facts into decisions, in the transaction of the fact itself: a revocation and what follows from it are one.

Decisions that time changes (a hold's end, a certificate's) are taken by `review`, run as a task. Appends
`trust.decided` when a state changes; the doors follow that fact, and caches are told as the commit happens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import insert, select, update

from ironroot.core.clock import Clock
from ironroot.core.errors import Conflict, Fault, NotFound
from ironroot.core.ids import DeviceId
from ironroot.domains.inventory.facts import DeviceRegistered, DeviceRetired
from ironroot.domains.pki.facts import CertificateIssued, CertificateRevoked, ClaimCreated
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import PLATFORM, NewFact, PendingFact, about_device
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert
from ironroot.trust import tables
from ironroot.trust.facts import HoldExpired, HoldPlaced, HoldReleased, TrustDecided
from ironroot.trust.model import TrustDecision, TrustState
from ironroot.trust.rules import decide

Change = Callable[[DeviceId], None]
MOST_WAIT_S = 30.0
RETRY_S = 1.0

_log = structlog.get_logger(__name__)


class TrustFold:
    """The evidence and the decisions, kept as facts are appended (an `eventlog.ports.Fold`)."""

    kinds = frozenset(
        {
            DeviceRegistered.KIND,
            DeviceRetired.KIND,
            CertificateIssued.KIND,
            CertificateRevoked.KIND,
            ClaimCreated.KIND,
            HoldPlaced.KIND,
            HoldReleased.KIND,
            HoldExpired.KIND,
        },
    )

    def __init__(self, engine_name: str, clock: Clock) -> None:
        self._engine_name = engine_name
        self._clock = clock
        self._changes: list[Change] = []

    def on_change(self, call: Change) -> None:
        """Be told of each device whose evidence or decision changed, as its transaction commits."""
        self._changes.append(call)

    async def fold(self, tx: Tx, fact: PendingFact) -> Sequence[NewFact]:
        """Take the fact in; answer with `trust.decided` when the state changed."""
        kind, _, name = fact.subject.partition("/")
        if kind != "device":
            return ()
        device = DeviceId(name)
        await self._row(tx, device, fact)
        await self._take(tx, device, fact)
        return await self.redecide(tx, device)

    async def _row(self, tx: Tx, device: DeviceId, fact: PendingFact) -> None:
        row = upsert(self._engine_name, tables.decision)
        empty = {"device_id": device, "state": TrustState.UNKNOWN, "reasons": [], "since": fact.at}
        await tx.execute(row.values(empty).on_conflict_do_nothing())

    async def _take(self, tx: Tx, device: DeviceId, fact: PendingFact) -> None:
        match fact.kind:
            case DeviceRegistered.KIND:
                await self._set(tx, device, registered=fact.id)
            case DeviceRetired.KIND:
                await self._set(tx, device, retired=fact.id)
            case ClaimCreated.KIND:
                if await self._state(tx, device) is TrustState.REVOKED:
                    await self._set(tx, device, readmitted=fact.id)
            case CertificateIssued.KIND:
                issued = CertificateIssued.of(fact)
                await self._set(tx, device, readmitted=None)
                await tx.execute(
                    insert(tables.certificate).values(
                        fingerprint=issued.fingerprint,
                        device_id=device,
                        serial=issued.serial,
                        not_before=issued.not_before,
                        not_after=issued.not_after,
                        fact=fact.id,
                    ),
                )
            case CertificateRevoked.KIND:
                revoked = CertificateRevoked.of(fact)
                table = tables.certificate
                of = update(table).where(table.c.fingerprint == revoked.fingerprint)
                await tx.execute(of.values(revoked=revoked.reason, fact=fact.id))
            case HoldPlaced.KIND:
                placed = HoldPlaced.of(fact)
                await self._set(
                    tx,
                    device,
                    hold_reason=placed.reason,
                    hold_actor=fact.actor,
                    hold_placed_at=fact.at,
                    hold_expires_at=placed.expires_at,
                    hold_fact=fact.id,
                )
            case _:
                await self._set(tx, device, hold_fact=None, hold_expires_at=None)

    async def _set(self, tx: Tx, device: DeviceId, **values: Any) -> None:
        table = tables.decision
        await tx.execute(update(table).where(table.c.device_id == device).values(**values))

    async def _state(self, tx: Tx, device: DeviceId) -> TrustState:
        query = select(tables.decision.c.state).where(tables.decision.c.device_id == device)
        return TrustState((await tx.execute(query)).scalar_one())

    async def redecide(self, tx: Tx, device: DeviceId) -> Sequence[NewFact]:
        """Decide anew from the evidence; the answer is the fact of the change, if there is one."""
        now = self._clock.now()
        before = await self._state(tx, device)
        verdict = decide(await tables.standing(tx.conn, device), now)
        values: dict[str, Any] = {
            "state": verdict.state,
            "reasons": [asdict(r) for r in verdict.reasons],
            "review_at": verdict.review_at,
        }
        if verdict.state is not before:
            values["since"] = now
        await self._set(tx, device, **values)
        for call in self._changes:
            tx.on_commit(lambda call=call: call(device))  # type: ignore[misc]  # the default binds now
        if verdict.state is before:
            return ()
        reasons = [r.text for r in verdict.reasons]
        return (TrustDecided(before, verdict.state, reasons).fact(about_device(device), PLATFORM),)


class Trust:
    """Answers for decisions, places and ends holds, and looks again when time alone may have changed one."""

    def __init__(self, store: Store, log: EventLog, clock: Clock, fold: TrustFold) -> None:
        self._store = store
        self._log = log
        self._clock = clock
        self._fold = fold
        self._wake = asyncio.Event()
        fold.on_change(lambda _: self._wake.set())

    async def decision(self, device: DeviceId) -> TrustDecision:
        """The decision about a device. Raises NotFound for one that trust never heard of."""
        found = await self.decisions([device])
        if device not in found:
            raise NotFound(f"no device {device}", remedy="list devices with `ironroot device list`", code="no-device")
        return found[device]

    async def decisions(self, devices: Collection[DeviceId]) -> dict[DeviceId, TrustDecision]:
        """The decisions about these devices, those that trust knows."""
        async with self._store.read() as conn:
            return await tables.decisions(conn, devices)

    async def counts(self) -> dict[TrustState, int]:
        """How many devices in service are in each state."""
        async with self._store.read() as conn:
            return await tables.counts(conn)

    async def late(self, limit: int) -> dict[DeviceId, datetime]:
        """Trusted devices that should long have renewed their certificate, with its end; the most urgent first."""
        async with self._store.read() as conn:
            return await tables.late(conn, self._clock.now(), limit)

    async def quarantine(self, device: DeviceId, reason: str, actor: str, expires_at: datetime | None) -> TrustDecision:
        """Hold a device: nothing but its own status is open to it. A second hold replaces the first.

        Raises NotFound; Conflict for an end that is past, or where the device is revoked.
        """
        if expires_at is not None and expires_at <= self._clock.now():
            raise Conflict("a hold cannot end in the past", remedy="give a later end, or none")
        if (await self.decision(device)).state is TrustState.REVOKED:
            raise Conflict(f"{device} is revoked, which is stricter than quarantine", code="revoked")
        async with self._store.write() as tx:
            await self._log.append(tx, HoldPlaced(reason, expires_at).fact(about_device(device), actor))
        return await self.decision(device)

    async def release(self, device: DeviceId, reason: str, actor: str) -> TrustDecision:
        """End a device's hold. Raises NotFound; Conflict where there is none."""
        async with self._store.write() as tx:
            standing = await tables.standing(tx.conn, device)
            if standing.hold is None:
                raise Conflict(
                    f"{device} is not quarantined", remedy="`ironroot device show` gives the reasons", code="no-hold"
                )
            await self._log.append(tx, HoldReleased(reason).fact(about_device(device), actor))
        return await self.decision(device)

    async def review_due(self) -> int:
        """Decide anew where time has come; returns how many devices were looked at (at most 100)."""
        now = self._clock.now()
        async with self._store.read() as conn:
            devices = await tables.due(conn, now, 100)
        for device in devices:
            async with self._store.write() as tx:
                hold = (await tables.standing(tx.conn, device)).hold
                if hold is not None and hold.expires_at is not None and hold.expires_at <= now:
                    await self._log.append(tx, HoldExpired(hold.reason).fact(about_device(device), PLATFORM))
                else:
                    for fact in await self._fold.redecide(tx, device):
                        await self._log.append(tx, fact)
        return len(devices)

    async def run(self) -> None:
        """Review at each instant a decision may change, until cancelled."""
        while True:
            self._wake.clear()
            try:
                if await self.review_due():
                    continue
                async with self._store.read() as conn:
                    at = await tables.next_review(conn)
            except Fault as e:
                _log.warning("decisions could not be looked at again", error=e.message)
                await asyncio.sleep(RETRY_S)
                continue
            wait = MOST_WAIT_S if at is None else (at - self._clock.now()).total_seconds()
            try:
                await asyncio.wait_for(self._wake.wait(), min(max(wait, 0.01), MOST_WAIT_S))
            except TimeoutError:
                continue
