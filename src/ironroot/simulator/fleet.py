"""A simulated fleet with real keys, certificates and sockets, in one process.

Each device enrols by EST with the agent's own code, keeps its identity in a directory of its own, connects by MQTT over
mutual TLS and behaves as `devices` says. Handshakes and enrolments at a time are bounded; a device that is refused or
cut off comes back with jittered back-off, at most every 30 seconds when it stays unwanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ironroot.agent.backoff import Backoff
from ironroot.agent.clock import SystemClock
from ironroot.agent.http import Address, host_port
from ironroot.agent.renew import Attempts, Due, certificate_randomness, due
from ironroot.agent.state import CertificateLife, State
from ironroot.core.clock import Clock
from ironroot.core.errors import IronrootError, Misconfigured, Refused, TooMany, Unavailable
from ironroot.simulator import mqtt
from ironroot.simulator.devices import REPORT_INTERVAL_S, SimulatedDevice, fleet_ids
from ironroot.simulator.models import Kind
from ironroot.simulator.registrar import Claims, Registrar, uniform
from ironroot.simulator.world import Churn
from ironroot.wire import topics

HANDSHAKES = 24
KEEPALIVE_S = 60
CONNECT_S = 30.0
SETTLED_AFTER = 3
"""Refusals after which a device counts as settled: a revoked one must not keep the fleet from being ready."""
MAX_UNACKNOWLEDGED = 256


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """What a fleet is told. `server` is the device door's URL, `mqtt` HOST:PORT."""

    count: int
    server: str
    mqtt: str
    directory: Path
    ca: Path
    interval_s: float = 5.0
    churn: Churn | None = None
    seed: int = 1
    backoff: Backoff = Backoff(1.0, 30.0)  # noqa: RUF009 (frozen)


class _Device:
    """One device's connection and state."""

    def __init__(self, simulated: SimulatedDevice, state: State) -> None:
        self.simulated = simulated
        self.state = state
        self.connection: mqtt.Connection | None = None
        self.life: CertificateLife | None = None
        self.attempts = Attempts()
        self.refusals = 0
        self.was_connected = False
        self.gave_up = False
        self.waiting: list[tuple[str, bytes]] = []
        self.away_s = 0.0

    @property
    def settled(self) -> bool:
        """Whether its first fate is known."""
        return self.was_connected or self.gave_up or self.refusals >= SETTLED_AFTER


def _say(text: str) -> None:
    sys.stdout.write(f"simulator: {text}\n")
    sys.stdout.flush()


class Fleet:
    """Runs until `stop`. `connected` and `settled` count devices."""

    def __init__(
        self,
        options: FleetOptions,
        claims: Claims,
        *,
        clock: Clock | None = None,
        say: Callable[[str], None] = _say,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._options = options
        self._clock: Clock = clock or SystemClock()
        self._say = say
        self._ready = ready
        self._is_ready = False
        self._broker = host_port(options.mqtt, 8883)
        self._addresses: list[tuple[str, int]] = []
        self._identities = mqtt.Identities(options.ca)
        self._handshakes = asyncio.Semaphore(HANDSHAKES)
        self._registrar = Registrar(options.server, options.ca, claims, self._clock)
        self._stop = asyncio.Event()
        self._began = time.monotonic()
        self._told = 0
        now = self._clock.now()
        options.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.devices = [
            _Device(
                SimulatedDevice(device, kind, options.seed, now, interval_s=options.interval_s),
                State(options.directory / device, durable=False),
            )
            for device, kind in fleet_ids(options.count)
        ]

    @property
    def connected(self) -> int:
        """How many are connected now."""
        return sum(device.connection is not None for device in self.devices)

    def stop(self) -> None:
        """Let `run` hang up and return."""
        self._stop.set()

    async def run(self) -> None:
        """Enrol, connect and live until `stop`. Raises Unavailable when the broker's name cannot be resolved."""
        self._addresses = await _resolve(self._broker)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._live(device)) for device in self.devices]
            tasks.append(group.create_task(self._watch()))
            await self._stop.wait()
            for task in tasks:
                task.cancel()
        for device in self.devices:
            if device.connection is not None:
                device.connection.disconnect()
        self._registrar.close()

    async def _live(self, device: _Device) -> None:
        """One device from enrolment to the end."""
        failures = 0
        if not await self._enrol(device):
            return
        while True:
            began = self._clock.monotonic()
            try:
                async with self._handshakes:
                    connection = await self._connect(device)
            except mqtt.Refused:
                device.refusals += 1
                failures += 1
            except OSError:
                failures += 1
            else:
                device.refusals = 0
                await self._stay(device, connection)
                failures = 1 if self._clock.monotonic() - began > 60 else failures + 1
                if device.away_s or device.simulated.is_restarting(self._clock.now()):
                    failures = 0
            self._progress()
            await asyncio.sleep(self._away_s(device, failures))

    def _away_s(self, device: _Device, failures: int) -> float:
        """How long to stay away: a restart, churn, or back-off."""
        away_s, device.away_s = device.away_s, 0.0
        until = device.simulated.restarting_until
        wait = max(0.0, (until - self._clock.now()).total_seconds()) if until else 0.0
        wait = max(wait, away_s)
        if failures:
            wait = max(wait, self._options.backoff.delay_s(failures, uniform()))
        return wait

    async def _connect(self, device: _Device) -> mqtt.Connection:
        simulated, loop = device.simulated, asyncio.get_running_loop()

        def received(topic: str, payload: bytes) -> None:
            answers = simulated.receive(topic, payload, self._clock.now())
            connection.publish(answers)
            if simulated.is_restarting(self._clock.now()):
                loop.call_later(0.2, connection.disconnect)  # the answer goes out before the device goes down

        connection = mqtt.Connection(received, loop)
        try:
            async with asyncio.timeout(CONNECT_S):
                await connection.open(
                    self._addresses,
                    self._identities,
                    (device.state.certificate_path, device.state.keys.tls_path),
                    simulated.id,
                    server_name=self._broker.host,
                    keepalive_s=KEEPALIVE_S,
                )
                await connection.subscribe(topics.down(simulated.id))
        except BaseException:
            connection.close("could not connect")
            raise
        return connection

    async def _stay(self, device: _Device, connection: mqtt.Connection) -> None:
        """Speak until the connection ends, by whomever."""
        simulated = device.simulated
        device.connection = connection
        device.was_connected = True
        self._progress()
        connection.publish([simulated.hello(), *device.waiting])
        device.waiting = []
        loop = asyncio.get_running_loop()
        phase = uniform()  # a fleet that came back together does not speak together
        next_report = loop.time() + REPORT_INTERVAL_S * phase
        churn = self._options.churn
        leave = loop.time() + simulated.chance.expovariate(1 / churn.online_s) if churn else float("inf")
        try:
            await _ends_within(connection, simulated.interval_s * phase)
            while not connection.closed.done():
                if loop.time() >= leave and churn is not None:
                    device.away_s = simulated.chance.expovariate(1 / churn.offline_s)
                    connection.disconnect()
                    break
                now = self._clock.now()
                if len(connection.unacknowledged) < MAX_UNACKNOWLEDGED:
                    connection.publish(simulated.telemetry(now))
                if loop.time() >= next_report:
                    next_report = loop.time() + REPORT_INTERVAL_S
                    connection.publish([simulated.report(now)])
                if await self._renewed(device, now):
                    connection.disconnect()
                    break
                await _ends_within(connection, simulated.interval_s)
        finally:
            device.connection = None
            device.waiting = list(connection.unacknowledged.values())[-MAX_UNACKNOWLEDGED:]
            connection.close("left")

    async def _watch(self) -> None:
        """Pings for the quiet, an end for the dead: one timer for the whole fleet."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(KEEPALIVE_S / 4)
            now = loop.time()
            for device in self.devices:
                connection = device.connection
                if connection is None:
                    continue
                if now - connection.heard_at > KEEPALIVE_S * 1.5:
                    connection.close("nothing heard")
                elif max(now - connection.said_at, now - connection.heard_at) > KEEPALIVE_S / 2:
                    connection.ping()

    async def _enrol(self, device: _Device) -> bool:
        """See to an identity. False: the platform will not have this device."""
        failures = 0
        while True:
            try:
                device.life = await self._registrar.enrol(device.state, device.simulated)
            except IronrootError as e:
                if isinstance(e, Refused) and not isinstance(e, TooMany):
                    self._say(f"{device.simulated.id} is not enrolled: {e.message}")
                    device.gave_up = True
                    self._progress()
                    return False
                failures += 1
                if failures in {1, 10}:
                    self._say(f"{device.simulated.id} waits to be enrolled: {e.message}")
                await asyncio.sleep(self._options.backoff.delay_s(failures, uniform()))
            else:
                return True

    async def _renewed(self, device: _Device, now: datetime) -> bool:
        """Renew the certificate when it is due. True: connect again with the new one."""
        life = device.life
        if life is None or not device.attempts.may_try(now):
            return False
        randomness = certificate_randomness(life.fingerprint)
        if due(now, life.not_before, life.not_after, randomness) is not Due.NOW:
            return False
        try:
            device.life = await self._registrar.renew(device.state)
        except IronrootError as e:
            device.attempts = device.attempts.failed(now, life.not_after, uniform())
            self._say(f"{device.simulated.id}: certificate not renewed: {e.message}")
            return False
        device.attempts = Attempts()
        return True

    def _progress(self) -> None:
        count = len(self.devices)
        settled = sum(device.settled for device in self.devices) if not self._is_ready else count
        if not self._is_ready and settled - self._told >= max(count // 10, 1) and settled < count:
            self._told = settled
            self._say(f"{self.connected} of {count} connected")
        if not self._is_ready and settled == count:
            self._is_ready = True
            self._say(f"{self.connected} of {count} connected after {time.monotonic() - self._began:.1f} s")
            self._ready()


async def _ends_within(connection: mqtt.Connection, seconds: float) -> None:
    """Return after `seconds`, or when the connection ends."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.shield(connection.closed)


async def _resolve(address: Address) -> list[tuple[str, int]]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, type=1)
    except OSError as e:
        raise Unavailable(f"{address.host} has no address", remedy="check --mqtt") from e
    return [(str(sockaddr[0]), int(sockaddr[1])) for *_, sockaddr in found]


def notify_ready() -> None:
    """Tell the supervisor, on the descriptor it gave in IRONROOT_NOTIFY_FD."""
    descriptor = os.environ.get("IRONROOT_NOTIFY_FD", "")
    if descriptor.isdigit():
        with contextlib.suppress(OSError):
            os.write(int(descriptor), b"ready\n")


def run(options: FleetOptions, claims: Claims) -> int:
    """Run a fleet until SIGINT or SIGTERM. Returns the exit status; raises IronrootError for wrong options."""
    _allow_files(options.count + 256)

    async def main() -> None:
        fleet = Fleet(options, claims, ready=notify_ready)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, fleet.stop)
        _say(f"{options.count} devices: {_mix(options.count)}")
        await fleet.run()
        _say("stopped")

    asyncio.run(main())
    return 0


def _allow_files(count: int) -> None:
    """A socket per device is more than the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise Misconfigured(
                f"{count} files are needed, {hard} allowed", remedy="raise `ulimit -Hn`, or --count less"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _mix(count: int) -> str:
    kinds = [kind for _, kind in fleet_ids(count)]
    return ", ".join(f"{n} {kind}{'s' if n != 1 else ''}" for kind in Kind if (n := kinds.count(kind)))
