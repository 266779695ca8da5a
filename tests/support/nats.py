"""A real nats-server on loopback with the platform's half of it in this process: door, broker's hand, intake.

`Hall` starts the server and may kill it; `Platform` adds the responder, the Broker and what they report. Certificates
come from a small CA of the test's own; who is admitted is a dictionary.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from ironroot.adapters.nats import binary, config
from ironroot.adapters.nats.broker import Broker
from ironroot.adapters.nats.config import BrokerSettings, StreamBounds
from ironroot.adapters.nats.connection import connect, request
from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.adapters.nats.responder import Doorman, Responder
from ironroot.app.clock import SystemClock
from ironroot.core.errors import Forbidden
from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.domains.messaging.model import Connection, Refusal, Violation
from tests.support import tls
from tests.support.tls import Issued

TRUSTED = frozenset({"publish", "publish-event", "subscribe", "status"})
RESTRICTED = frozenset({"publish-event", "subscribe", "status"})


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


async def until(condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Wait for something that other processes bring about."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def until_async(condition: Callable[[], Awaitable[object]], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not await condition():
            await asyncio.sleep(0.02)


@dataclass(frozen=True)
class StubDecision:
    state: str
    capabilities: frozenset[str]


@dataclass(frozen=True)
class StubAdmitted:
    device: DeviceId
    not_after: datetime
    decision: StubDecision


class StubAdmission:
    """Who is let in, by fingerprint; `failing` makes every question fail."""

    def __init__(self) -> None:
        self.known: dict[str, StubAdmitted] = {}
        self.failing: Exception | None = None
        self.asked = 0

    async def by_fingerprint(self, fingerprint: Fingerprint) -> StubAdmitted:
        self.asked += 1
        if self.failing is not None:
            raise self.failing
        try:
            return self.known[fingerprint]
        except KeyError:
            raise Forbidden("no such certificate", code="certificate-unknown") from None


@dataclass
class Heard:
    """A BrokerEvents that writes everything down."""

    connects: list[tuple[DeviceId, Connection]] = field(default_factory=list)
    disconnects: list[tuple[DeviceId, Connection]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    async def connected(self, device: DeviceId, connection: Connection) -> None:
        self.connects.append((device, connection))

    async def disconnected(self, device: DeviceId, connection: Connection) -> None:
        self.disconnects.append((device, connection))

    async def refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    async def violated(self, violation: Violation) -> None:
        self.violations.append(violation)


class Hall:
    """A nats-server with its files."""

    def __init__(self, directory: Path, messages_bytes: int = 64 << 20, auth_timeout_s: int = 5) -> None:
        self.directory = directory
        self.root = tls.authority("Test Root")
        self.device_ca = tls.authority("Test Device CA", self.root)
        self.server_ca = tls.authority("Test Server CA", self.root)
        self.credentials = Credentials.make(free_port())
        self.settings = BrokerSettings(
            port=int(self.credentials.url.rpartition(":")[2]),
            mqtt_address="127.0.0.1",
            mqtt_port=free_port(),
            tls=directory / "tls",
            store=directory / "jetstream",
            log_file=directory / "nats.log",
            pid_file=directory / "nats.pid",
            messages_bytes=messages_bytes,
            auth_timeout_s=auth_timeout_s,
        )
        self.bounds = StreamBounds(messages_bytes)
        self.settings.tls.mkdir()
        self.server_certificate()
        (directory / "tls" / "ca.pem").write_bytes(self.root.pem + self.device_ca.pem)
        (directory / "root.pem").write_bytes(self.root.pem)
        config.write(directory / "nats.conf", self.settings, self.credentials)
        self.credentials.write(directory / "nats.json")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.settings.mqtt_port

    def server_certificate(self) -> Issued:
        """A fresh certificate for the server, in place."""
        issued = tls.server("localhost", self.server_ca)
        (self.settings.tls / "server.crt").write_bytes(issued.chain_pem)
        (self.settings.tls / "server.key").write_bytes(issued.key_pem)
        return issued

    def issue(self, name: str, issuer: Issued | None = None, **given: datetime) -> Issued:
        """A client certificate, written to NAME.pem and NAME.key."""
        issued = tls.client(name, issuer or self.device_ca, **given)
        issued.write(self.directory, name)
        return issued

    def start(self) -> None:
        command = binary.argv(binary.find(), self.directory / "nats.conf")
        with (self.directory / "nats.out").open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out)
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.settings.port), 1):
                return
            if self._process.poll() is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.025)
        raise AssertionError((self.directory / "nats.out").read_text() + (self.directory / "nats.log").read_text())

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    async def js(self, api: str, **body: object) -> dict[str, object]:
        """One question to JetStream."""
        client = await connect(self.credentials, Role.APP, on_reconnect=_nothing)
        try:
            answer = await request(client, f"$JS.API.{api}", msgspec.json.encode(body))
        finally:
            await client.close()
        return msgspec.json.decode(answer, type=dict[str, object])


async def _nothing() -> None:
    return


@contextmanager
def hall(directory: Path, messages_bytes: int = 64 << 20, auth_timeout_s: int = 5) -> Iterator[Hall]:
    made = Hall(directory, messages_bytes, auth_timeout_s)
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Platform:
    """The platform's half: responders, the Broker, and what it heard."""

    def __init__(self, place: Hall) -> None:
        self.hall = place
        self.clock = SystemClock()
        self.admission = StubAdmission()
        self.doorman = Doorman(self.admission, self.clock)
        self.heard = Heard()
        self.broker = Broker(
            place.credentials,
            self.clock,
            bounds=place.bounds,
            log_file=place.settings.log_file,
            store=place.directory,
            pid_file=place.settings.pid_file,
        )
        self._responder: asyncio.Task[None] | None = None

    @property
    def presence(self) -> frozenset[DeviceId]:
        return frozenset(self.broker.presence)

    def device(self, name: str, capabilities: frozenset[str] = TRUSTED, state: str = "trusted") -> DeviceId:
        """A device with a certificate (NAME.pem, NAME.key) that is admitted."""
        issued = self.hall.issue(name)
        return self.admit(name, issued, capabilities, state)

    def admit(
        self, name: str, issued: Issued, capabilities: frozenset[str] = TRUSTED, state: str = "trusted"
    ) -> DeviceId:
        device = DeviceId(name)
        self.admission.known[issued.fingerprint] = StubAdmitted(
            device, issued.certificate.not_valid_after_utc, StubDecision(state, capabilities)
        )
        return device

    def revoke(self, device: DeviceId) -> None:
        """From now on nobody is this device; what a caller commits before it kicks."""
        for fingerprint, admitted in list(self.admission.known.items()):
            if admitted.device == device:
                del self.admission.known[fingerprint]

    def set_end(self, device: DeviceId, not_after: datetime) -> None:
        for fingerprint, admitted in self.admission.known.items():
            if admitted.device == device:
                self.admission.known[fingerprint] = replace(admitted, not_after=not_after)

    async def start(self) -> None:
        self.broker.listen(self.heard)
        await self.broker.start()
        await self.start_responder()

    async def start_responder(self) -> None:
        responder = Responder(self.hall.credentials, self.doorman, self.clock)
        self._responder = asyncio.create_task(responder.run())
        await until(lambda: responder.listening.is_set() and self.doorman.ready)

    async def stop_responder(self) -> None:
        if self._responder is not None:
            self._responder.cancel()
            await asyncio.gather(self._responder, return_exceptions=True)

    async def close(self) -> None:
        await self.stop_responder()
        await self.broker.close()


@asynccontextmanager
async def platform(place: Hall) -> AsyncIterator[Platform]:
    made = Platform(place)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
