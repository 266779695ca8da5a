"""Tables and queries of the inventory. Keyset order: device id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, Select, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ironroot.core.ids import DeviceId
from ironroot.domains.inventory.model import Device, Filter, Group, Lifecycle
from ironroot.store.tables import metadata
from ironroot.store.types import Instant

device = Table(
    "device",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("type", String(63), nullable=False, index=True),
    Column("labels", JSON, nullable=False),
    Column("lifecycle", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
)
device_group = Table(
    "device_group",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("created_at", Instant, nullable=False),
)
device_group_member = Table(
    "device_group_member",
    metadata,
    Column("device_id", ForeignKey("device.id"), primary_key=True),
    Column("group_name", ForeignKey("device_group.name"), primary_key=True, index=True),
)

_IN_STATEMENT = 500  # parameters per IN list


def _filtered(wanted: Filter) -> Select[Any]:
    query = select(device)
    if wanted.q:
        query = query.where(device.c.id.contains(wanted.q, autoescape=True))
    if wanted.type:
        query = query.where(device.c.type == wanted.type)
    if wanted.lifecycle:
        query = query.where(device.c.lifecycle == wanted.lifecycle)
    if wanted.group:
        member = device_group_member
        query = query.where(
            device.c.id.in_(select(member.c.device_id).where(member.c.group_name == wanted.group)),
        )
    return query.order_by(device.c.id)


async def devices(
    conn: AsyncConnection,
    wanted: Filter,
    after: str | None,
    limit: int,
    within: Select[Any] | None = None,
) -> list[Device]:
    """At most `limit` devices with ids after `after`; `within` is a query of device ids they must be among."""
    query = _filtered(wanted)
    if within is not None:
        query = query.where(device.c.id.in_(within))
    rows: list[Any] = []
    left = None if wanted.only is None else sorted(i for i in wanted.only if after is None or i > after)
    while len(rows) < limit and left != []:
        part = query.limit(limit)
        if left is not None:
            part, left = part.where(device.c.id.in_(left[:_IN_STATEMENT])), left[_IN_STATEMENT:]
        elif after is not None:
            part = part.where(device.c.id > after)
        found = (await conn.execute(part)).mappings().all()
        rows.extend(row for row in found if row["id"] not in wanted.without)
        if left is None:
            if len(found) < limit:
                break
            after = found[-1]["id"]
    return await _with_groups(conn, rows[:limit])


async def one(conn: AsyncConnection, device_id: DeviceId) -> Device | None:
    """The device, or None."""
    row = (await conn.execute(select(device).where(device.c.id == device_id))).mappings().first()
    return (await _with_groups(conn, [row]))[0] if row is not None else None


async def counts_by_type(conn: AsyncConnection) -> dict[str, int]:
    """How many devices of each type are in service."""
    query = select(device.c.type, func.count()).where(device.c.lifecycle != Lifecycle.RETIRED).group_by(device.c.type)
    return {row[0]: row[1] for row in await conn.execute(query)}


async def groups(conn: AsyncConnection, after: str | None, limit: int, name: str | None = None) -> list[Group]:
    """At most `limit` groups with names after `after` (or the one named), with their sizes."""
    size = func.count(device_group_member.c.device_id)
    query = (
        select(device_group.c.name, device_group.c.created_at, size.label("devices"))
        .outerjoin(device_group_member, device_group_member.c.group_name == device_group.c.name)
        .group_by(device_group.c.name, device_group.c.created_at)
        .order_by(device_group.c.name)
        .limit(limit)
    )
    if after is not None:
        query = query.where(device_group.c.name > after)
    if name is not None:
        query = query.where(device_group.c.name == name)
    return [Group(**row) for row in (await conn.execute(query)).mappings()]


async def _with_groups(conn: AsyncConnection, rows: Iterable[Any]) -> list[Device]:
    rows = list(rows)
    of: defaultdict[str, list[str]] = defaultdict(list)
    ids = [row["id"] for row in rows]
    member = device_group_member
    for start in range(0, len(ids), _IN_STATEMENT):
        part = ids[start : start + _IN_STATEMENT]
        query = select(member).where(member.c.device_id.in_(part)).order_by(member.c.group_name)
        for row in (await conn.execute(query)).mappings():
            of[row["device_id"]].append(row["group_name"])
    return [
        Device(
            id=DeviceId(row["id"]),
            type=row["type"],
            labels=row["labels"],
            lifecycle=Lifecycle(row["lifecycle"]),
            created_at=row["created_at"],
            groups=tuple(of[row["id"]]),
        )
        for row in rows
    ]
