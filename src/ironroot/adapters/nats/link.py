"""A connection to the broker for streams of many small messages: the NATS client protocol, spoken plainly.

The general client library spends most of its time per message on what the hot paths (callout, intake) do not need.
Here a chunk from the socket becomes a list of messages in one pass, handed over in one call. No reconnecting: a link
that ends says so (`ended`), and its user decides what a new one must do first. Inner listener on loopback only, so
no TLS. Bounded: a control line of 4 KB, messages of 1 MB.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from ironroot.core.errors import Unavailable

MAX_LINE = 4096
MAX_MESSAGE = 1 << 20


class Message(NamedTuple):
    """One message. `sid` is the number of the subscription it came for; `header` is empty without one."""

    subject: bytes
    sid: int
    reply: bytes
    header: bytes
    payload: bytes


_new = tuple.__new__


class Link(asyncio.Protocol):
    """One connection. `on_messages` is called with all messages of a chunk, in order; it must not block."""

    def __init__(self, on_messages: Callable[[Sequence[Message]], None], options: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = loop.create_future()
        """Done when the connection is over, with the reason."""
        self._on_messages = on_messages
        self._options = options
        self._ready: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._reason = "connection lost"
        self._greeted = False
        self._inbox = f"_INBOX.{options['user']}.{id(self):x}".encode()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._serial = 0

    @classmethod
    async def open(
        cls, url: str, user: str, password: str, on_messages: Callable[[Sequence[Message]], None], name: str
    ) -> Link:
        """A link that is connected and authenticated. Raises Unavailable."""
        where = urlsplit(url)
        options = {
            "user": user,
            "pass": password,
            "name": name,
            "lang": "ironroot",
            "version": "1",
            "protocol": 1,
            "verbose": False,
            "pedantic": False,
            "headers": True,
            "no_responders": True,
        }
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(5):
                _, link = await loop.create_connection(
                    lambda: cls(on_messages, options), where.hostname or "127.0.0.1", where.port or 4222
                )
                await link.greeted()
        except (OSError, TimeoutError) as e:
            raise Unavailable(f"the broker does not answer: {type(e).__name__}", remedy="it restarts by itself") from e
        return link

    async def greeted(self) -> None:
        """Return once the broker accepted us. Raises Unavailable when it did not."""
        await self._ready
        self.write(b"SUB %s.* 0\r\n" % self._inbox)

    def subscribe(self, subject: str, sid: int, queue: str = "") -> None:
        """Have messages on `subject` delivered with this number (1 and up)."""
        self.write(f"SUB {subject} {queue + ' ' if queue else ''}{sid}\r\n".encode())

    def publish(self, subject: bytes, payload: bytes, reply: bytes = b"") -> None:
        """Send a message."""
        self.write(b"PUB %s %s %d\r\n%s\r\n" % (subject, reply, len(payload), payload))

    def write(self, data: bytes) -> None:
        """Protocol bytes; dropped once the link has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def request(self, subject: str, payload: bytes = b"", timeout_s: float = 5.0) -> bytes:
        """The first answer's payload. Raises Unavailable when none comes, or nobody listens."""
        self._serial += 1
        serial = self._serial
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[serial] = answer
        self.publish(subject.encode(), payload, b"%s.%d" % (self._inbox, serial))
        try:
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as e:
            raise Unavailable(f"no answer on {subject}", remedy="try again") from e
        finally:
            del self._waiting[serial]

    async def flush(self, timeout_s: float = 5.0) -> None:
        """Return once the broker has taken everything written so far. Raises Unavailable."""
        if self.ended.done():
            raise Unavailable("the broker is gone", remedy="it restarts by itself")
        self._ready = asyncio.get_running_loop().create_future()
        self.write(b"PING\r\n")
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready
        except TimeoutError as e:
            raise Unavailable("the broker does not answer", remedy="it restarts by itself") from e

    def pause(self, paused: bool) -> None:
        """Stop taking bytes from the socket, or start again."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if paused else self._transport.resume_reading)()

    def close(self) -> None:
        """End the connection."""
        self._reason = "closed"
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open; the broker speaks first."""
        self._transport = cast("asyncio.Transport", transport)  # a stream; uvloop's derives from no class of asyncio

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed: everybody who waits is told."""
        reason = self._reason if exc is None else f"{self._reason}: {exc}"
        gone = Unavailable(f"the broker is gone: {reason}", remedy="it restarts by itself")
        everybody: list[asyncio.Future[Any]] = [self._ready, *self._waiting.values()]
        for waiting in everybody:
            if not waiting.done():
                waiting.set_exception(gone)
                waiting.exception()  # retrieved: nobody may be awaiting it
        if not self.ended.done():
            self.ended.set_result(reason)

    def data_received(self, data: bytes) -> None:
        """Take a chunk apart and hand its messages over."""
        buffer = self._rest + data if self._rest else data
        position, end = 0, len(buffer)
        messages: list[Message] = []
        while True:
            eol = buffer.find(b"\r\n", position, position + MAX_LINE)
            if eol < 0:
                if end - position > MAX_LINE:
                    self._fail("a control line too long")
                break
            word = buffer[position : position + 4]
            if word not in (b"HMSG", b"MSG "):
                self._control(buffer[position:eol])
                position = eol + 2
                continue
            parts = buffer[position:eol].split(b" ")
            start, total = eol + 2, int(parts[-1])
            if total > MAX_MESSAGE:
                self._fail("a message too large")
                break
            if start + total + 2 > end:
                break
            if word == b"HMSG":
                body = start + int(parts[-2])
                reply = parts[3] if len(parts) == 6 else b""
            else:
                body = start
                reply = parts[3] if len(parts) == 5 else b""
            # The tuple made directly: NamedTuple's own constructor costs as much as the rest of the line.
            messages.append(
                _new(Message, (parts[1], int(parts[2]), reply, buffer[start:body], buffer[body : start + total]))
            )
            position = start + total + 2
        self._rest = buffer[position:]
        if messages:
            self._deliver(messages)

    def _deliver(self, messages: list[Message]) -> None:
        if self._waiting:
            rest = []
            for message in messages:
                if message.sid == 0:
                    self._answer(message)
                else:
                    rest.append(message)
            messages = rest
        else:
            messages = [m for m in messages if m.sid]
        if messages:
            self._on_messages(messages)

    def _answer(self, message: Message) -> None:
        waiting = self._waiting.get(int(message.subject.rpartition(b".")[2]))
        if waiting is not None and not waiting.done():
            if message.header.startswith(b"NATS/1.0 503"):
                waiting.set_exception(Unavailable("nobody answers there yet", remedy="it starts by itself"))
            else:
                waiting.set_result(message.payload)

    def _control(self, line: bytes) -> None:
        if line == b"PING":
            self.write(b"PONG\r\n")
        elif line == b"PONG":
            if not self._ready.done():
                self._ready.set_result(None)
        elif line.startswith(b"INFO "):
            if not self._greeted:
                self._greeted = True
                self.write(b"CONNECT " + json.dumps(self._options).encode() + b"\r\nPING\r\n")
        elif line.startswith(b"-ERR"):
            self._reason = line[4:].decode(errors="replace").strip(" '")

    def _fail(self, reason: str) -> None:
        self._reason = reason
        if self._transport is not None:
            self._transport.abort()
