"""The platform's hand on the broker: who is connected, ending connections, speaking to devices, hearing of refusals,
violations and floods.

Invariant of `kick`: a connection whose admission was asked before the caller's commit does not outlive it. Those known
go at once; one that was still being admitted goes as it appears, or at the second look after the admission's time-out.
Connections begun after the kick were decided by what is committed, and stay.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from ironroot.adapters.nats import streams
from ironroot.adapters.nats.config import AUTH_TIMEOUT_S, StreamBounds
from ironroot.adapters.nats.connection import connect, request
from ironroot.adapters.nats.credentials import ACCOUNT, Credentials, Role
from ironroot.adapters.nats.logfile import Denied, LogFollower
from ironroot.adapters.nats.presence import ConnectionEvent, Listing, Presence, from_event, from_listing
from ironroot.adapters.nats.responder import Denial
from ironroot.adapters.nats.storage import LOOK_S, StorageState, StorageWatch
from ironroot.adapters.nats.streams import SESSIONS
from ironroot.adapters.nats.subjects import DENY, FLOOD, MESSAGES, REFUSED
from ironroot.core.clock import Clock
from ironroot.core.errors import Fault, Unavailable
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.model import Connection, Refusal, Violation
from ironroot.domains.messaging.ports import BrokerEvents

PAGE = 1024
RECONCILE_S = 300.0
LOG_POLL_S = 0.25
SECOND_LOOK_S = AUTH_TIMEOUT_S + 1.0
SKEW = timedelta(milliseconds=250)
MOST_KICKED = 50_000
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_log = structlog.get_logger(__name__)


class Flood(msgspec.Struct):
    """What `ir.flood` says."""

    device: str
    messages: int


class Broker:
    """A `Downlink` and a `Cutoff`. `listen` to it, then `start` it."""

    def __init__(
        self,
        credentials: Credentials,
        clock: Clock,
        *,
        bounds: StreamBounds,
        log_file: Path | None = None,
        store: Path | None = None,
        pid_file: Path | None = None,
    ) -> None:
        """With `log_file` denied publishes are seen; with `store` and `pid_file` a broker that could not write to its
        disk is ended once there is room, for its supervisor to start it again.
        """
        self._credentials = credentials
        self._clock = clock
        self._bounds = bounds
        self._log_file = log_file
        self._follower: LogFollower | None = None
        self._events: BrokerEvents | None = None
        self._app: Client | None = None
        self._sys: Client | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kicked: OrderedDict[DeviceId, datetime] = OrderedDict()
        self._listing: asyncio.Lock = asyncio.Lock()
        self.presence = Presence()
        self.storage = StorageWatch(self._ask_app, store, pid_file)

    # --- life

    def listen(self, events: BrokerEvents) -> None:
        """Who is told what happens at the door."""
        self._events = events

    async def start(self) -> None:
        """Connect, make the streams and consumers exist (before that the door lets nobody in), learn who is there.

        Raises Unavailable; it may then be called again.
        """
        try:
            await self._begin()
        except Unavailable:
            await self.close()
            raise
        self._spawn(self._every(RECONCILE_S, self._reconcile))
        self._spawn(self._every(LOOK_S, self.storage.look))
        if self._log_file is not None:
            self._follower = LogFollower(self._log_file)
            self._spawn(self._every(LOG_POLL_S, self._read_log))

    async def _begin(self) -> None:
        self._app = await connect(self._credentials, Role.APP, on_reconnect=self._mend)
        self._sys = await connect(self._credentials, Role.SYS, on_reconnect=self._reconcile)
        for subject, handle in (
            ("$SYS.ACCOUNT.DEV.CONNECT", self._on_connect),
            ("$SYS.ACCOUNT.DEV.DISCONNECT", self._on_disconnect),
        ):
            await self._sys.subscribe(subject, cb=handle, pending_msgs_limit=-1, pending_bytes_limit=64 << 20)
        await self._app.subscribe(REFUSED, cb=self._on_refused, pending_msgs_limit=10_000)
        await self._app.subscribe(FLOOD, cb=self._on_flood, pending_msgs_limit=10_000)
        await self._sys.flush()
        await self._app.flush()
        await streams.ensure(self._ask_app, self._bounds)
        await self._reconcile()

    async def close(self) -> None:
        """End everything this started."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        for client in (self._sys, self._app):
            if client is not None:
                await client.close()
        self._app = self._sys = None

    def ready(self) -> tuple[bool, str]:
        """Whether the broker answers and keeps what devices send, and if not, why."""
        if self._app is None or not self._app.is_connected:
            return False, "the broker does not answer"
        if self.storage.state is StorageState.FAILED:
            return False, "the broker could not write to its disk; it starts again once there is room"
        if self.storage.state is StorageState.FULL:
            return False, "what devices send is not taken on: as much as may wait for the intake waits"
        return True, f"{len(self.presence)} devices connected"

    async def missing(self) -> list[str]:
        """The roles without which nothing works at the door and that are not connected: admission, intake."""
        lacking = []
        for role in (Role.AUTH, Role.INTAKE):
            question = {"acc": ACCOUNT[role], "auth": True, "user": str(role), "limit": 1}
            try:
                listing = msgspec.json.decode(
                    await self._ask_sys("$SYS.REQ.SERVER.PING.CONNZ", _json(question), 1.0), type=Listing
                )
            except Unavailable:
                return ["broker"]
            if not listing.data.connections:
                lacking.append(str(role))
        return lacking

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:  # noqa: BLE001 (what is done now and then is done again)
                _log.exception("a look at the broker failed")

    async def _mend(self) -> None:
        """After a reconnect: a broker that lost its disk has lost its streams."""
        self.storage.reconnected()
        try:
            await streams.ensure(self._ask_app, self._bounds)
        except Unavailable as e:
            _log.warning("streams could not be checked", reason=e.message)

    async def _ask_app(self, subject: str, payload: bytes) -> bytes:
        return await request(_there(self._app), subject, payload)

    async def _ask_sys(self, subject: str, payload: bytes, timeout_s: float = 5.0) -> bytes:
        return await request(_there(self._sys), subject, payload, timeout_s)

    # --- Downlink

    def connected(self, device: DeviceId) -> bool:
        """Whether the device is connected now."""
        return device in self.presence

    async def send(self, device: DeviceId, topic: Literal["config", "command"], payload: bytes) -> None:
        """Publish on `d/ID/down/TOPIC`, QoS 0. Raises Unavailable."""
        await self._publish(f"d.{device}.down.{topic}", payload)

    async def _publish(self, subject: str, payload: bytes) -> None:
        try:
            await _there(self._app).publish(subject, payload)
        except (NatsError, OSError) as e:
            raise Unavailable("the broker does not answer", remedy="it restarts by itself") from e

    # --- Cutoff

    async def deny(self, device: DeviceId, seconds: float) -> None:
        """Have the callout refuse the device for a while. Best effort: it forgets when it restarts."""
        await self._publish(DENY, msgspec.json.encode(Denial(device, seconds)))

    async def kick(self, device: DeviceId) -> int:
        """End the device's connections: commit first, then call this. Returns how many were ended at once."""
        at = self._clock.now()
        self._kicked[device] = at
        self._kicked.move_to_end(device)
        if len(self._kicked) > MOST_KICKED:
            self._kicked.popitem(last=False)
        known = self.presence.connections(device)
        await self._end(known)
        found = await self._find(device)
        ended = {(c.server, c.cid) for c in known}
        late = [c for c in found if (c.server, c.cid) not in ended and c.since <= at + SKEW]
        await self._end(late)
        self._spawn(self._second_look(device, at))
        return len(known) + len(late)

    async def _second_look(self, device: DeviceId, at: datetime) -> None:
        await asyncio.sleep(SECOND_LOOK_S)
        try:
            await self._end([c for c in await self._find(device) if c.since <= at + SKEW])
        finally:
            if self._kicked.get(device) == at:
                del self._kicked[device]

    async def _find(self, device: DeviceId) -> list[Connection]:
        """The device's connections as the broker sees them."""
        question = {"acc": "DEV", "auth": True, "user": device, "limit": PAGE}
        try:
            listing = msgspec.json.decode(
                await self._ask_sys("$SYS.REQ.SERVER.PING.CONNZ", _json(question)), type=Listing
            )
        except Unavailable as e:
            _log.warning("connections could not be looked up", device=device, reason=e.message)
            return []
        return [connection for _, connection, _ in from_listing(listing)]

    async def _end(self, connections: list[Connection]) -> None:
        if connections:
            kicks = (self._ask_sys(f"$SYS.REQ.SERVER.{c.server}.KICK", _json({"cid": c.cid}), 2.0) for c in connections)
            await asyncio.gather(*kicks, return_exceptions=True)

    async def purge_sessions(self, device: DeviceId) -> int:
        """Remove what the broker keeps for the device's return: sessions under its id and the client ids it was seen
        with. For a revoked device. Returns how many sessions there were.
        """
        ids = {str(device)} | self.presence.client_ids(device)
        purged = 0
        for client_id in ids - {""}:
            subject = f"$MQTT.sess.{session_hash(client_id)}"
            found = json.loads(
                await self._ask_app(f"$JS.API.STREAM.MSG.GET.{SESSIONS}", _json({"last_by_subj": subject}))
            )
            if "message" not in found:
                continue
            names = await self._session_consumers(session_hash(client_id))
            for name in names:
                await self._ask_app(f"$JS.API.CONSUMER.DELETE.{MESSAGES}.{name}", b"")
            await self._ask_app(f"$JS.API.STREAM.PURGE.{SESSIONS}", _json({"filter": subject}))
            purged += 1
        return purged

    async def _session_consumers(self, hash_: str) -> list[str]:
        names: list[str] = []
        while True:
            answer = await self._ask_app(f"$JS.API.CONSUMER.NAMES.{MESSAGES}", _json({"offset": len(names)}))
            page = json.loads(answer).get("consumers") or []
            names += page
            if len(page) < PAGE:
                return [n for n in names if n.startswith(f"{hash_}_")]

    # --- presence

    async def _on_connect(self, message: Msg) -> None:
        found = from_event(msgspec.json.decode(message.data, type=ConnectionEvent))
        if found is not None:
            await self._appeared(*found)

    async def _appeared(self, device: DeviceId, connection: Connection, client_id: str) -> None:
        if not self.presence.add(device, connection, client_id):
            return
        kicked = self._kicked.get(device)
        if kicked is not None and connection.since <= kicked + SKEW:
            await self._end([connection])
        await self._tell(lambda events: events.connected(device, connection))

    async def _on_disconnect(self, message: Msg) -> None:
        event = msgspec.json.decode(message.data, type=ConnectionEvent)
        if event.client.client_type == "mqtt":
            await self._vanished(event.server.id, event.client.id)

    async def _vanished(self, server: str, cid: int) -> None:
        gone = self.presence.remove(server, cid)
        if gone is not None:
            device, connection = gone
            await self._tell(lambda events: events.disconnected(device, connection))

    async def _reconcile(self) -> None:
        """Bring presence in line with the broker's whole list: at start, after a gap, and now and then."""
        async with self._listing:
            mark = self.presence.additions
            listed: set[tuple[str, int]] = set()
            offset = 0
            try:
                while True:
                    question = {"acc": "DEV", "auth": True, "sort": "cid", "limit": PAGE, "offset": offset}
                    answer = await self._ask_sys("$SYS.REQ.SERVER.PING.CONNZ", _json(question))
                    listing = msgspec.json.decode(answer, type=Listing)
                    for found in from_listing(listing):
                        listed.add((found[1].server, found[1].cid))
                        await self._appeared(*found)
                    # Rows move up while connections end between two pages: overlap the pages.
                    offset += PAGE - 64
                    if len(listing.data.connections) < PAGE:
                        break
            except Unavailable as e:
                _log.warning("connections could not be listed", reason=e.message)
                return
            for server, cid in self.presence.missing(listed, mark):
                await self._vanished(server, cid)

    # --- refusals, violations, floods

    async def _on_refused(self, message: Msg) -> None:
        try:
            refusal = msgspec.json.decode(message.data, type=Refusal)
        except msgspec.MsgspecError:
            return
        await self._tell(lambda events: events.refused(refusal))

    async def _on_flood(self, message: Msg) -> None:
        try:
            flood = msgspec.json.decode(message.data, type=Flood)
        except msgspec.MsgspecError:
            return
        device = DeviceId(flood.device)
        await self._violated(device, None, "flood", f"{flood.messages} messages over its budget")

    async def _read_log(self) -> None:
        assert self._follower is not None  # noqa: S101 (started with one alone)
        for line in self._follower.read():
            if not isinstance(line, Denied):
                self.storage.failed()
                continue
            whose = self.presence.whose(line.cid)
            if whose is not None:
                await self._violated(*whose, line.kind, line.subject)

    async def _violated(
        self,
        device: DeviceId,
        connection: Connection | None,
        kind: Literal["publish", "subscribe", "flood"],
        detail: str,
    ) -> None:
        connections = [connection] if connection is not None else self.presence.connections(device)
        first = connections[0] if connections else None
        violation = Violation(
            device, kind, detail, first.address if first else "", first.client_id if first is not None else ""
        )
        await self._tell(lambda events: events.violated(violation))

    async def _tell(self, call: Callable[[BrokerEvents], Coroutine[Any, Any, None]]) -> None:
        if self._events is None:
            return
        try:
            await call(self._events)
        except Fault as e:
            _log.error("what happened at the door could not be noted", reason=e.message)
        except Exception:  # noqa: BLE001 (one bad answer must not end presence)
            _log.exception("what happened at the door could not be noted")


def session_hash(client_id: str) -> str:
    """The name under which nats-server keeps a client id's session."""
    return "".join(_DIGITS[b % 62] for b in sha256(client_id.encode()).digest()[:8])


def _there(client: Client | None) -> Client:
    if client is None:
        raise Unavailable("the broker is not connected yet", remedy="wait until the platform is ready")
    return client


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()
