"""Enrolments and renewals per second over HTTPS (EST), end to end: each on a connection of its own, commit included.

Keys, requests and claims are made beforehand. A client connects, sends its request and reads the certificate; eight
clients at a time. An enrolment authenticates by its claim, a renewal by the certificate just enrolled, in TLS.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates

from bench.support import fleet as fleets
from bench.support import https
from bench.support.figures import Bench, number, percentile
from bench.support.fleet import Candidate, Fleet
from bench.support.platform import Platform, up

CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """Of one kind: how long each took, how long all took, and processor seconds by process."""

    took: list[float]
    seconds: float
    roles: dict[str, float]
    client_cpu_s: float


def enrolments(bench: Bench) -> None:
    """Measure it."""
    fleet = fleets.shared(bench)
    with up(fleet.copy(bench.scratch / "enrolments")) as platform:
        found = uvloop.run(_all(bench, platform, fleet))
    rows = []
    for name, one in found.items():
        server = sum(one.roles.values())
        rows.append(
            [
                name,
                number(len(one.took) / one.seconds),
                number(1e3 * percentile(one.took, 50)),
                number(1e3 * percentile(one.took, 99)),
                number(1e3 * server / len(one.took)),
                number(1e3 * one.client_cpu_s / len(one.took)),
            ]
        )
        bench.keep(
            **{
                name: {
                    "per_s": len(one.took) / one.seconds,
                    "cpu_ms": {role: 1e3 * cpu / len(one.took) for role, cpu in one.roles.items()},
                }
            }
        )
    notes = [
        f"{name}, our CPU each, ms: "
        + ", ".join(f"{role} {1e3 * cpu / len(one.took):.2f}" for role, cpu in one.roles.items() if cpu)
        for name, one in found.items()
    ]
    columns = ["", "per second", "p50 ms", "p99 ms", "server CPU ms each", "client CPU ms each"]
    bench.table(f"EST over HTTPS, {CLIENTS} clients, {len(fleet.candidates)} devices", columns, rows, *notes)


async def _all(bench: Bench, platform: Platform, fleet: Fleet) -> dict[str, Found]:
    plain = https.trusting(fleet.roots)
    found = {}

    async def enrol(candidate: Candidate) -> None:
        user = base64.b64encode(f"{candidate.id}:{candidate.claim}".encode()).decode()
        connection = await https.Connection.open(platform.devices_port, plain)
        await _exchange(connection, "simpleenroll", candidate, Authorization=f"Basic {user}")

    found["enrolment"] = await _timed(platform, fleet.candidates, enrol)
    bench.say(f"{len(fleet.candidates)} enrolled in {found['enrolment'].seconds:.1f} s")
    # The contexts are made before the clock runs: a device has its own ready.
    ready = {one.id: https.of_device(fleet.roots, one.key.with_suffix(".pem"), one.key) for one in fleet.candidates}

    async def renew(candidate: Candidate) -> None:
        connection = await https.Connection.open(platform.devices_port, ready[candidate.id])
        await _exchange(connection, "simplereenroll", candidate)

    found["renewal"] = await _timed(platform, fleet.candidates, renew)
    return found


async def _exchange(connection: https.Connection, operation: str, candidate: Candidate, **headers: str) -> None:
    status, body = await connection.request(
        "POST",
        f"/.well-known/est/{operation}",
        base64.b64encode(candidate.request),
        Content_Type="application/pkcs10",
        **headers,
    )
    connection.close()
    if status != 200:
        raise RuntimeError(f"{candidate.id}: {status} {body[:200]!r}")
    (certificate,) = load_der_pkcs7_certificates(base64.b64decode(body))
    _write(candidate.key.with_suffix(".pem"), certificate.public_bytes(Encoding.PEM))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


async def _timed(
    platform: Platform, candidates: Sequence[Candidate], do: Callable[[Candidate], Awaitable[None]]
) -> Found:
    waiting = iter(candidates)
    took: list[float] = []

    async def client() -> None:
        for candidate in waiting:
            began = time.monotonic()
            await do(candidate)
            took.append(time.monotonic() - began)

    before, cpu, began = platform.cpu_by_role(), time.process_time(), time.monotonic()
    async with asyncio.timeout(120):
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
    seconds = time.monotonic() - began
    roles = {role: used - before.get(role, 0.0) for role, used in platform.cpu_by_role().items()}
    return Found(took, seconds, roles, time.process_time() - cpu)
