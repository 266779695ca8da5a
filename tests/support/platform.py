"""The whole platform, started as a user starts it, and devices enrolled with nothing but openssl and curl."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

IRONROOT = Path(sys.executable).with_name("ironroot")
READY_S = 60.0


def free_base() -> int:
    """A port base whose six ports are free."""
    for base in range(23_000, 60_000, 10):
        try:
            for port in range(base, base + 6):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise AssertionError("no six free ports")


def eventually(holds: Callable[[], Any], what: str, within_s: float = 10.0) -> Any:
    """The first truthy answer of `holds`; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.02)


@dataclass
class Device:
    """What a device holds: key, certificate and the platform's root, as files."""

    id: str
    key: Path
    certificate: Path
    ca: Path

    @property
    def curl(self) -> list[str]:
        return ["--cacert", str(self.ca), "--cert", str(self.certificate), "--key", str(self.key)]

    @property
    def mosquitto(self) -> list[str]:
        return ["--cafile", str(self.ca), "--cert", str(self.certificate), "--key", str(self.key)]


@dataclass
class Platform:
    """A running platform."""

    data: Path
    base: int
    demo: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> Path:
        return self.data.parent / f"{self.data.name}.out"

    def start(self) -> Platform:
        argv = [str(IRONROOT), "up", "--data", str(self.data), "--port-base", str(self.base)]
        if self.demo:
            argv += ["--demo", str(self.demo)]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, env=os.environ | self.environment)
        eventually(self._is_ready, "the platform is ready", READY_S)
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()
        if not (self.data / "run.json").is_file():
            return False
        return self.run("status", "--json").returncode == 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def run(self, *args: str, data: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [str(IRONROOT), *args, *(("--data", str(self.data)) if data else ())]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def cli(self, *args: str) -> Any:
        """A command that must succeed; its JSON."""
        done = self.run(*args, "--json")
        assert done.returncode == 0, f"{args}: {done.stdout} {done.stderr}"
        return json.loads(done.stdout)

    def url(self, door: int, path: str) -> str:
        return f"https://localhost:{self.base + door}{path}"

    def pid_of(self, name: str) -> int:
        """The process of a child, by what it was started with."""
        assert self.process is not None
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == self.process.pid and name in command:
                return int(entry.name)
        raise AssertionError(f"no child {name}")

    def ca(self, into: Path) -> Path:
        path = into / "ca.pem"
        self.cli("ca", "export", "--out", str(path))
        return path

    def enrol(self, device: str, into: Path) -> Device:
        """Enrol through EST with openssl and curl alone."""
        into.mkdir(parents=True, exist_ok=True)
        claim = self.cli("claim", "create", "--device", device)["claim"]
        made = Device(device, into / f"{device}.key", into / f"{device}.pem", self.ca(into))
        new_key(made.key)
        est(self, made, request(made.key, device, into), f"{device}:{claim}")
        return made

    def show(self, device: str) -> Any:
        return self.cli("device", "show", device)

    def facts(self, **wanted: str) -> list[Any]:
        options = [part for name, value in wanted.items() for part in (f"--{name}", value)]
        return list(self.cli("audit", "list", *options)["items"])


def sh(*argv: str, stdin: bytes | None = None, ok: bool = True) -> subprocess.CompletedProcess[bytes]:
    """Run a stock program."""
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=30, check=False)
    assert not ok or done.returncode == 0, f"{argv}: {done.stdout!r} {done.stderr!r}"
    return done


def new_key(path: Path) -> None:
    sh("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path))


def request(key: Path, name: str, into: Path) -> Path:
    """A certificate request, base64 as EST wants it."""
    der, text = into / f"{name}.csr", into / f"{name}.b64"
    sh("openssl", "req", "-new", "-key", str(key), "-subj", f"/CN={name}", "-outform", "DER", "-out", str(der))
    sh("openssl", "base64", "-in", str(der), "-out", str(text))
    return text


def est(
    platform: Platform, device: Device, csr: Path, user: str | None, operation: str = "simpleenroll", status: int = 200
) -> bytes:
    """One EST exchange by curl; on success the certificate is written where the device keeps it."""
    who = ["--user", user] if user else device.curl[2:]
    done = sh(
        *("curl", "-sS", "--cacert", str(device.ca), *who),
        *("-H", "Content-Type: application/pkcs10", "--data-binary", f"@{csr}", "-w", "\n%{http_code}"),
        platform.url(1, f"/.well-known/est/{operation}"),
    ).stdout
    body, _, code = done.rpartition(b"\n")
    assert int(code) == status, done
    if status == 200:
        pkcs7 = sh("openssl", "base64", "-d", stdin=body).stdout
        pem = sh("openssl", "pkcs7", "-inform", "DER", "-print_certs", stdin=pkcs7).stdout
        device.certificate.write_bytes(pem)
    return body


def https(platform: Platform, door: int, path: str, *options: str) -> tuple[int, bytes]:
    """Status (0: no handshake) and body of a request by curl."""
    done = sh("curl", "-sS", "-w", "\n%{http_code}", *options, platform.url(door, path), ok=False)
    body, _, code = done.stdout.rpartition(b"\n")
    return int(code or 0), body


@pytest.fixture
def fresh_platform() -> Iterator[Callable[..., Platform]]:
    """Makes platforms of a test's own; all are stopped at its end."""
    made: list[Platform] = []

    def make(**options: Any) -> Platform:
        data = Path(tempfile.mkdtemp(prefix="irt-")) / "data"
        platform = Platform(data, free_base(), **options)
        made.append(platform)
        return platform

    yield make
    for platform in made:
        if platform.process is not None and platform.process.poll() is None:
            platform.stop()
        shutil.rmtree(platform.data.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """One platform for all tests that leave it whole, with a small fleet."""
    root = Path(tempfile.mkdtemp(prefix="irt-"))
    running = Platform(root / "data", free_base(), demo=4)
    try:
        yield running.start()
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        shutil.rmtree(root, ignore_errors=True)
