"""Which devices are connected, from the broker's own account of it: events as they happen, and whole lists at start
and after every gap. Memory: one entry per connection. No I/O here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from ironroot.core.clock import instant
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.admission import shown
from ironroot.domains.messaging.model import Connection

MOST_RECENT = 10_000
"""Ended connections remembered, because the log speaks of them a moment later."""

Key = tuple[str, int]


class _Server(msgspec.Struct):
    id: str


class _Client(msgspec.Struct):
    id: int
    start: str
    host: str = ""
    user: str = ""
    client_type: str = ""
    client_id: str = ""


class ConnectionEvent(msgspec.Struct):
    """`$SYS.ACCOUNT.DEV.CONNECT` and `DISCONNECT`."""

    server: _Server
    client: _Client
    reason: str = ""


class _Row(msgspec.Struct):
    cid: int
    start: str
    type: str = ""
    ip: str = ""
    authorized_user: str = ""
    mqtt_client: str = ""


class _Rows(msgspec.Struct):
    connections: list[_Row]
    total: int = 0


class Listing(msgspec.Struct):
    """An answer to `CONNZ`."""

    server: _Server
    data: _Rows


class Presence:
    """The connections of devices."""

    def __init__(self) -> None:
        self._of: dict[DeviceId, dict[Key, Connection]] = {}
        self._device: dict[Key, DeviceId] = {}
        self._client_ids: dict[Key, str] = {}
        self._added: dict[Key, int] = {}
        self.additions = 0
        """How many connections were ever added: a mark in time for `missing`."""
        self._recent: OrderedDict[Key, tuple[DeviceId, str]] = OrderedDict()

    def __len__(self) -> int:
        """How many different devices are connected."""
        return len(self._of)

    def __contains__(self, device: DeviceId) -> bool:
        return device in self._of

    def __iter__(self) -> Iterator[DeviceId]:
        return iter(self._of)

    def connections(self, device: DeviceId) -> list[Connection]:
        """The device's connections, oldest first."""
        return sorted(self._of.get(device, {}).values(), key=lambda c: c.since)

    def whose(self, cid: int, server: str | None = None) -> tuple[DeviceId, Connection | None] | None:
        """Whose connection that is, or was a moment ago; on whichever server where none is named."""
        keys = [(server, cid)] if server is not None else [(s, cid) for s in self.servers()]
        for key in keys:
            device = self._device.get(key) or self._recent.get(key, ("", ""))[0]
            if device:
                return DeviceId(device), self._of.get(DeviceId(device), {}).get(key)
        return None

    def servers(self) -> set[str]:
        """The servers known to hold, or to have held, connections."""
        return {server for server, _ in self._device} | {server for server, _ in self._recent}

    def client_ids(self, device: DeviceId) -> set[str]:
        """The client ids, as the broker knows them, of the device's connections now and a moment ago."""
        now = {self._client_ids[key] for key in self._of.get(device, {})}
        return now | {client_id for of, client_id in self._recent.values() if of == device}

    def add(self, device: DeviceId, connection: Connection, client_id: str) -> bool:
        """A connection is there. False when that was known, or it is known to have ended."""
        key = (connection.server, connection.cid)
        if key in self._device or key in self._recent:
            return False
        self._device[key] = device
        self._client_ids[key] = client_id
        self.additions += 1
        self._added[key] = self.additions
        self._of.setdefault(device, {})[key] = connection
        return True

    def remove(self, server: str, cid: int) -> tuple[DeviceId, Connection] | None:
        """A connection ended. None when it was not known."""
        key = (server, cid)
        device = self._device.pop(key, None)
        self._added.pop(key, None)
        self._recent[key] = (device or DeviceId(""), self._client_ids.pop(key, ""))
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)
        if device is None:
            return None
        of = self._of[device]
        connection = of.pop(key)
        if not of:
            del self._of[device]
        return device, connection

    def missing(self, listed: Iterable[Key], mark: int) -> list[Key]:
        """Connections added up to `mark` that a whole list, asked for after it, does not hold."""
        there = set(listed)
        return [key for key, added in self._added.items() if added <= mark and key not in there]


def from_event(event: ConnectionEvent) -> tuple[DeviceId, Connection, str] | None:
    """The device, its connection and the true client id; None for what is no device."""
    client = event.client
    if client.client_type != "mqtt" or not client.user:
        return None
    connection = Connection(event.server.id, client.id, shown(client.client_id), client.host, _at(client.start))
    return DeviceId(client.user), connection, client.client_id


def from_listing(listing: Listing) -> list[tuple[DeviceId, Connection, str]]:
    """The devices' connections in a listing."""
    server = listing.server.id
    return [
        (
            DeviceId(r.authorized_user),
            Connection(server, r.cid, shown(r.mqtt_client), r.ip, _at(r.start)),
            r.mqtt_client,
        )
        for r in listing.data.connections
        if r.type == "mqtt" and r.authorized_user
    ]


def _at(text: str) -> datetime:
    """Go writes nanoseconds; instants have microseconds."""
    head, dot, tail = text.removesuffix("Z").partition(".")
    return instant(f"{head}.{tail[:6]:0<6}Z" if dot else f"{head}Z")
