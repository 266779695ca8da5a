"""Desired configurations and commands: tables and queries."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, String, Table, Text, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ironroot.core.ids import CommandId, DeviceId
from ironroot.domains.messaging import telemetry_tables  # noqa: F401 (one import makes the metadata whole)
from ironroot.domains.messaging.model import Command, CommandState, ConfigStatus, DesiredConfig
from ironroot.store.engine import Tx
from ironroot.store.tables import metadata
from ironroot.store.types import Big, Instant

desired_config = Table(
    "desired_config",
    metadata,
    Column("device_id", String(63), primary_key=True),
    Column("version", Big, nullable=False),
    Column("config", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("applied_version", Big),
    Column("detail", Text, nullable=False, server_default=""),
    Column("updated_at", Instant, nullable=False),
)
command = Table(
    "command",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("device_id", String(63), nullable=False),
    Column("name", String(64), nullable=False),
    Column("args", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("result", Text),
    Index("ix_command_device", "device_id", "created_at", "id"),
    Index("ix_command_due", "state", "expires_at"),
)


def as_config(row: Any) -> DesiredConfig:
    """A row of `desired_config`."""
    return DesiredConfig(
        device=DeviceId(row["device_id"]),
        version=row["version"],
        config=json.loads(row["config"]),
        status=ConfigStatus(row["status"]),
        applied_version=row["applied_version"],
        detail=row["detail"],
        updated_at=row["updated_at"],
    )


def as_command(row: Any) -> Command:
    """A row of `command`."""
    return Command(
        id=CommandId(row["id"]),
        device=DeviceId(row["device_id"]),
        name=row["name"],
        args=json.loads(row["args"]),
        state=CommandState(row["state"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        ended_at=row["ended_at"],
        result=None if row["result"] is None else json.loads(row["result"]),
    )


async def config_of(conn: AsyncConnection, device: DeviceId) -> DesiredConfig | None:
    """The desired configuration of a device, if it has one."""
    query = select(desired_config).where(desired_config.c.device_id == device)
    row = (await conn.execute(query)).mappings().first()
    return None if row is None else as_config(row)


async def command_by_id(conn: AsyncConnection, id_: CommandId) -> Command | None:
    """One command."""
    row = (await conn.execute(select(command).where(command.c.id == id_))).mappings().first()
    return None if row is None else as_command(row)


async def commands_of(
    conn: AsyncConnection, device: DeviceId, before: tuple[datetime, str] | None, limit: int
) -> list[Command]:
    """Commands to a device, newest first, older than `before` (creation time, id)."""
    query = select(command).where(command.c.device_id == device)
    if before is not None:
        at, id_ = before
        query = query.where(
            (command.c.created_at < at) | ((command.c.created_at == at) & (command.c.id < id_)),
        )
    query = query.order_by(command.c.created_at.desc(), command.c.id.desc()).limit(limit)
    return [as_command(row) for row in (await conn.execute(query)).mappings()]


async def pending_count(conn: AsyncConnection, device: DeviceId) -> int:
    """How many commands wait for the device's answer."""
    query = (
        select(func.count())
        .select_from(command)
        .where(command.c.device_id == device, command.c.state == CommandState.PENDING)
    )
    return int((await conn.execute(query)).scalar_one())


async def outstanding(
    conn: AsyncConnection, devices: Collection[DeviceId], now: datetime, limit: int
) -> tuple[Sequence[DesiredConfig], Sequence[Command]]:
    """What these devices are still to hear: configurations and commands, oldest first, at most `limit` commands."""
    configs = select(desired_config).where(
        desired_config.c.device_id.in_(devices), desired_config.c.status == ConfigStatus.PENDING
    )
    commands = (
        select(command)
        .where(
            command.c.device_id.in_(devices),
            command.c.state == CommandState.PENDING,
            command.c.expires_at > now,
        )
        .order_by(command.c.created_at, command.c.id)
        .limit(limit)
    )
    return (
        [as_config(row) for row in (await conn.execute(configs)).mappings()],
        [as_command(row) for row in (await conn.execute(commands)).mappings()],
    )


async def overdue(conn: AsyncConnection, now: datetime, limit: int) -> list[Command]:
    """Pending commands past their time, the longest first."""
    query = (
        select(command)
        .where(command.c.state == CommandState.PENDING, command.c.expires_at <= now)
        .order_by(command.c.expires_at)
        .limit(limit)
    )
    return [as_command(row) for row in (await conn.execute(query)).mappings()]


async def end(tx: Tx, id_: CommandId, state: CommandState, at: datetime, result: str | None) -> bool:
    """Give a pending command its final state. False when it had one already: the first answer counts."""
    done = await tx.execute(
        update(command)
        .where(command.c.id == id_, command.c.state == CommandState.PENDING)
        .values(state=state, ended_at=at, result=result)
    )
    return bool(done.rowcount)
