"""What trust keeps: each device's evidence and the decision it led to. A fold of facts, rebuildable from them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Select,
    String,
    Table,
    Text,
    func,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from ironroot.core.ids import DeviceId, FactId, Fingerprint
from ironroot.store.tables import metadata
from ironroot.store.types import Instant, microseconds
from ironroot.trust.model import CertificateStanding, Hold, Reason, Standing, TrustDecision, TrustState

decision = Table(
    "trust_decision",
    metadata,
    Column("device_id", String(63), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("since", Instant, nullable=False),
    Column("review_at", Instant, index=True),
    Column("registered", String(40)),
    Column("retired", String(40)),
    Column("readmitted", String(40)),
    Column("hold_reason", Text),
    Column("hold_actor", String(80)),
    Column("hold_placed_at", Instant),
    Column("hold_expires_at", Instant),
    Column("hold_fact", String(40)),
    Index("ix_trust_decision_state", "state", "device_id"),
)
certificate = Table(
    "trust_certificate",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("device_id", ForeignKey("trust_decision.device_id"), nullable=False, index=True),
    Column("serial", String(40), nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("not_after", Instant, nullable=False),
    Column("revoked", String(32)),
    Column("fact", String(40), nullable=False),
)

MOST_CERTIFICATES = 64
"""Certificates weighed per device, the newest: only they can be valid, for older ones are superseded."""


async def standing(conn: AsyncConnection, device: DeviceId) -> Standing:
    """The device's evidence."""
    row = (await conn.execute(select(decision).where(decision.c.device_id == device))).mappings().first()
    if row is None:
        return Standing(device)
    query = (
        select(certificate)
        .where(certificate.c.device_id == device)
        .order_by(certificate.c.not_before.desc())
        .limit(MOST_CERTIFICATES)
    )
    hold = None
    if row["hold_fact"] is not None:
        hold = Hold(
            row["hold_reason"],
            row["hold_actor"],
            row["hold_placed_at"],
            row["hold_expires_at"],
            FactId(row["hold_fact"]),
        )
    return Standing(
        device=device,
        registered=row["registered"],
        retired=row["retired"],
        readmitted=row["readmitted"],
        certificates=tuple(_certificate(c) for c in (await conn.execute(query)).mappings()),
        hold=hold,
    )


def _certificate(row: Any) -> CertificateStanding:
    return CertificateStanding(
        fingerprint=Fingerprint(row["fingerprint"]),
        serial=row["serial"],
        not_before=row["not_before"],
        not_after=row["not_after"],
        revoked=row["revoked"],
        fact=FactId(row["fact"]),
    )


def decided(row: Any) -> TrustDecision:
    """A row of `trust_decision` as a decision."""
    return TrustDecision(
        device=DeviceId(row["device_id"]),
        state=TrustState(row["state"]),
        reasons=tuple(Reason(**r) for r in row["reasons"]),
        since=row["since"],
        review_at=row["review_at"],
    )


async def decisions(conn: AsyncConnection, devices: Collection[DeviceId]) -> dict[DeviceId, TrustDecision]:
    """The decisions about these devices (at most a page of them)."""
    query = select(decision).where(decision.c.device_id.in_(devices))
    return {d.device: d for d in map(decided, (await conn.execute(query)).mappings())}


def devices_in(state: TrustState) -> Select[Any]:
    """A query of the devices in a state, to narrow a list by."""
    return select(decision.c.device_id).where(decision.c.state == state)


async def counts(conn: AsyncConnection) -> dict[TrustState, int]:
    """How many devices are in each state."""
    query = select(decision.c.state, func.count()).where(decision.c.retired.is_(None)).group_by(decision.c.state)
    found = {TrustState(row[0]): row[1] for row in await conn.execute(query)}
    return {state: found.get(state, 0) for state in TrustState}


async def late(conn: AsyncConnection, now: datetime, limit: int) -> dict[DeviceId, datetime]:
    """Trusted devices whose longest-lived certificate has less than a fifth of its life left, the nearest end first.

    A device renews at two thirds; what is past four fifths has tried in vain, or not at all.
    """
    start, end = (type_coerce(certificate.c[name], BigInteger) for name in ("not_before", "not_after"))
    at = microseconds(now)
    query = (
        select(decision.c.device_id, decision.c.review_at)
        .join(certificate, certificate.c.device_id == decision.c.device_id)
        .where(
            decision.c.state == TrustState.TRUSTED,
            certificate.c.not_after == decision.c.review_at,
            (end - at) * 5 < end - start,
        )
        .order_by(decision.c.review_at)
        .limit(limit)
    )
    return {DeviceId(row.device_id): row.review_at for row in await conn.execute(query)}


async def due(conn: AsyncConnection, now: datetime, limit: int) -> list[DeviceId]:
    """Devices whose decision time alone may have changed."""
    query = select(decision.c.device_id).where(decision.c.review_at <= now).order_by(decision.c.review_at).limit(limit)
    return [DeviceId(i) for i in (await conn.execute(query)).scalars()]


async def next_review(conn: AsyncConnection) -> datetime | None:
    """When time alone may change a decision next."""
    first: datetime | None = (await conn.execute(select(func.min(decision.c.review_at)))).scalar()
    return first
