"""MQTT connections per second: full TLS 1.3 handshakes with client certificates, 20 at a time, each device once a round.

Ours decides every connection from the store (two responders of the auth callout); the peer, Debian's mosquitto, has
the certificate's name as the user and an ACL pattern, and knows no revocation here.
"""

from __future__ import annotations

from typing import Any

from bench.support import fleet as fleets
from bench.support import load, mosquitto
from bench.support.figures import Bench, number, percentile, ratio, spread
from bench.support.platform import up

PARALLEL = 20


def connections(bench: Bench) -> None:
    """Measure it, alternating ours and the peer."""
    fleet = fleets.shared(bench)
    devices = fleets.names(fleet.devices[:1_000])
    rounds = bench.pick(5, 1)
    ours: list[dict[str, Any]] = []
    peers: dict[str, list[dict[str, Any]]] = {"Debian's defaults": [], "set_tcp_nodelay": []}
    with up(fleet.copy(bench.scratch / "connections")) as platform:
        for turn in range(rounds):
            before = platform.cpu_by_role()
            found = _round(platform.mqtt_port, fleet, devices)
            found["roles"] = {r: cpu - before.get(r, 0.0) for r, cpu in platform.cpu_by_role().items()}
            found["server_cpu_s"] = sum(found["roles"].values())
            ours.append(found)
            bench.say(f"round {turn + 1} ours {_per_s(found):.0f}/s")
            for name in peers if mosquitto.MOSQUITTO.exists() else ():
                here = bench.scratch / f"mosquitto-{turn}-{name[0]}"
                with mosquitto.mosquitto(here, fleet, nodelay=name == "set_tcp_nodelay") as broker:
                    cpu = broker.cpu_s()
                    found = _round(broker.port, fleet, devices)
                    found["server_cpu_s"] = broker.cpu_s() - cpu
                peers[name].append(found)
                bench.say(f"round {turn + 1} mosquitto, {name} {_per_s(found):.0f}/s")
    _show(bench, ours, {name: found for name, found in peers.items() if found})


def _round(port: int, fleet: fleets.Fleet, devices: list[list[str]]) -> dict[str, Any]:
    with load.load("connect", port, fleet.roots, devices, parallel=PARALLEL) as generator:
        generator.go()
        found = generator.answer()
    if found["failed"]:
        raise RuntimeError(f"{found['failed']} connections failed: {found['failures']}")
    return found


def _per_s(found: dict[str, Any]) -> float:
    return float(found["connected"] / found["seconds"])


def _show(bench: Bench, ours: list[dict[str, Any]], peers: dict[str, list[dict[str, Any]]]) -> None:
    rows = []
    all_of = {"Ironroot, callout from the store": ours} | {f"mosquitto, {name}": found for name, found in peers.items()}
    for name, found in all_of.items():
        took = [second for one in found for second in one["took"]]
        rows.append(
            [
                name,
                spread([_per_s(f) for f in found]),
                f"{ratio([_per_s(f) for f in ours], [_per_s(f) for f in found]):.2f}",
                number(1e3 * percentile(took, 50)),
                number(1e3 * percentile(took, 99)),
                spread([1e3 * f["server_cpu_s"] / f["connected"] for f in found]),
                spread([1e3 * f["cpu_s"] / f["connected"] for f in found]),
            ]
        )
        bench.keep(**{name: [_per_s(f) for f in found]})
    columns = ["", "connections/s", "ours to it", "p50 ms", "p99 ms", "server CPU ms each", "generator CPU ms each"]
    total = sum(f["connected"] for f in ours)
    cpu = {role: 1e3 * sum(f["roles"][role] for f in ours) / total for role in ours[0]["roles"]}
    notes = ["our CPU per connection, ms: " + ", ".join(f"{role} {ms:.2f}" for role, ms in cpu.items())]
    if not peers:
        notes.append(mosquitto.REMEDY)
    bench.table(
        f"Connections ({len(ours)} rounds of {ours[0]['connected']}, {PARALLEL} at a time)", columns, rows, *notes
    )
    bench.keep(cpu_ms=cpu)
