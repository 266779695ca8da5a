"""The platform's process while it runs: door material first, then the broker, then everything that keeps going.

What it tells its supervisor: `prepared` once nats-server and Envoy can be started, `ready` once the broker is there
and every task runs. A restart of it loses no request and no connection: the listening sockets are the supervisor's.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from ironroot import __version__
from ironroot.adapters.envoy.admin import Admin
from ironroot.adapters.nats.broker import Broker
from ironroot.adapters.nats.config import StreamBounds
from ironroot.adapters.nats.credentials import Credentials
from ironroot.adapters.nats.events import Events
from ironroot.app.clock import SystemClock
from ironroot.app.datadir import DataDir
from ironroot.app.logs import configure
from ironroot.app.platform.application import Applications, applications
from ironroot.app.platform.core import Core, open_core
from ironroot.app.platform.doorkeeper import Doorkeeper
from ironroot.app.platform.facts import PlatformStarted, PlatformStopped
from ironroot.app.platform.health import Live
from ironroot.app.platform.material import DoorMaterial, Site
from ironroot.app.supervisor import options as run_options
from ironroot.app.supervisor.notify import inherited, tell
from ironroot.core.errors import Fault, IronrootError, Unavailable
from ironroot.domains.access.facts import SessionStarted
from ironroot.domains.access.model import Role
from ironroot.domains.messaging.watch import DoorWatch
from ironroot.eventlog.model import PLATFORM, Body

BROKER_WAIT_S = 60.0

_log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn without a say in signals: they are this process's, which may run several servers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def main(argv: Sequence[str]) -> int:
    """Run until SIGTERM; returns the exit status."""
    parser = argparse.ArgumentParser(prog="ironroot _platform")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    given = parser.parse_args(argv)
    configure()
    try:
        uvloop.run(_run(DataDir(given.data), given.runtime))
    except IronrootError as e:
        _log.error("the platform cannot run", error=e.message, remedy=e.remedy)
        tell("failed", f"{e.message}: {e.remedy}" if e.remedy else e.message)
        return 1
    return 0


async def _run(data: DataDir, runtime: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options = run_options.load(runtime)
    config = options.config()
    clock = SystemClock()
    site = Site(runtime, data.logs, data.jetstream, options.nats_port)
    credentials = _credentials(runtime / "nats.json", site.nats_port)
    bounds = StreamBounds(config.messaging.stream_bytes)
    broker = Broker(
        credentials,
        clock,
        bounds=bounds,
        log_file=site.broker_log,
        store=site.jetstream,
        pid_file=site.nats_pid,
    )
    async with open_core(data, config, broker) as core:
        doors = DoorMaterial(site, core, credentials)
        await doors.write()
        tell("prepared")
        health = Live(broker, Admin(runtime / "admin.sock"), core.log, config, clock, options.demo)
        served = applications(core, health, host=getpass.getuser())
        Doorkeeper(core.log, broker, served.news, DoorWatch(core.refusals, broker, core.courier, clock))
        try:
            await _serve(core, broker, credentials, doors, served, stop)
        finally:
            await broker.close()
            with suppress(Fault):  # a full disk does not keep it from stopping
                await _note(core, PlatformStopped(__version__))


async def _serve(
    core: Core,
    broker: Broker,
    credentials: Credentials,
    doors: DoorMaterial,
    served: Applications,
    stop: asyncio.Event,
) -> None:
    """Everything that keeps going. One task that ends by an error ends the process, and the supervisor restarts it."""
    servers = [_server(served.doors), _server(served.host)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(work, name=name)
            for name, work in (
                ("fact log", core.log.run()),
                ("trust review", core.trust.run()),
                ("refusals", core.refusals.run()),
                ("doors", _served(servers[0], "api")),
                ("host", _served(servers[1], "host")),
                ("door certificates", doors.run()),
            )
        ]
        await _connect(broker, stop)
        tasks += [
            group.create_task(work, name=name)
            for name, work in (
                ("events", Events(credentials, core.messaging.on_event).run()),
                ("courier", core.courier.run()),
                ("command expiry", core.messaging.run_expiry()),
            )
        ]
        if not stop.is_set():
            await _note(core, PlatformStarted(__version__, core.store.engine_name))
            await _first_link(core)
            tell("ready")
        await stop.wait()
        for server in servers:
            server.should_exit = True
        for task in tasks:
            if task.get_name() not in {"doors", "host"}:
                task.cancel()
    with suppress(Fault):
        await core.refusals.report()
        await core.log.settle()


async def _served(server: Server, name: str) -> None:
    """Serve on the socket of that name until told to stop. Raises Fault when the server ends by itself."""
    await server.serve([inherited(name)])
    if not server.should_exit:
        raise Fault(f"the server on {name}.sock ended by itself")


async def _connect(broker: Broker, stop: asyncio.Event) -> None:
    """Wait for nats-server, which starts beside us."""
    deadline = asyncio.get_running_loop().time() + BROKER_WAIT_S
    while not stop.is_set():
        try:
            await broker.start()
        except Unavailable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


def _server(app: ASGIApp) -> Server:
    return Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
            backlog=2048,
        ),
    )


def _credentials(path: Path, port: int) -> Credentials:
    """This run's: made by the first platform process in it, read by those that replace it."""
    if path.is_file():
        return Credentials.read(path)
    made = Credentials.make(port)
    made.write(path)
    return made


async def _note(core: Core, body: Body) -> None:
    async with core.store.write() as tx:
        await core.log.append(tx, body.fact(PLATFORM, PLATFORM))
    await core.log.settle()


async def _first_link(core: Core) -> None:
    """As long as nobody ever signed in, each start makes a link for the first administrator: no default credential."""
    await core.log.settle()
    if await core.log.read(kinds=[SessionStarted.KIND], limit=1):
        return
    made = await core.access.create_link("administrator", Role.ADMINISTRATOR, PLATFORM)
    tell("link", f"{core.config.console_url()}/sign-in#{made.token.reveal().decode()}")
