"""What must not break it: killed processes, a second start, a store of the other kind, bad circumstances at the start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.support.platform import IRONROOT, Device, Platform, eventually, free_base, https, sh
from tests.support.postgres import Postgres

Fresh = Callable[..., Platform]


def publish(platform: Platform, device: Device, name: str, text: str) -> bool:
    """Whether the broker acknowledged it at QoS 1."""
    done = sh(
        *("timeout", "10", "mosquitto_pub", "-h", "localhost", "-p", str(platform.base + 2), *device.mosquitto),
        *("-i", device.id, "-t", f"d/{device.id}/up/telemetry/{name}", "-m", text, "-q", "1"),
        ok=False,
    )
    return done.returncode == 0


def value(platform: Platform, device: Device, name: str) -> object:
    return platform.show(device.id)["telemetry"].get(name, {}).get("value")


@pytest.mark.parametrize("child", ["_platform", "_intake", "nats-server", "envoy"])
def test_killed_process_comes_back_and_nothing_acknowledged_is_lost(
    fresh_platform: Fresh, tmp_path: Path, child: str
) -> None:
    platform = fresh_platform().start()
    device = platform.enrol("meter-1", tmp_path)
    before = platform.cli("status")["log"]["head"]
    os.kill(platform.pid_of(child), signal.SIGKILL)
    sent = {}
    for n in range(8):
        text = str(time.time_ns())
        if publish(platform, device, f"n{n}", text):
            sent[f"n{n}"] = int(text)
    eventually(lambda: platform.run("status").returncode == 0, "ready again", 30)
    eventually(lambda: publish(platform, device, "after", "1"), "devices get in again", 20)
    for name, wanted in sent.items():
        eventually(lambda n=name, w=wanted: value(platform, device, n) == w, f"{name} arrived", 20)  # type: ignore[misc]
    assert https(platform, 1, "/device/v1/status", *device.curl)[0] == 200
    status = platform.cli("status")
    assert status["log"]["head"] >= before
    out = tmp_path / "facts"
    platform.cli("audit", "export", "--out", str(out))
    assert platform.run("audit", "verify", str(out)).returncode == 0


def test_revocation_committed_before_a_crash_is_carried_out_after_it(fresh_platform: Fresh, tmp_path: Path) -> None:
    platform = fresh_platform().start()
    device = platform.enrol("meter-1", tmp_path)
    argv = ["mosquitto_sub", "-h", "localhost", "-p", str(platform.base + 2), *device.mosquitto, "-i", "meter-1"]
    with subprocess.Popen([*argv, "-t", "d/meter-1/down/#"], stderr=subprocess.DEVNULL) as live:
        eventually(lambda: platform.show("meter-1")["connected"], "connected")
        platform.cli("device", "revoke", "meter-1", "--reason", "keyCompromise")
        os.kill(platform.pid_of("_platform"), signal.SIGKILL)
        eventually(lambda: platform.run("status").returncode == 0, "ready again", 30)
        eventually(lambda: not platform.show("meter-1")["connected"], "cut off", 10)
        assert not publish(platform, device, "x", "1")
        live.kill()


def test_second_start_reuses_everything_and_leaves_nothing_behind(fresh_platform: Fresh, tmp_path: Path) -> None:
    platform = fresh_platform(demo=2).start()
    first = platform.cli("ca", "list")["items"]
    device = platform.enrol("meter-9", tmp_path)
    serial = platform.show("camera-01")["certificate"]["serial"]
    platform.cli("device", "revoke", "meter-01", "--reason", "cessationOfOperation")
    runtime = sorted(Path("/tmp").glob("ironroot-*"))
    assert platform.stop() == 0
    assert not (platform.data / "run.json").exists()
    eventually(lambda: not _listening(platform.base), "the port is free")
    assert len(sorted(Path("/tmp").glob("ironroot-*"))) < len(runtime)
    platform.start()
    assert platform.cli("ca", "list")["items"] == first
    assert platform.show("camera-01")["certificate"]["serial"] == serial
    assert platform.show("meter-01")["trust"]["state"] == "revoked"
    assert publish(platform, device, "again", "1")
    # Nobody signed in yet: still a link for the first administrator.
    eventually(lambda: "irl_" in platform.output.read_text(), "the link is printed", 60)


def test_killed_supervisor_leaves_nothing_and_starts_again(fresh_platform: Fresh, tmp_path: Path) -> None:
    platform = fresh_platform().start()
    device = platform.enrol("meter-1", tmp_path)
    assert platform.process is not None
    children = _children(platform.process.pid)
    assert len(children) >= 5
    platform.process.kill()
    platform.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "children end with it", 10)
    platform.start()
    assert publish(platform, device, "again", "1")


def test_taken_port_is_refused_and_named(fresh_platform: Fresh) -> None:
    platform = fresh_platform()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", platform.base + 2))
        taken.listen()
        done = subprocess.run(
            [str(IRONROOT), "up", "--data", str(platform.data), "--port-base", str(platform.base)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert str(platform.base + 2) in done.stderr


def test_the_same_on_postgresql(fresh_platform: Fresh, postgres_over_tcp: str, tmp_path: Path) -> None:
    platform = fresh_platform(demo=2, environment={"IRONROOT_STORE_URL": postgres_over_tcp}).start()
    device = platform.enrol("meter-1", tmp_path)
    assert platform.cli("status")["store"] == {"engine": "postgresql"}
    assert publish(platform, device, "n", "42")
    eventually(lambda: value(platform, device, "n") == 42, "the value is in the store")
    platform.cli("device", "revoke", "meter-1", "--reason", "keyCompromise")
    assert not publish(platform, device, "n", "43")
    out = tmp_path / "facts"
    platform.cli("audit", "export", "--out", str(out))
    assert platform.run("audit", "verify", str(out)).returncode == 0


@pytest.fixture
async def postgres_over_tcp(postgres: Postgres) -> AsyncIterator[str]:
    """The address of an empty database."""
    async with postgres.database() as name:
        yield postgres.url(name)


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(entry.name))
    return found


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small file system: root")
def test_full_disk_loses_nothing_acknowledged_and_mends_itself(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=160m,mode=700", "tmpfs", str(small))
    platform = Platform(small / "data", free_base())
    try:
        platform.start()
        device = platform.enrol("meter-1", tmp_path)
        assert publish(platform, device, "before", "1")
        filler = small / "filler"
        with filler.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(64 << 10))
                except OSError:
                    break
        acknowledged = {}
        for n in range(6):
            text = str(time.time_ns())
            if publish(platform, device, f"n{n}", text):
                acknowledged[f"n{n}"] = int(text)
        refused = platform.run("claim", "create", "--device", "meter-2", "--json")
        if refused.returncode:  # a last free page may still take it
            assert "urn:ironroot:problem:" in refused.stderr
        filler.unlink()
        eventually(lambda: platform.run("status").returncode == 0, "ready again", 40)
        eventually(lambda: publish(platform, device, "after", "1"), "devices get in again", 20)
        for name, wanted in acknowledged.items():
            eventually(lambda n=name, w=wanted: value(platform, device, n) == w, f"{name} arrived", 20)  # type: ignore[misc]
        out = tmp_path / "facts"
        platform.cli("audit", "export", "--out", str(out))
        assert platform.run("audit", "verify", str(out)).returncode == 0
    finally:
        if platform.process is not None:
            platform.stop()
        sh("umount", "-l", str(small))
