"""QoS 1 messages per second, from 50 and from 500 devices over TLS, window 50, 200 bytes, on `d/ID/up/telemetry/NAME`.

Two ends are timed: the last PUBACK, and the moment everything is where it belongs (ours: committed in the telemetry
database; mosquitto: taken by mosquitto_sub with a persistent session at QoS 1, once over TLS with a certificate as any
client of that listener, once without TLS, which is the price of ours). Ours does more in between: each message is
parsed, attributed, checked against the device's budget, and folded into tables. mosquitto runs with Debian's defaults,
which are its faster setting here, and do not outlive a kill: it writes its store every half hour. With the nearest
setting it has to ours, where the store is saved at every change, it is measured too, with fewer messages. That nothing acknowledged is lost is counted, each round. The flood limit is raised
for it, as an operator would for such devices.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from bench.support import fleet as fleets
from bench.support import load, mosquitto
from bench.support.figures import Bench, ratio, spread
from bench.support.fleet import Fleet
from bench.support.platform import Platform, up
from bench.support.processes import cpu_s, wait_for

WINDOW = 50
PAYLOAD = time.strftime('{"value":21.53,"at":"%Y-%m-%dT%H:%M:%S.000000Z"}', time.gmtime()).ljust(200)
TOPIC = "d/{}/up/telemetry/temperature"
SETTINGS = "[messaging]\nflood_rate = 100000\nflood_burst = 1000000\n"
LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to run mosquitto and its subscriber; `share` of the messages, for the slow one."""

    tls: bool
    durable: bool = False
    share: float = 1.0


PEERS = {
    "subscriber over TLS": Peer(tls=True),
    "subscriber without TLS": Peer(tls=False),
    "saving at every change": Peer(tls=True, durable=True, share=0.02),
}


@dataclass(frozen=True, slots=True)
class Found:
    """One round: seconds to the last PUBACK and until all was kept, and processor seconds on both sides."""

    messages: int
    acknowledged_s: float
    kept_s: float
    server_cpu_s: float
    generator_cpu_s: float

    @property
    def acknowledged_per_s(self) -> float:
        return self.messages / self.acknowledged_s

    @property
    def kept_per_s(self) -> float:
        return self.messages / self.kept_s


def intake(bench: Bench) -> None:
    """Measure it, alternating ours and the peer; then the price of outliving a loss of power."""
    fleet = fleets.shared(bench)
    _against_mosquitto(bench, fleet)
    _power(bench, fleet)


def _against_mosquitto(bench: Bench, fleet: Fleet) -> None:
    peers = PEERS if mosquitto.MOSQUITTO.exists() else {}
    for connections in (50, bench.pick(500, 60)):
        messages = bench.pick(300_000, 6_000)
        ours: list[Found] = []
        theirs: dict[str, list[Found]] = {name: [] for name in peers}
        data = fleet.copy(bench.scratch / f"intake-{connections}", SETTINGS)
        with up(data) as platform:
            for turn in range(bench.pick(3, 1)):
                ours.append(_ours(platform, fleet, connections, messages))
                bench.say(f"{connections} connections, round {turn + 1}: ours {ours[-1].acknowledged_per_s:,.0f}/s")
                for name, peer in peers.items():
                    here = bench.scratch / f"keeper-{connections}-{turn}-{len(theirs[name])}-{peer.tls}-{peer.durable}"
                    theirs[name].append(_theirs(here, fleet, connections, int(messages * peer.share), peer))
                    bench.say(f"round {turn + 1}: mosquitto, {name} {theirs[name][-1].acknowledged_per_s:,.0f}/s")
        _show(bench, connections, ours, theirs)


def _power(bench: Bench, fleet: Fleet) -> None:
    """Fewer messages: each waits for the disk."""
    found: dict[str, list[Found]] = {}
    for durability in ("process", "power"):
        settings = f'[store]\ndurability = "{durability}"\n{SETTINGS}'
        with up(fleet.copy(bench.scratch / f"intake-{durability}", settings)) as platform:
            size = bench.pick(10_000, 1_000)
            found[durability] = [_ours(platform, fleet, 50, size) for _ in range(bench.pick(3, 1))]
            bench.say(f"durability {durability}: {found[durability][-1].acknowledged_per_s:,.0f}/s")
    rows = [
        [name, spread([f.acknowledged_per_s for f in one]), spread([f.kept_per_s for f in one])]
        for name, one in found.items()
    ]
    size = found["power"][0].messages
    bench.table(
        f"What power costs: intake from 50 connections ({size:,} messages a round)",
        ["store.durability", "acknowledged/s", "kept/s"],
        rows,
        "so few messages that `kept` is mostly the second that the intake gathers before it writes",
    )
    bench.keep(power={name: [f.acknowledged_per_s for f in one] for name, one in found.items()})


def _ours(platform: Platform, fleet: Fleet, connections: int, messages: int) -> Found:
    devices = fleets.names(fleet.devices[:connections])
    before = _committed(platform.data)
    with load.load(
        "publish",
        platform.mqtt_port,
        fleet.roots,
        devices,
        messages=messages,
        window=WINDOW,
        topic=TOPIC,
        payload=PAYLOAD,
    ) as generator:
        generator.answer()
        cpu = platform.cpu_s()
        generator.go()
        found = generator.answer()
        sent = found["acknowledged"]
        wait_for(lambda: _committed(platform.data) - before >= sent, "all is committed", LIMIT_S, every_s=0.02)
        over = time.monotonic()
        cpu = platform.cpu_s() - cpu
    time.sleep(1.5)  # what was delivered twice would be counted by now
    if (kept := _committed(platform.data) - before) != sent:
        raise RuntimeError(f"{sent} were acknowledged, {kept} were counted")
    return Found(sent, found["seconds"], over - found["began"], cpu, found["cpu_s"])


def _committed(data: Path) -> int:
    """Messages in the telemetry database."""
    with sqlite3.connect(f"file:{data / 'telemetry.db'}?mode=ro", uri=True) as conn:
        return int(conn.execute("select coalesce(sum(messages), 0) from device_seen").fetchone()[0])


def _theirs(here: Path, fleet: Fleet, connections: int, messages: int, peer: Peer) -> Found:
    devices = fleets.names(fleet.devices[:connections])
    messages = max(1, messages // connections) * connections
    with mosquitto.mosquitto(here, fleet, nodelay=False, durable=peer.durable) as broker:
        keeper = mosquitto.Keeper(broker, fleet, messages, here / "received", tls=peer.tls)
        try:
            with load.load(
                "publish",
                broker.port,
                fleet.roots,
                devices,
                messages=messages,
                window=WINDOW,
                topic=TOPIC,
                payload=PAYLOAD,
            ) as generator:
                generator.answer()
                cpu = broker.cpu_s() + cpu_s([keeper.process.pid])
                generator.go()
                found = generator.answer()
                used = cpu_s([keeper.process.pid])
                while keeper.process.poll() is None:
                    used = max(used, cpu_s([keeper.process.pid]))
                    if time.monotonic() - found["began"] > LIMIT_S:
                        raise TimeoutError("the subscriber did not get everything")
                    time.sleep(0.005)
                over = time.monotonic()
                cpu = broker.cpu_s() + used - cpu
        finally:
            keeper.close()
        if keeper.received() != messages or found["acknowledged"] != messages:
            raise RuntimeError(f"{found['acknowledged']} were acknowledged, {keeper.received()} were received")
    return Found(messages, found["seconds"], over - found["began"], cpu, found["cpu_s"])


def _show(bench: Bench, connections: int, ours: list[Found], theirs: dict[str, list[Found]]) -> None:
    rows = []
    everybody = {"Ironroot": ours} | {f"mosquitto, {name}": found for name, found in theirs.items()}
    for name, found in everybody.items():
        acknowledged, kept = [f.acknowledged_per_s for f in found], [f.kept_per_s for f in found]
        rows.append(
            [
                name,
                spread(acknowledged),
                f"{ratio([f.acknowledged_per_s for f in ours], acknowledged):.2f}",
                spread(kept),
                f"{ratio([f.kept_per_s for f in ours], kept):.2f}",
                spread([1e6 * f.server_cpu_s / f.messages for f in found]),
                spread([1e6 * f.generator_cpu_s / f.messages for f in found]),
            ]
        )
        bench.keep(**{f"{name}, {connections}": {"acknowledged": acknowledged, "kept": kept}})
    columns = [
        "",
        "acknowledged/s",
        "ours to it",
        "kept/s",
        "ours to it",
        "server CPU µs each",
        "generator CPU µs each",
    ]
    notes = ["every acknowledged message was counted where it is kept, none twice"]
    if not theirs:
        notes.append(mosquitto.REMEDY)
    bench.table(
        f"Intake from {connections} connections ({len(ours)} rounds of {ours[0].messages:,} messages, QoS 1)",
        columns,
        rows,
        *notes,
    )
