"""How often devices can ask for their status over HTTPS, on kept-alive connections with their certificates.

Each request is admitted anew. Beside it, through the same door, a request that needs no admission (`/healthz`): what
Envoy, the socket behind it and the HTTP server cost by themselves.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import uvloop

from bench.support import fleet as fleets
from bench.support import https
from bench.support.figures import Bench, number, percentile, spread
from bench.support.fleet import Fleet
from bench.support.platform import Platform, up

CLIENTS = 8
PATHS = ("/device/v1/status", "/healthz")


@dataclass(frozen=True, slots=True)
class Found:
    """One round."""

    took: list[float]
    seconds: float
    roles: dict[str, float]
    client_cpu_s: float


def polls(bench: Bench) -> None:
    """Measure it, alternating the two paths."""
    fleet = fleets.shared(bench)
    with up(fleet.copy(bench.scratch / "polls")) as platform:
        found = uvloop.run(_all(bench, platform, fleet))
    rows, notes = [], []
    for path, rounds in found.items():
        took = [second for one in rounds for second in one.took]
        roles = {role: sum(one.roles[role] for one in rounds) for role in rounds[0].roles}
        rows.append(
            [
                path,
                spread([len(one.took) / one.seconds for one in rounds]),
                number(1e3 * percentile(took, 50)),
                number(1e3 * percentile(took, 99)),
                number(1e6 * sum(roles.values()) / len(took)),
                number(1e6 * sum(one.client_cpu_s for one in rounds) / len(took)),
            ]
        )
        notes.append(
            f"{path}, our CPU each, µs: "
            + ", ".join(f"{role} {1e6 * cpu / len(took):.0f}" for role, cpu in roles.items() if cpu)
        )
        bench.keep(**{path: [len(one.took) / one.seconds for one in rounds]})
    columns = ["", "requests/s", "p50 ms", "p99 ms", "server CPU µs each", "client CPU µs each"]
    bench.table(f"HTTPS, {CLIENTS} kept-alive connections with client certificates", columns, rows, *notes)


async def _all(bench: Bench, platform: Platform, fleet: Fleet) -> dict[str, list[Found]]:
    connections = [
        await https.Connection.open(platform.devices_port, https.of_device(fleet.roots, d.certificate, d.key))
        for d in fleet.devices[:CLIENTS]
    ]
    found: dict[str, list[Found]] = {path: [] for path in PATHS}
    for _ in range(bench.pick(3, 1)):
        for path in PATHS:
            found[path].append(await _round(platform, connections, path, bench.pick(8_000, 400)))
            bench.say(f"{path} {len(found[path][-1].took) / found[path][-1].seconds:.0f}/s")
    for connection in connections:
        connection.close()
    return found


async def _round(platform: Platform, connections: list[https.Connection], path: str, count: int) -> Found:
    took: list[float] = []

    async def client(connection: https.Connection) -> None:
        for _ in range(count // len(connections)):
            began = time.monotonic()
            status, _ = await connection.request("GET", path)
            took.append(time.monotonic() - began)
            if status != 200:
                raise RuntimeError(f"{path}: {status}")

    before, cpu, began = platform.cpu_by_role(), time.process_time(), time.monotonic()
    async with asyncio.timeout(120):
        await asyncio.gather(*(client(connection) for connection in connections))
    seconds = time.monotonic() - began
    roles = {role: used - before.get(role, 0.0) for role, used in platform.cpu_by_role().items()}
    return Found(took, seconds, roles, time.process_time() - cpu)
