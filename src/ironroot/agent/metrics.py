"""How the host is doing, read from /proc: telemetry values, and who it talks to as a security report.

The report is the AWS IoT Device Defender metrics document with long names (header version 1.0). `network_stats` are
what went over the wire since the report before; lists are cut at 50 entries, `total` is exact.
Parsing is pure; `Host` reads the files. The loopback interface is left out of traffic, not of ports.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ironroot.core.clock import Clock
from ironroot.wire.messages import Value

MAX_LISTED = 50
_ESTABLISHED = "01"
_TCP_LISTEN = "0A"
_UDP_UNCONNECTED = "07"


@dataclass(frozen=True, slots=True)
class Socket:
    """One line of /proc/net/{tcp,udp}[6]."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counters of all interfaces but loopback, since boot."""

    bytes_in: int = 0
    packets_in: int = 0
    bytes_out: int = 0
    packets_out: int = 0

    def since(self, before: Traffic) -> Traffic:
        """The difference; where a counter went back (a reboot, an interface gone) what it shows now."""
        return Traffic(
            *(
                now - then if now >= then else now
                for now, then in (
                    (self.bytes_in, before.bytes_in),
                    (self.packets_in, before.packets_in),
                    (self.bytes_out, before.bytes_out),
                    (self.packets_out, before.packets_out),
                )
            )
        )


def parse_sockets(text: str) -> list[Socket]:
    """The sockets in a /proc/net table; lines that are none are left out."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        try:
            local, local_port = _endpoint(fields[1])
            remote, remote_port = _endpoint(fields[2])
            found.append(Socket(local, local_port, remote, remote_port, fields[3]))
        except (IndexError, ValueError):
            continue
    return found


def _endpoint(text: str) -> tuple[str, int]:
    """Address and port of `0100007F:1F90`: 32-bit words in the machine's byte order (little-endian here)."""
    words, port = text.split(":")
    raw = bytes.fromhex(words)
    swapped = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
    address = ipaddress.ip_address(swapped)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(address), int(port, 16)


def parse_traffic(text: str) -> Traffic:
    """The counters of /proc/net/dev, all interfaces but `lo`."""
    sums = [0, 0, 0, 0]
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        fields = rest.split()
        if not colon or name.strip() == "lo" or len(fields) < 10:
            continue
        try:
            for i, column in enumerate((0, 1, 8, 9)):
                sums[i] += int(fields[column])
        except ValueError:
            continue
    return Traffic(*sums)


def parse_cpu(text: str) -> tuple[int, int]:
    """(busy, all) ticks since boot, of the first line of /proc/stat."""
    fields = [int(field) for field in text.split("\n", 1)[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def parse_memory(text: str) -> float:
    """Memory in use, percent, of /proc/meminfo."""
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    total = int(rows["MemTotal"].split()[0])
    return round(100 * (1 - int(rows["MemAvailable"].split()[0]) / total), 1)


def defender_report(report_id: int, tcp: Iterable[Socket], udp: Iterable[Socket], traffic: Traffic) -> dict[str, Any]:
    """The report as a JSON object."""
    sockets = list(tcp)
    listening = _ports(s for s in sockets if s.state == _TCP_LISTEN)
    open_udp = _ports(s for s in udp if s.state == _UDP_UNCONNECTED)
    established = [s for s in sockets if s.state == _ESTABLISHED]
    return {
        "header": {"report_id": report_id, "version": "1.0"},
        "metrics": {
            "listening_tcp_ports": listening,
            "listening_udp_ports": open_udp,
            "network_stats": {
                "bytes_in": traffic.bytes_in,
                "bytes_out": traffic.bytes_out,
                "packets_in": traffic.packets_in,
                "packets_out": traffic.packets_out,
            },
            "tcp_connections": {
                "established_connections": {
                    "connections": [
                        {"local_port": s.local_port, "remote_addr": _remote(s)} for s in established[:MAX_LISTED]
                    ],
                    "total": len(established),
                }
            },
        },
    }


def _ports(sockets: Iterable[Socket]) -> dict[str, Any]:
    """Ports with the interface where it is certain: a port open to the host alone is another matter."""
    seen: dict[tuple[int, bool], None] = {}
    for s in sockets:
        seen[(s.local_port, ipaddress.ip_address(s.local).is_loopback)] = None
    rows: list[dict[str, Any]] = [
        {"interface": "lo", "port": port} if local else {"port": port} for port, local in sorted(seen)
    ]
    return {"ports": rows[:MAX_LISTED], "total": len(rows)}


def _remote(s: Socket) -> str:
    return f"[{s.remote}]:{s.remote_port}" if ":" in s.remote else f"{s.remote}:{s.remote_port}"


class Host:
    """Reads the host's own files. What a host does not have is left out rather than invented."""

    def __init__(self, clock: Clock, root: Path = Path("/")) -> None:
        self._clock = clock
        self._root = root
        self._cpu = (0, 0)
        self._traffic: Traffic | None = None
        self._report_id = 0

    def telemetry(self) -> dict[str, Value]:
        """Current values by telemetry name: percent, seconds, degrees Celsius."""
        values: dict[str, Value] = {}
        for read in (self._read_cpu, self._read_memory, self._read_uptime, self._read_load, self._read_disk):
            with contextlib.suppress(OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
                read(values)
        if (celsius := self._temperature()) is not None:
            values["temperature_c"] = celsius
        return values

    def _read_cpu(self, values: dict[str, Value]) -> None:
        busy, total = parse_cpu(self._read("proc/stat"))
        before, self._cpu = self._cpu, (busy, total)
        if total > before[1]:
            values["cpu_percent"] = round(100 * (busy - before[0]) / (total - before[1]), 1)

    def _read_memory(self, values: dict[str, Value]) -> None:
        values["memory_percent"] = parse_memory(self._read("proc/meminfo"))

    def _read_uptime(self, values: dict[str, Value]) -> None:
        values["uptime_s"] = int(float(self._read("proc/uptime").split()[0]))

    def _read_load(self, values: dict[str, Value]) -> None:
        values["load_1m"] = float(self._read("proc/loadavg").split()[0])

    def _read_disk(self, values: dict[str, Value]) -> None:
        disk = os.statvfs(self._root)
        values["disk_percent"] = round(100 * (1 - disk.f_bavail / disk.f_blocks), 1)

    def report(self) -> Mapping[str, Any]:
        """The security report; its id is the time, and grows even when the clock does not."""
        self._report_id = max(int(self._clock.now().timestamp()), self._report_id + 1)
        traffic = parse_traffic(self._read("proc/net/dev"))
        before, self._traffic = self._traffic, traffic
        tcp = [s for name in ("tcp", "tcp6") for s in parse_sockets(self._read(f"proc/net/{name}"))]
        udp = [s for name in ("udp", "udp6") for s in parse_sockets(self._read(f"proc/net/{name}"))]
        return defender_report(self._report_id, tcp, udp, traffic.since(before) if before else Traffic())

    def _temperature(self) -> float | None:
        hottest = None
        for zone in sorted(self._root.glob("sys/class/thermal/thermal_zone*/temp"))[:16]:
            try:
                celsius = int(zone.read_text()) / 1000
            except (OSError, ValueError):
                continue
            if -60 < celsius < 200:
                hottest = celsius if hottest is None else max(hottest, celsius)
        return hottest

    def _read(self, name: str) -> str:
        try:
            return (self._root / name).read_text(errors="replace")
        except OSError:
            return ""
