"""An MQTT 3.1.1 client for a thousand devices in one process: QoS 0 and 1, one non-blocking TLS socket each.

Why not paho: it is one thread, or one set of buffers and locks, per device, and asyncio's TLS keeps a 256 KiB buffer per
connection. This reads from the socket itself when the loop says so, and shares one TLS context (the certificate is
copied into a connection when it is made). Measured in the package's README. The agent, one device, uses paho.
Only what the fleet needs: clean sessions, no will, no retained messages, no QoS 2.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ironroot.agent.tls import client_context, load_identity
from ironroot.core.errors import Malformed, TooLarge
from ironroot.wire.topics import MAX_PAYLOAD_BYTES

MAX_PACKET = MAX_PAYLOAD_BYTES + 1024
_CONNACK, _PUBLISH, _PUBACK, _SUBACK, _PINGRESP = 2, 3, 4, 9, 13
_READ = 16_384


class Refused(ConnectionError):
    """The broker said no: CONNACK with a return code, or SUBACK with a failure."""


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(2) + data


def _packet(first: int, body: bytes) -> bytes:
    length, size = len(body), bytearray()
    while True:
        length, digit = length >> 7, length & 0x7F
        size.append(digit | (0x80 if length else 0))
        if not length:
            return bytes((first, *size)) + body


def connect_packet(client_id: str, keepalive_s: int) -> bytes:
    """CONNECT, clean session, no user name: the certificate says who it is."""
    return _packet(0x10, _text("MQTT") + bytes((4, 0x02)) + keepalive_s.to_bytes(2) + _text(client_id))


def subscribe_packet(number: int, topic_filter: str) -> bytes:
    """SUBSCRIBE at QoS 0."""
    return _packet(0x82, number.to_bytes(2) + _text(topic_filter) + b"\x00")


def publish_packet(topic: str, payload: bytes, number: int) -> bytes:
    """PUBLISH at QoS 1."""
    return _packet(0x32, _text(topic) + number.to_bytes(2) + payload)


def split(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take one whole packet off the front: (first byte, body). None: more is needed. Raises Malformed, TooLarge."""
    length = 0
    for i in range(1, 5):
        if i >= len(buffer):
            return None
        length |= (buffer[i] & 0x7F) << (7 * (i - 1))
        if not buffer[i] & 0x80:
            break
    else:
        raise Malformed("a packet's length has at most four bytes")
    if length > MAX_PACKET:
        raise TooLarge(f"a packet of {length} bytes")
    end = i + 1 + length
    if len(buffer) < end:
        return None
    first, body = buffer[0], bytes(buffer[i + 1 : end])
    del buffer[:end]
    return first, body


def parse_publish(first: int, body: bytes) -> tuple[str, bytes]:
    """Topic and payload of a PUBLISH at QoS 0 or 1. Raises Malformed."""
    length = int.from_bytes(body[:2])
    start = 2 + length + (2 if first & 0x06 else 0)
    if start > len(body):
        raise Malformed("a cut PUBLISH")
    try:
        return body[2 : 2 + length].decode(), body[start:]
    except UnicodeDecodeError as e:
        raise Malformed("a topic is UTF-8") from e


class Identities:
    """One TLS context for all devices. Making a connection copies the certificate loaded last, so the two go together."""

    def __init__(self, roots: Path) -> None:
        self._context = client_context(roots)

    def wrap(self, plain: socket.socket, server_name: str, certificate: Path, key: Path) -> ssl.SSLSocket:
        """`plain` with this device's identity, the handshake still to be done. Raises OSError."""
        load_identity(self._context, certificate, key)
        return self._context.wrap_socket(plain, server_hostname=server_name, do_handshake_on_connect=False)


class Connection:
    """One connection. Not for more than one task; everything happens on the event loop's thread."""

    def __init__(self, received: Callable[[str, bytes], None], loop: asyncio.AbstractEventLoop) -> None:
        self._received = received
        self._loop = loop
        self._socket: ssl.SSLSocket | None = None
        self._in = bytearray()
        self._out = bytearray()
        self._writing = False
        self._number = 0
        self._answer: asyncio.Future[int] | None = None
        self.unacknowledged: dict[int, tuple[str, bytes]] = {}
        self.closed: asyncio.Future[str] = loop.create_future()
        self.heard_at = loop.time()
        self.said_at = loop.time()

    async def open(
        self,
        addresses: Sequence[tuple[str, int]],
        identities: Identities,
        identity: tuple[Path, Path],
        client_id: str,
        *,
        server_name: str,
        keepalive_s: int,
    ) -> None:
        """TCP, TLS and CONNECT. Raises Refused for the broker's no, OSError for the rest. Bound it with a time-out."""
        plain = await self._reach(addresses)
        try:
            wrapped = identities.wrap(plain, server_name, *identity)
        except BaseException:
            plain.close()
            raise
        self._socket = wrapped
        try:
            await self._handshake(wrapped)
            self._loop.add_reader(wrapped, self._readable)
            code = await self._ask(connect_packet(client_id, keepalive_s))
        except BaseException:
            self.close("could not connect")
            raise
        if code:
            self.close(f"refused with code {code}")
            raise Refused(f"CONNACK {code}")

    async def _reach(self, addresses: Sequence[tuple[str, int]]) -> socket.socket:
        """The first of these addresses that answers."""
        failure: OSError = ConnectionError("no address")
        for address in addresses:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            plain = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                plain.setblocking(False)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                await self._loop.sock_connect(plain, address)
            except OSError as e:
                plain.close()
                failure = e
            except BaseException:
                plain.close()
                raise
            else:
                return plain
        raise failure

    async def subscribe(self, topic_filter: str) -> None:
        """Hear `topic_filter` at QoS 0. Raises Refused."""
        if await self._ask(subscribe_packet(self._next_number(), topic_filter)) & 0x80:
            self.close("may not subscribe")
            raise Refused(f"SUBACK for {topic_filter}")

    def publish(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Say these at QoS 1, in one write; they stay in `unacknowledged` until their PUBACK has come."""
        data = bytearray()
        for topic, payload in messages:
            number = self._next_number()
            self.unacknowledged[number] = (topic, payload)
            data += publish_packet(topic, payload, number)
        self._send(data)

    def ping(self) -> None:
        """Show that we are there."""
        self._send(b"\xc0\x00")

    def disconnect(self) -> None:
        """Say goodbye and hang up."""
        self._send(b"\xe0\x00")
        self.close("disconnected")

    def close(self, why: str) -> None:
        """Hang up; `closed` then holds why."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError(why))
        if not self.closed.done():
            self.closed.set_result(why)

    async def _handshake(self, wrapped: ssl.SSLSocket) -> None:
        while True:
            waiting: asyncio.Future[None] = self._loop.create_future()
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                self._loop.add_reader(wrapped, _wake, waiting)
            except ssl.SSLWantWriteError:
                self._loop.add_writer(wrapped, _wake, waiting)
            else:
                return
            try:
                await waiting
            finally:
                self._loop.remove_reader(wrapped)
                self._loop.remove_writer(wrapped)

    async def _ask(self, packet: bytes) -> int:
        """Send a packet and wait for its answer's code."""
        self._answer = self._loop.create_future()
        self._send(packet)
        return await self._answer

    def _next_number(self) -> int:
        self._number = self._number % 0xFFFF + 1
        return self._number

    def _send(self, data: bytes | bytearray) -> None:
        if self._socket is None:
            return
        self.said_at = self._loop.time()
        self._out += data
        if not self._writing:
            self._flush()

    def _flush(self) -> None:
        if self._socket is None:
            return
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._socket, self._flush)
            return
        except OSError as e:
            self.close(str(e) or type(e).__name__)
            return
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        while self._socket is not None:
            try:
                data = self._socket.recv(_READ)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as e:
                self.close(str(e) or type(e).__name__)
                return
            if not data:
                self.close("closed by the broker")
                return
            self.heard_at = self._loop.time()
            self._in += data
            try:
                while (packet := split(self._in)) is not None:
                    self._handle(*packet)
            except (Malformed, TooLarge, IndexError) as e:
                self.close(f"protocol error: {e}")
                return

    def _handle(self, first: int, body: bytes) -> None:
        match first >> 4:
            case kind if kind in {_CONNACK, _SUBACK}:
                if self._answer is not None and not self._answer.done():
                    self._answer.set_result(body[1] if kind == _CONNACK else body[2])
            case value if value == _PUBACK:
                self.unacknowledged.pop(int.from_bytes(body[:2]), None)
            case value if value == _PUBLISH:
                self._received(*parse_publish(first, body))
            case _:
                pass  # PINGRESP: that something came is enough


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
