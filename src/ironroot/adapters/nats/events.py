"""The platform's reading of `up/event`: from the durable stream (QoS 1 and 2), and on the side at QoS 0.

An event is acknowledged once it was handled. When the store does not answer, the whole of it is read again later:
handling is idempotent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.adapters.nats.link import Link, Message
from ironroot.adapters.nats.pull import Puller
from ironroot.adapters.nats.subjects import EVENT, EVENTS_CONSUMER
from ironroot.core.errors import Fault, Malformed, Unavailable
from ironroot.core.ids import DeviceId, device_id

MOST_UNKEPT = 1_000
_QOS0 = b"Nmqtt-Pub:0"

_log = structlog.get_logger(__name__)

Handler = Callable[[DeviceId, bytes], Awaitable[None]]


class Events:
    """Hands each event to `handle(device, payload)`, one after the other."""

    def __init__(self, credentials: Credentials, handle: Handler) -> None:
        self._credentials = credentials
        self._handle = handle
        self._puller = Puller(EVENTS_CONSUMER, most_waiting=4_000)
        self._unkept: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue(MOST_UNKEPT)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read())
                group.create_task(self._hear())
                group.create_task(self._take_unkept())
        finally:
            self._puller.close()

    async def _read(self) -> None:
        wait = 0.1
        while True:
            try:
                await self._puller.open(self._credentials, Role.APP)
                while True:
                    for message in await self._puller.take(10.0):
                        await self._one(message.subject, message.payload)
                        self._puller.ack(message.reply)
                        wait = 0.1
            except Fault as e:
                _log.warning("events are read again", reason=e.message)
                self._puller.close()
                await asyncio.sleep(wait)
                wait = min(wait * 2, 2.0)

    async def _one(self, subject: bytes, payload: bytes) -> None:
        try:
            device = device_id(subject.split(b".")[1].decode())
        except (Malformed, IndexError, UnicodeDecodeError):
            return
        try:
            await self._handle(device, payload)
        except Fault:
            raise
        except Exception:  # noqa: BLE001 (one message must not stop the events of everybody, for ever)
            _log.exception("an event was skipped", device=device)

    async def _hear(self) -> None:
        while True:
            password = self._credentials.password(Role.APP)
            try:
                link = await Link.open(self._credentials.url, Role.APP, password, self._on_unkept, "events qos 0")
            except Unavailable:
                await asyncio.sleep(0.5)
                continue
            link.subscribe(EVENT, 1)
            try:
                await asyncio.shield(link.ended)
            finally:
                link.close()
            await asyncio.sleep(0.2)

    def _on_unkept(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if _QOS0 in message.header and not self._unkept.full():
                self._unkept.put_nowait((message.subject, message.payload))

    async def _take_unkept(self) -> None:
        while True:
            subject, payload = await self._unkept.get()
            try:
                await self._one(subject, payload)
            except Fault as e:
                _log.info("an event at QoS 0 was lost", reason=e.message)
