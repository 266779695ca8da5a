"""Registers, groups, lists and retires devices: load, decide, append."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, delete, insert, update

from ironroot.core.clock import Clock
from ironroot.core.errors import Conflict, NotFound
from ironroot.core.ids import DeviceId, plain_name
from ironroot.domains.inventory import tables
from ironroot.domains.inventory.facts import DeviceGrouped, DeviceRegistered, DeviceRetired
from ironroot.domains.inventory.model import Device, Filter, Group, Lifecycle, labels
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import about_device
from ironroot.store.engine import Store, Tx
from ironroot.store.sql import upsert

DEFAULT_TYPE = "device"


class Inventory:
    """The devices of this installation."""

    def __init__(self, store: Store, log: EventLog, clock: Clock) -> None:
        self._store = store
        self._log = log
        self._clock = clock

    async def register(
        self,
        device: DeviceId,
        actor: str,
        *,
        type_: str = DEFAULT_TYPE,
        given_labels: Mapping[str, str] | None = None,
        groups: tuple[str, ...] = (),
    ) -> Device:
        """A new device. Raises Conflict when the id is taken, Malformed for a bad type or label."""
        async with self._store.write() as tx:
            if await tables.one(tx.conn, device) is not None:
                raise Conflict(
                    f"device {device} is registered already", remedy="choose another id", code="device-exists"
                )
            await self._insert(tx, device, actor, type_, labels(given_labels or {}))
            for group in groups:
                await self._join(tx, device, group, actor)
        return await self.device(device)

    async def ensure(self, tx: Tx, device: DeviceId, actor: str, *, type_: str | None = None) -> Device:
        """The device, registered now if it was not. Raises Conflict when it is retired."""
        known = await tables.one(tx.conn, device)
        if known is None:
            await self._insert(tx, device, actor, type_ or DEFAULT_TYPE, {})
            known = await tables.one(tx.conn, device)
        if known is None or known.lifecycle is Lifecycle.RETIRED:
            raise Conflict(
                f"device {device} is retired",
                remedy="a retired device never returns: register the hardware under a new id",
                code="device-retired",
            )
        return known

    async def _insert(self, tx: Tx, device: DeviceId, actor: str, type_: str, given: dict[str, str]) -> None:
        values = {
            "id": device,
            "type": plain_name(type_, "type"),
            "labels": given,
            "lifecycle": Lifecycle.REGISTERED,
            "created_at": self._clock.now(),
        }
        await tx.execute(insert(tables.device).values(values))
        await self._log.append(tx, DeviceRegistered(type=type_, labels=given).fact(about_device(device), actor))

    async def retire(self, device: DeviceId, reason: str, actor: str) -> Device:
        """End a device's life, for good. Raises NotFound; does nothing the second time."""
        async with self._store.write() as tx:
            done = await tx.execute(
                update(tables.device)
                .where(tables.device.c.id == device, tables.device.c.lifecycle != Lifecycle.RETIRED)
                .values(lifecycle=Lifecycle.RETIRED),
            )
            if done.rowcount:
                await self._log.append(tx, DeviceRetired(reason=reason).fact(about_device(device), actor))
        return await self.device(device)

    async def create_group(self, name: str) -> Group:
        """A group; the same one when it exists."""
        plain_name(name, "group")
        async with self._store.write() as tx:
            await self._ensure_group(tx, name)
        async with self._store.read() as conn:
            return (await tables.groups(conn, None, 1, name=name))[0]

    async def _ensure_group(self, tx: Tx, name: str) -> None:
        group = upsert(self._store.engine_name, tables.device_group)
        await tx.execute(group.values(name=name, created_at=self._clock.now()).on_conflict_do_nothing())

    async def _join(self, tx: Tx, device: DeviceId, group: str, actor: str) -> None:
        plain_name(group, "group")
        await self._ensure_group(tx, group)
        member = upsert(self._store.engine_name, tables.device_group_member)
        done = await tx.execute(member.values(device_id=device, group_name=group).on_conflict_do_nothing())
        if done.rowcount:
            await self._log.append(tx, DeviceGrouped(group=group, member=True).fact(about_device(device), actor))

    async def join(self, device: DeviceId, group: str, actor: str) -> Device:
        """Put a device into a group, which is made if new. Raises NotFound for the device."""
        await self.device(device)
        async with self._store.write() as tx:
            await self._join(tx, device, group, actor)
        return await self.device(device)

    async def leave(self, device: DeviceId, group: str, actor: str) -> Device:
        """Take a device out of a group. Raises NotFound for the device."""
        await self.device(device)
        member = tables.device_group_member
        async with self._store.write() as tx:
            done = await tx.execute(
                delete(member).where(member.c.device_id == device, member.c.group_name == group),
            )
            if done.rowcount:
                await self._log.append(tx, DeviceGrouped(group=group, member=False).fact(about_device(device), actor))
        return await self.device(device)

    async def device(self, device: DeviceId) -> Device:
        """The device. Raises NotFound."""
        async with self._store.read() as conn:
            found = await tables.one(conn, device)
        if found is None:
            raise NotFound(f"no device {device}", remedy="list devices with `ironroot device list`", code="no-device")
        return found

    async def devices(
        self,
        wanted: Filter,
        after: str | None,
        limit: int,
        within: Select[Any] | None = None,
    ) -> list[Device]:
        """At most `limit` devices with ids after `after`, in order of id; `within`: among the ids this query gives."""
        async with self._store.read() as conn:
            return await tables.devices(conn, wanted, after, limit, within)

    async def groups(self, after: str | None, limit: int) -> list[Group]:
        """At most `limit` groups with names after `after`, in order of name."""
        async with self._store.read() as conn:
            return await tables.groups(conn, after, limit)

    async def counts_by_type(self) -> dict[str, int]:
        """How many devices of each type are in service."""
        async with self._store.read() as conn:
            return await tables.counts_by_type(conn)
