"""The processes of `ironroot up`: what each is called, started with, waits for, and when it counts as ready."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from ironroot.adapters.envoy import binary as envoy_binary
from ironroot.adapters.envoy.admin import Admin
from ironroot.adapters.envoy.settings import reachable
from ironroot.adapters.nats import binary as nats_binary
from ironroot.app.config import STORE_VARIABLE, Config
from ironroot.app.datadir import DataDir
from ironroot.app.supervisor.notify import SOCKET_FD
from ironroot.app.supervisor.preflight import Binaries, workers
from ironroot.app.supervisor.spec import Answers, ChildSpec, Connects

AUTHZ = 2
"""Responders of the MQTT callout; one may fall without a device noticing."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the plan depends on."""

    config: Config
    data: DataDir
    runtime: Path
    descriptors: dict[str, int]
    """Listening sockets by name, see `runtime`."""
    binaries: Binaries
    nats_port: int
    demo: int = 0


def children(site: Site) -> list[ChildSpec]:
    """The processes, from the innermost to the outermost."""
    address = reachable(site.config.listen.address)
    ports = site.config.listen.ports
    admin = Admin(site.runtime / "admin.sock")
    authz = [f"authz-{number + 1}" for number in range(AUTHZ)]
    specs = [
        ChildSpec(
            name="nats",
            title="message broker",
            argv=tuple(nats_binary.argv(site.binaries.nats_server, site.runtime / "nats.conf")),
            probe=Connects((("127.0.0.1", site.nats_port), (address, ports[2]))),
            after=("platform:prepared",),
        ),
        ChildSpec(
            name="platform",
            title="platform",
            argv=_ironroot(site, "_platform"),
            env=_store(site)
            | {SOCKET_FD.format(name.upper()): str(number) for name, number in site.descriptors.items()},
            pass_fds=tuple(site.descriptors.values()),
            stop_timeout_s=15,
        ),
        *(
            ChildSpec(
                name=name,
                title=f"device admission {number + 1}",
                argv=_ironroot(site, "_authz"),
                env=_store(site),
                after=("platform:prepared", "nats"),
            )
            for number, name in enumerate(authz)
        ),
        ChildSpec(
            name="intake",
            title="telemetry intake",
            argv=_ironroot(site, "_intake"),
            env=_store(site),
            after=("platform:prepared", "nats"),
            stop_timeout_s=15,
        ),
        ChildSpec(
            name="envoy",
            title="front door",
            argv=envoy_binary.argv(site.binaries.envoy, site.runtime / "envoy.json", workers=workers()),
            probe=Answers(admin.ready),
            after=("platform:prepared",),
            before_stop=lambda: finish_requests(admin),
            stop_timeout_s=5,
        ),
    ]
    if site.demo:
        specs.append(
            ChildSpec(
                name="simulator",
                title=f"fleet of {site.demo}",
                argv=(*_python("_simulator"), *_fleet(site)),
                after=("platform", "nats", "envoy", "intake", *authz),
                ready_timeout_s=180,
            )
        )
    return specs


async def finish_requests(admin: Admin) -> None:
    """Take no new connections and wait until the requests in flight are answered. Raises Unavailable."""
    await admin.drain()
    while await admin.requests_in_flight():  # noqa: ASYNC110 (Envoy has no event for it; the caller bounds it)
        await asyncio.sleep(0.05)


def _python(role: str) -> tuple[str, ...]:
    # -P: nothing is imported from the directory the platform happens to be started in.
    return (sys.executable, "-P", "-m", "ironroot", role)


def _ironroot(site: Site, role: str) -> tuple[str, ...]:
    return (*_python(role), "--data", str(site.data.root), "--runtime", str(site.runtime))


def _store(site: Site) -> dict[str, str]:
    """Where the database is, when it is elsewhere. It may hold a password: not in argv, and only for who needs it."""
    return {STORE_VARIABLE: site.config.store.url} if site.config.store.url else {}


def _fleet(site: Site) -> tuple[str, ...]:
    """The simulated fleet is a peer like any other, but for its claims, which it asks for as the host."""
    ports = site.config.listen.ports
    return (
        *("--count", str(site.demo)),
        *("--state", str(site.data.demo)),
        *("--ca", str(site.runtime / "roots.pem")),
        *("--server", f"https://localhost:{ports[1]}"),
        *("--mqtt", f"localhost:{ports[2]}"),
        *("--host-socket", str(site.runtime / "host.sock")),
    )
