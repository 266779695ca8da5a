"""Real keys, real sockets: a fleet against an EST server, mosquitto (with ACLs per certificate) and nats-server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from ironroot.agent.backoff import Backoff
from ironroot.core.errors import Misconfigured, Unavailable
from ironroot.core.ids import CommandId, DeviceId
from ironroot.simulator import fleet as module
from ironroot.simulator.fleet import Fleet, FleetOptions
from ironroot.simulator.host import request_claim
from ironroot.simulator.main import parse
from ironroot.simulator.registrar import host_claims
from ironroot.simulator.world import Churn
from ironroot.wire.messages import Command, CommandResult, ConfigResult, DesiredConfig, Hello, Outcome, parse_event
from tests.agent.broker import Broker, Platform
from tests.agent.est_server import EstServer, problem
from tests.agent.pki import Pki, now
from tests.simulator.stand_in import HostSocket, Nats

Begin = Callable[..., AbstractAsyncContextManager[Fleet]]


async def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
            return
    pytest.fail(f"not within {seconds} s: {what}")


@pytest.fixture
def begin(est: EstServer, host: HostSocket, pki: Pki, tmp_path: Path) -> Begin:
    @asynccontextmanager
    async def running(port: int, count: int = 4, **more: object) -> AsyncIterator[Fleet]:
        options = FleetOptions(
            count=count,
            server=est.url,
            mqtt=f"localhost:{port}",
            directory=tmp_path / "fleet",
            ca=pki.roots_path,
            backoff=Backoff(0.05, 0.4),
            **{"interval_s": 0.2, **more},  # type: ignore[arg-type]
        )
        ready = asyncio.Event()
        fleet = Fleet(options, host_claims(host.path), say=lambda _text: None, ready=ready.set)
        task = asyncio.create_task(fleet.run())
        try:
            async with asyncio.timeout(30):
                await ready.wait()
            yield fleet
        finally:
            fleet.stop()
            await task
            assert fleet.connected == 0

    return running


async def test_each_device_enrols_and_connects_with_its_own_certificate(
    begin: Begin, broker: Broker, pki: Pki, host: HostSocket, tmp_path: Path
) -> None:
    platform = await asyncio.to_thread(Platform, broker, pki, tmp_path)
    async with begin(broker.port, 8) as fleet:
        assert fleet.connected == 8
        assert {(a["device"], a["type"]) for a in host.asked} >= {("meter-01", "meter"), ("camera-01", "camera")}
        names = {str(d.simulated.id) for d in fleet.devices}
        # the broker lets each write below its certificate's own name only, so these prove who connected
        await until(lambda: {t.split("/")[1] for t, _ in platform.heard if "/telemetry/" in t} == names, "telemetry")
        hellos = [t for t, p in platform.heard if t.endswith("event") and isinstance(parse_event(p), Hello)]
        assert len(hellos) == 8
        await until(lambda: any(t.endswith("/energy_kwh") for t, _ in platform.heard), "a meter's energy")
    keys = {(tmp_path / "fleet" / name / "key.pem").read_bytes() for name in names}
    assert len(keys) == 8
    await asyncio.to_thread(platform.close)


async def test_orders_are_obeyed_and_a_reboot_comes_back(
    begin: Begin, broker: Broker, pki: Pki, tmp_path: Path
) -> None:
    platform = await asyncio.to_thread(Platform, broker, pki, tmp_path)

    def events() -> list[object]:
        return [parse_event(p) for p in platform.on("meter-01/up/event")]

    async with begin(broker.port, 1) as fleet:
        platform.say("d/meter-01/down/config", DesiredConfig(1, {"interval_s": 1}).encode())
        await until(lambda: ConfigResult(1, Outcome.APPLIED) in events(), "configuration applied")
        assert fleet.devices[0].simulated.interval_s == 1
        command = Command(CommandId("cmd_1"), "reboot", {}, now() + timedelta(hours=1))
        platform.say("d/meter-01/down/command", command.encode())
        await until(lambda: any(isinstance(e, CommandResult) for e in events()), "reboot answered")
        await until(lambda: fleet.connected == 0, "away")
        await until(lambda: fleet.connected == 1, "back")
        assert sum(isinstance(e, Hello) for e in events()) == 2
    await asyncio.to_thread(platform.close)


async def test_a_second_start_uses_the_keys_of_the_first(
    begin: Begin, nats: Nats, host: HostSocket, est: EstServer
) -> None:
    async with begin(nats.port, 6) as fleet:
        assert fleet.connected == 6
    assert len(host.asked) == 6
    async with begin(nats.port, 6) as fleet:
        assert fleet.connected == 6
    assert len(host.asked) == 6
    assert sum(r.path.endswith("enroll") for r in est.requests) == 6


async def test_a_fleet_of_another_platform_enrols_anew(
    begin: Begin, nats: Nats, host: HostSocket, tmp_path: Path
) -> None:
    async with begin(nats.port, 2):
        pass
    (tmp_path / "other").mkdir()
    (tmp_path / "fleet" / "meter-01" / "roots.pem").write_bytes(Pki(tmp_path / "other").root.pem)
    async with begin(nats.port, 2) as fleet:
        assert fleet.connected == 2
    assert [a["device"] for a in host.asked].count("meter-01") == 2


async def test_a_certificate_is_renewed_and_used(begin: Begin, nats: Nats, est: EstServer) -> None:
    est.lifetime = timedelta(minutes=6)  # five of them past: over two thirds of its life
    async with begin(nats.port, 1) as fleet:
        device = fleet.devices[0]
        first = device.life
        est.lifetime = timedelta(days=7)
        await until(lambda: device.life is not first, "renewed")
        await until(lambda: fleet.connected == 1, "back with the new one")
    assert est.requests[-1].path.endswith("simplereenroll")
    assert est.requests[-1].client == "meter-01"


async def test_a_busy_platform_is_asked_again(begin: Begin, nats: Nats, est: EstServer) -> None:
    busy = iter([problem(429, "too many", **{"retry-after": "0"}), problem(503, "starting")])
    est.override = lambda request: next(busy, None) if request.path.endswith("simpleenroll") else None
    async with begin(nats.port, 2) as fleet:
        assert fleet.connected == 2


async def test_an_unwanted_device_does_not_keep_the_fleet_from_being_ready(
    begin: Begin, nats: Nats, host: HostSocket
) -> None:
    host.refused.add("camera-01")
    async with begin(nats.port, 4) as fleet:
        assert fleet.connected == 3


async def test_all_come_back_after_the_broker_was_gone(begin: Begin, broker: Broker) -> None:
    async with begin(broker.port, 4) as fleet:
        await asyncio.to_thread(broker.stop)
        await until(lambda: fleet.connected == 0, "noticed")
        await asyncio.to_thread(broker.start)
        await until(lambda: fleet.connected == 4, "all back")


async def test_churn_takes_devices_away_and_back(begin: Begin, nats: Nats) -> None:
    async with begin(nats.port, 4, churn=Churn(0.5, 0.3), interval_s=0.05) as fleet:
        await until(lambda: fleet.connected < 4, "somebody left")
        await until(lambda: fleet.connected == 4, "all here at once")


def test_a_platform_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        request_claim(tmp_path / "no.sock", DeviceId("meter-1"), "meter")


def test_the_command_line() -> None:
    argv = [
        "--count", "3", "--server", "https://localhost:8444", "--mqtt", "localhost:8883", "--state", "s",
        "--ca", "c", "--host-socket", "h",
    ]  # fmt: skip
    options, socket = parse([*argv, "--interval", "10s", "--churn"])
    assert (options.count, options.interval_s, options.churn, socket) == (3, 10.0, Churn(), Path("h"))
    for wrong in (["--count", "0"], ["--interval", "x"]):
        with pytest.raises(SystemExit):
            parse([*argv, *wrong])


def test_too_many_devices_for_the_open_files_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 128))
    with pytest.raises(Misconfigured, match="128 allowed"):
        module._allow_files(1000)


def test_the_process_says_ready_on_its_descriptor_and_stops_on_sigterm(
    est: EstServer, host: HostSocket, nats: Nats, pki: Pki, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    argv = [
        "--count", "5", "--server", est.url, "--mqtt", f"localhost:{nats.port}", "--state", str(tmp_path / "fleet"),
        "--ca", str(pki.roots_path), "--host-socket", str(host.path),
    ]  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-m", "ironroot.simulator.main", *argv],
        env={"PATH": os.environ["PATH"], "IRONROOT_NOTIFY_FD": str(writing)},
        pass_fds=[writing],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        os.close(writing)
        assert os.read(reading, 16) == b"ready\n"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    os.close(reading)
    assert process.returncode == 0, output.decode()
    assert b"5 of 5 connected" in output
    assert output.endswith(b"simulator: stopped\n")
