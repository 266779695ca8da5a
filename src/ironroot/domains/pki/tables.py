"""The rows of the PKI and the queries on them. Every list has a limit and a cursor (`number`, newest first)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Row, Table, Text, and_, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ironroot.core.ids import ClaimId, DeviceId, Fingerprint
from ironroot.domains.pki.model import CertificateRecord, Claim, ClaimState, Reason, Status
from ironroot.store.engine import Tx
from ironroot.store.sql import upsert
from ironroot.store.tables import metadata
from ironroot.store.types import Big, Instant

ca = Table(
    "ca",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revision", Integer, nullable=False),
)
"""Certification authorities. `revision` counts the revocations of what they signed. The key is in the key ring."""

crl = Table(
    "crl",
    metadata,
    Column("ca", ForeignKey("ca.name"), primary_key=True),
    Column("number", Big, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("der", LargeBinary, nullable=False),
    Column("this_update", Instant, nullable=False),
    Column("next_update", Instant, nullable=False),
)
"""The newest list of each CA; `revision` is the CA's it was made from."""

certificate = Table(
    "certificate",
    metadata,
    Column("number", Big, primary_key=True),
    Column("serial", Text, nullable=False, unique=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("device", Text),
    Column("profile", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("key_type", Text, nullable=False),
    Column("spki", Text, nullable=False, index=True),
    Column("not_before", Instant, nullable=False),
    Column("not_after", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("reason", Text),
    Column("der", LargeBinary, nullable=False),
    Index("ix_certificate_device_number", "device", "number"),
    Index("ix_certificate_issuer_revoked", "issuer", "revoked_at", "number"),
)

public_key = Table(
    "public_key",
    metadata,
    Column("spki", Text, primary_key=True),
    Column("owner", Text, nullable=False),
)
"""Whose a public key is, from its first certificate on: a key belongs to one device, or to one CA or server."""

holder = Table(
    "certificate_holder",
    metadata,
    Column("device", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("revoked_at", Instant),
)
"""One row per device with a claim or certificate. Writing `version` first in a transaction is the device's lock."""

claim = Table(
    "claim",
    metadata,
    Column("number", Big, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("device", Text, nullable=False, index=True),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("used_at", Instant),
    Column("voided_at", Instant),
)

server_identity = Table(
    "server_identity",
    metadata,
    Column("names", Text, primary_key=True),
    Column("serial", Text, nullable=False),
    Column("private", LargeBinary, nullable=False),
    Column("renew_at", Instant, nullable=False),
)
"""The certificate and sealed key of the server with these names (canonical JSON)."""


def record(row: Row[Any]) -> CertificateRecord:
    """A row of `certificate` as a value."""
    return CertificateRecord(
        number=row.number,
        serial=row.serial,
        fingerprint=Fingerprint(row.fingerprint),
        device=None if row.device is None else DeviceId(row.device),
        profile=row.profile,
        issuer=row.issuer,
        subject=row.subject,
        key_type=row.key_type,
        spki=row.spki,
        not_before=row.not_before,
        not_after=row.not_after,
        revoked_at=row.revoked_at,
        reason=None if row.reason is None else Reason(row.reason),
        der=row.der,
    )


def claim_of(row: Row[Any]) -> Claim:
    """A row of `claim` as a value."""
    return Claim(
        number=row.number,
        id=ClaimId(row.id),
        device=DeviceId(row.device),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        used_at=row.used_at,
        voided_at=row.voided_at,
    )


async def lock(tx: Tx, engine_name: str, device: DeviceId) -> datetime | None:
    """Let no other transaction about this device run until this one ends. Returns when it was revoked, if it is."""
    insert = upsert(engine_name, holder).values(device=device, version=1)
    locked = insert.on_conflict_do_update(
        index_elements=[holder.c.device], set_={"version": holder.c.version + 1}
    ).returning(holder.c.revoked_at)
    found: datetime | None = (await tx.execute(locked)).scalar_one()
    return found


async def readmit(tx: Tx, device: DeviceId) -> None:
    """The device is back: it enrolled with a claim made after its revocation."""
    await tx.execute(update(holder).where(holder.c.device == device).values(revoked_at=None))


async def owner_of_key(tx: Tx, engine_name: str, spki: str, owner: str) -> tuple[str, bool]:
    """Whose the key is, and whether it is new: `owner`'s from now on. Two asking at once get the same answer."""
    taken = upsert(engine_name, public_key).values(spki=spki, owner=owner).on_conflict_do_nothing()
    if (await tx.execute(taken)).rowcount == 1:
        return owner, True
    found: str = (await tx.execute(select(public_key.c.owner).where(public_key.c.spki == spki))).scalar_one()
    return found, False


async def valid_of(conn: AsyncConnection, device: DeviceId, now: datetime) -> list[CertificateRecord]:
    """The device's certificates that are neither revoked nor expired, newest first (a handful; at most 1,000)."""
    rows = await conn.execute(
        select(certificate)
        .where(certificate.c.device == device, _status(Status.VALID, now))
        .order_by(certificate.c.number.desc())
        .limit(1000)
    )
    return [record(row) for row in rows]


async def certificates(
    conn: AsyncConnection,
    *,
    now: datetime,
    device: DeviceId | None = None,
    status: Status | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[CertificateRecord]:
    """A page of certificates, newest first."""
    query = select(certificate).order_by(certificate.c.number.desc()).limit(limit)
    if device is not None:
        query = query.where(certificate.c.device == device)
    if status is not None:
        query = query.where(_status(status, now))
    if before is not None:
        query = query.where(certificate.c.number < before)
    return [record(row) for row in await conn.execute(query)]


async def newest(conn: AsyncConnection, devices: Sequence[DeviceId]) -> dict[DeviceId, CertificateRecord]:
    """The newest certificate of each of these devices (one page of them), whatever its status."""
    of_each = (
        select(func.max(certificate.c.number)).where(certificate.c.device.in_(devices)).group_by(certificate.c.device)
    )
    rows = await conn.execute(select(certificate).where(certificate.c.number.in_(of_each)))
    return {DeviceId(row.device): record(row) for row in rows}


async def claims(
    conn: AsyncConnection,
    *,
    now: datetime,
    device: DeviceId | None = None,
    state: ClaimState | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Claim]:
    """A page of claims, newest first."""
    query = select(claim).order_by(claim.c.number.desc()).limit(limit)
    if device is not None:
        query = query.where(claim.c.device == device)
    if state is ClaimState.OPEN:
        query = query.where(open_claim(now))
    if before is not None:
        query = query.where(claim.c.number < before)
    return [claim_of(row) for row in await conn.execute(query)]


def open_claim(now: datetime) -> Any:
    """The condition of a claim that may be used."""
    return and_(claim.c.used_at.is_(None), claim.c.voided_at.is_(None), claim.c.expires_at > now)


def _status(status: Status, now: datetime) -> Any:
    match status:
        case Status.REVOKED:
            return certificate.c.revoked_at.is_not(None)
        case Status.VALID:
            return and_(certificate.c.revoked_at.is_(None), certificate.c.not_after >= now)
        case Status.EXPIRED:
            return and_(certificate.c.revoked_at.is_(None), certificate.c.not_after < now)
