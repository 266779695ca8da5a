"""The load generator: MQTT devices over mutual TLS 1.3, in a process of its own.

One JSON object on standard input says what to do; answers are JSON lines on standard output. Packets are made before
the clock runs, and acknowledgements are counted by their bytes (a PUBACK has four), so that the generator costs as
little as Python can: what it used is in the answer (`cpu_s`). Bounded in time by `limit_s`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvloop

from bench.support.processes import end

KEEP_ALIVE_S = 600
DISCONNECT = b"\xe0\x00"
CONNACK_BYTES = 4
PUBACK_BYTES = 4


def context(roots: str, certificate: str, key: str) -> ssl.SSLContext:
    """A device's TLS 1.3: its certificate, the platform's roots, no resumption."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_verify_locations(roots)
    made.load_cert_chain(certificate, key)
    return made


def connect_packet(client_id: str) -> bytes:
    """CONNECT of MQTT 3.1.1 with a clean session."""
    body = b"\x00\x04MQTT\x04\x02" + KEEP_ALIVE_S.to_bytes(2) + len(client_id).to_bytes(2) + client_id.encode()
    return b"\x10" + _length(len(body)) + body


def publish_packets(topic: str, payload: bytes, count: int) -> bytes:
    """PUBLISH at QoS 1, once for each packet id from 1 to `count`; all have the same length."""
    head = len(topic).to_bytes(2) + topic.encode()
    start = b"\x32" + _length(len(head) + 2 + len(payload)) + head
    return b"".join(start + number.to_bytes(2) + payload for number in range(1, count + 1))


def _length(value: int) -> bytes:
    coded = bytearray()
    while True:
        value, low = value >> 7, value & 127
        coded.append(low | (128 if value else 0))
        if not value:
            return bytes(coded)


class Device(asyncio.Protocol):
    """One connection: CONNECT as soon as TLS stands, then publishing inside a window."""

    def __init__(self, device: str, lost: Callable[[str], None] | None = None) -> None:
        self.id = device
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.acknowledged = 0
        self.finished = 0.0
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._bytes = 0
        self._wanted = 0
        self._left = 0
        self._ring = b""
        self._size = 0
        self._turn = 0
        self._done: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(connect_packet(self.id))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.admitted.done():
            self.admitted.set_exception(ConnectionError(f"{self.id}: closed before CONNACK: {exc}"))
            self.admitted.exception()
        if self._lost is not None:
            self._lost(self.id)

    def data_received(self, data: bytes) -> None:
        if not self.admitted.done():
            if data[:2] != b"\x20\x02" or data[3] != 0:
                self.admitted.set_exception(ConnectionError(f"{self.id}: refused: {data.hex()}"))
                self.admitted.exception()
            else:
                self.admitted.set_result(None)
            return
        if self._bytes == 0 and data[0] != 0x40:
            raise ValueError(f"not a PUBACK: {data[:8].hex()}")
        number, self._bytes = divmod(self._bytes + len(data), PUBACK_BYTES)
        self.acknowledged += number
        if self._left:
            self._send(min(number, self._left))
        elif self.acknowledged == self._wanted and self._done is not None:
            self.finished = time.monotonic()
            self._done()

    def prepare(self, topic: str, payload: bytes, window: int, count: int, done: Callable[[], None]) -> None:
        """Make the packets; the ring holds them twice over, so that a burst is always one slice."""
        self._ring = publish_packets(topic, payload, 2 * window) * 2
        self._size = len(self._ring) // (4 * window)
        self._turn, self._left, self._wanted, self._done = 0, count, count, done

    def start(self, window: int) -> None:
        """Send the first window."""
        self._send(min(window, self._left))

    def _send(self, number: int) -> None:
        first, size = self._turn, self._size
        self._left -= number
        self._turn = (first + number) % (len(self._ring) // size // 2)
        if self._transport is not None:
            self._transport.write(self._ring[first * size : (first + number) * size])

    def leave(self) -> None:
        """DISCONNECT and close."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(DISCONNECT)
            self._transport.close()


class Generator:
    """Does what the order says; an order is `{"mode", "port", "roots", "devices": [[id, certificate, key]], ...}`."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._contexts = [(d, context(order["roots"], cert, key)) for d, cert, key in order["devices"]]
        self._failures: list[str] = []

    async def run(self) -> None:
        """Until done, or `limit_s` is over."""
        async with asyncio.timeout(self._order["limit_s"]):
            await {"connect": self._connect, "publish": self._publish, "hold": self._hold}[self._order["mode"]]()

    async def _open(self, device: str, tls: ssl.SSLContext, lost: Callable[[str], None] | None = None) -> Device:
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: Device(device, lost), "127.0.0.1", self._order["port"], ssl=tls, server_hostname="localhost"
        )
        await made.admitted
        return made

    async def _all(self, parallel: int, lost: Callable[[str], None] | None = None) -> list[Device]:
        """Connect every device, so many at a time; one that fails is noted and left out."""
        waiting = iter(self._contexts)
        made: list[Device] = []

        async def worker() -> None:
            for device, tls in waiting:
                try:
                    made.append(await self._open(device, tls, lost))
                except OSError as e:
                    self._failures.append(f"{device}: {e}")

        await asyncio.gather(*(worker() for _ in range(parallel)))
        return made

    async def _connect(self) -> None:
        """Every device once: handshake, CONNECT, CONNACK, DISCONNECT."""
        waiting = iter(self._contexts)
        took: list[float] = []

        async def worker() -> None:
            for device, tls in waiting:
                began = time.monotonic()
                try:
                    made = await self._open(device, tls)
                except OSError as e:
                    self._failures.append(f"{device}: {e}")
                    continue
                took.append(time.monotonic() - began)
                made.leave()

        await _told()
        cpu, began = time.process_time(), time.monotonic()
        await asyncio.gather(*(worker() for _ in range(self._order["parallel"])))
        seconds = time.monotonic() - began
        self._say(connected=len(took), seconds=seconds, cpu_s=time.process_time() - cpu, took=took)

    async def _publish(self) -> None:
        """Every device its share of the messages, never more than a window of them unacknowledged."""
        window, total = self._order["window"], self._order["messages"]
        devices = await self._all(20)
        left = len(devices)
        over = asyncio.Event()

        def done() -> None:
            nonlocal left
            left -= 1
            if not left:
                over.set()

        for device in devices:
            topic = self._order["topic"].format(device.id)
            device.prepare(topic, self._order["payload"].encode(), window, total // len(devices), done)
        self._say(ready=len(devices))
        await _told()
        cpu, began = time.process_time(), time.monotonic()
        for device in devices:
            device.start(window)
        await over.wait()
        seconds = max(device.finished for device in devices) - began
        acknowledged = sum(device.acknowledged for device in devices)
        self._say(
            acknowledged=acknowledged,
            began=began,
            seconds=seconds,
            cpu_s=time.process_time() - cpu,
            devices=len(devices),
        )
        for device in devices:
            device.leave()
        await asyncio.sleep(0.2)

    async def _hold(self) -> None:
        """Stay connected, and tell the moment each connection ends (CLOCK_MONOTONIC, the same for all processes)."""

        def lost(device: str) -> None:
            self._say(closed=device, at=time.monotonic())

        devices = await self._all(self._order["parallel"], lost)
        self._say(ready=len(devices))
        await _told()
        for device in devices:
            device.leave()
        await asyncio.sleep(0.2)

    def _say(self, **answer: Any) -> None:
        sys.stdout.write(json.dumps({**answer, "failures": self._failures[:5], "failed": len(self._failures)}) + "\n")
        sys.stdout.flush()


async def _told() -> None:
    """Wait for a line on standard input, or its end."""
    await asyncio.to_thread(sys.stdin.readline)


class Load:
    """The other end: a generator process at work."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def go(self) -> None:
        """Tell it to begin, or to end."""
        if self._process.stdin is not None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Its next line. Raises RuntimeError when it ended without one."""
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the load generator ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def load(mode: str, port: int, roots: object, devices: list[list[str]], **order: Any) -> Iterator[Load]:
    """A generator with its order, its certificates loaded; ended with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.support.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    order = {"mode": mode, "port": port, "roots": str(roots), "devices": devices, "limit_s": 120, **order}
    if process.stdin is None:
        raise RuntimeError("no way to tell the generator")
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()
    try:
        yield Load(process)
    finally:
        end(process, patience_s=5)


def main() -> None:
    """Be the generator."""
    order = json.loads(sys.stdin.readline())
    uvloop.run(Generator(order).run())


if __name__ == "__main__":
    main()
