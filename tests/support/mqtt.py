"""MQTT clients for tests: Debian's mosquitto_pub and mosquitto_sub, and paho where a connection must live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


@dataclass(frozen=True, slots=True)
class Said:
    """What a stock client answered."""

    status: int
    out: str
    err: str


async def mosquitto(
    tool: str, port: int, directory: Path, identity: str | None, *args: str, timeout_s: float = 8
) -> Said:
    """Run mosquitto_pub or mosquitto_sub as the device whose files are IDENTITY.pem and IDENTITY.key."""
    credentials: Sequence[str] = ()
    if identity is not None:
        credentials = ("--cert", str(directory / f"{identity}.pem"), "--key", str(directory / f"{identity}.key"))
    command = [f"mosquitto_{tool}", "-h", "localhost", "-p", str(port), "--cafile", str(directory / "root.pem")]
    process = await asyncio.create_subprocess_exec(
        *command, *credentials, *args, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        process.terminate()
        out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


@dataclass
class Client:
    """A paho client on its own thread. `connect` returns the broker's word: `Success`, `Not authorized` ..."""

    directory: Path
    port: int
    identity: str
    client_id: str
    clean: bool = True
    reconnect: bool = False
    acked: set[int] = field(default_factory=set)
    received: list[tuple[str, bytes]] = field(default_factory=list)
    granted: list[int] = field(default_factory=list)
    connected_at: list[float] = field(default_factory=list)
    ended_at: float | None = None
    answer: str | None = None
    will: tuple[str, bytes] | None = None

    def __post_init__(self) -> None:
        self._sent: dict[int, int] = {}
        self._number = 0
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.client_id,
            clean_session=self.clean,
            reconnect_on_failure=self.reconnect,
        )
        self.paho.tls_set(
            str(self.directory / "root.pem"),
            str(self.directory / f"{self.identity}.pem"),
            str(self.directory / f"{self.identity}.key"),
        )
        self.paho.reconnect_delay_set(1, 1)
        self.paho.max_inflight_messages_set(200)
        if self.will is not None:
            self.paho.will_set(*self.will, qos=1)
        self.paho.on_connect = self._on_connect
        self.paho.on_disconnect = self._on_disconnect
        self.paho.on_publish = self._on_publish
        self.paho.on_message = lambda _c, _u, m: self.received.append((m.topic, bytes(m.payload)))
        self.paho.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.extend(c.value for c in codes)

    def _on_connect(self, _c: Any, _u: Any, _f: Any, code: Any, _p: Any) -> None:
        self.answer = str(code)
        if not code.is_failure:
            self.connected_at.append(time.monotonic())

    def _on_disconnect(self, *_: Any) -> None:
        self.ended_at = time.monotonic()

    def _on_publish(self, _c: Any, _u: Any, mid: int, *_: Any) -> None:
        number = self._sent.get(mid)
        if number is not None:
            self.acked.add(number)

    async def connect(self, timeout_s: float = 10) -> str:
        """The broker's answer, or what TLS said."""
        try:
            await asyncio.to_thread(self.paho.connect, "localhost", self.port, 30)
        except OSError as e:
            return f"refused: {e}"
        self.paho.loop_start()
        async with asyncio.timeout(timeout_s):
            while self.answer is None and self.ended_at is None:
                await asyncio.sleep(0.002)
        return self.answer or "closed"

    def publish(self, topic: str, payload: bytes | str, qos: int = 1) -> int:
        """Send; the number goes into `acked` with the PUBACK."""
        self._number += 1
        info = self.paho.publish(topic, payload, qos)
        self._sent[info.mid] = self._number
        return self._number

    async def subscribe(self, *filters: str, qos: int = 0) -> list[int]:
        """The broker's codes: 0 to 2 granted, 128 refused."""
        self.granted.clear()
        self.paho.subscribe([(f, qos) for f in filters])
        async with asyncio.timeout(5):
            while len(self.granted) < len(filters):
                await asyncio.sleep(0.002)
        return list(self.granted)

    async def ended(self, timeout_s: float = 10) -> float:
        """When the connection ended (monotonic)."""
        async with asyncio.timeout(timeout_s):
            while self.ended_at is None:
                await asyncio.sleep(0.001)
        return self.ended_at

    async def close(self) -> None:
        self.paho.disconnect()
        await asyncio.to_thread(self.paho.loop_stop)
