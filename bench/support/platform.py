"""The platform as a user starts it: `ironroot up`, watched from outside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench.support.processes import Memory, children, cpu_s, end, memory, wait_for

IRONROOT = Path(sys.executable).with_name("ironroot")
READY_S = 90.0
ROLES = {
    "nats-server": "nats-server",
    "envoy": "envoy",
    "_platform": "platform",
    "_authz": "authz",
    "_intake": "intake",
}


def free_base() -> int:
    """A port base whose six ports are free."""
    for base in range(26_000, 32_000, 10):
        try:
            for port in range(base, base + 6):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base
    raise OSError("no six free ports")


@dataclass
class Platform:
    """A running platform on loopback."""

    data: Path
    base: int
    process: subprocess.Popen[bytes]
    ready_s: float
    """From the command to its line `is ready`."""

    @property
    def devices_port(self) -> int:
        """HTTPS for devices."""
        return self.base + 1

    @property
    def mqtt_port(self) -> int:
        """MQTT over TLS."""
        return self.base + 2

    def pids(self) -> dict[int, str]:
        """Its processes: what each is, by id. Two responders of the callout are `authz 1` and `authz 2`."""
        found = {self.process.pid: "supervisor"}
        seen: dict[str, int] = {}
        for pid, argv in sorted(children(self.process.pid).items()):
            role = next((ROLES[w] for w in (Path(a).name for a in argv) if w in ROLES), Path(argv[0]).name)
            seen[role] = seen.get(role, 0) + 1
            found[pid] = f"{role} {seen[role]}" if role == "authz" else role
        return found

    def cpu_s(self) -> float:
        """Processor seconds of all its processes so far."""
        return cpu_s(self.pids())

    def cpu_by_role(self) -> dict[str, float]:
        """The same, process by process."""
        return {role: cpu_s([pid]) for pid, role in self.pids().items()}

    def memory(self) -> dict[str, Memory]:
        """What each process holds."""
        return {role: memory(pid) for pid, role in self.pids().items()}

    @contextmanager
    def host_api(self) -> Iterator[httpx.Client]:
        """The API through the host's socket, one kept-alive connection."""
        runtime = json.loads((self.data / "run.json").read_bytes())["runtime"]
        transport = httpx.HTTPTransport(uds=f"{runtime}/host.sock")
        with httpx.Client(transport=transport, base_url="http://host/api/v1", timeout=30) as client:
            yield client

    def cli(self, *args: str) -> Any:
        """A command's answer. Raises CalledProcessError."""
        argv = [str(IRONROOT), *args, "--data", str(self.data), "--json"]
        return json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout)


@contextmanager
def up(data: Path, *, store_url: str = "") -> Iterator[Platform]:
    """`ironroot up` on a data directory, ready; stopped with the block."""
    base = free_base()
    argv = [str(IRONROOT), "up", "--data", str(data), "--port-base", str(base)]
    environment = {**os.environ, **({"IRONROOT_STORE_URL": store_url} if store_url else {})}
    output = data.with_suffix(".out")
    began = time.monotonic()
    with output.open("wb") as out:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(output.read_text())
        return b"is ready after" in output.read_bytes()

    try:
        wait_for(ready, "the platform is ready", READY_S, every_s=0.005)
        yield Platform(data, base, process, time.monotonic() - began)
    finally:
        end(process)
