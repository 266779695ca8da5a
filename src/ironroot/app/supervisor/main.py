"""`ironroot up`: refuse what cannot work, start everything, say where to go, stay, and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ironroot import __version__
from ironroot.adapters.envoy.admin import Admin
from ironroot.app import datadir
from ironroot.app.config import Config
from ironroot.app.datadir import DataDir, Running
from ironroot.app.supervisor import options as command_line
from ironroot.app.supervisor import preflight
from ironroot.app.supervisor.display import Display, display, summary
from ironroot.app.supervisor.housekeeping import bound_logs
from ironroot.app.supervisor.notify import tell_systemd
from ironroot.app.supervisor.options import RunOptions, UpOptions
from ironroot.app.supervisor.plan import Site, children
from ironroot.app.supervisor.portcheck import free_port
from ironroot.app.supervisor.runtime import Runtime, runtime, sweep
from ironroot.app.supervisor.spec import ChildSpec
from ironroot.app.supervisor.supervisor import Supervisor
from ironroot.core.clock import rfc3339
from ironroot.core.errors import Corrupt, IronrootError, Misconfigured

Plan = Callable[[Site], list[ChildSpec]]

# The children of a supervisor that was killed end a moment after it: their ports come free then.
_LINGER_S = 5.0


def main(argv: Sequence[str]) -> int:
    """`ironroot up` with these arguments; returns the exit status."""
    return run(command_line.parse(argv))


def run(options: UpOptions, plan: Plan = children) -> int:
    """Run the platform until it is told to stop. 0 when it was, 1 when it could not start (the reason is printed)."""
    began = time.monotonic()
    os.umask(0o077)
    try:
        data = datadir.prepare(options.data)
        with datadir.hold(data):
            return _run(options, data, plan, began)
    except IronrootError as e:
        _refuse(e)
        return 1
    except OSError as e:
        _refuse(Misconfigured(f"cannot start: {e}", remedy="is the disk full, or the directory gone?"))
        return 1


def _run(options: UpOptions, data: DataDir, plan: Plan, began: float) -> int:
    settings = options.config(data.root)
    preflight.listen_address(settings)
    found = preflight.binaries(options)
    _ports(settings, lingering=_clean_up(data))
    warning = preflight.disk(data)
    _limits()
    with runtime() as held:
        told = RunOptions(
            data=data.root,
            runtime=held.path,
            nats_port=free_port(),
            listen=options.listen,
            port_base=options.port_base,
            store_url=options.store_url,
            demo=options.demo,
        )
        told.save()
        site = Site(settings, data, held.path, held.descriptors, found, told.nats_port, options.demo)
        datadir.announce(data, _running(settings, held))
        try:
            return asyncio.run(_Up(site, plan(site), warning, began).run())
        finally:
            datadir.withdraw(data)


def _clean_up(data: DataDir) -> bool:
    """Remove what a platform left that was killed; whether there was one."""
    try:
        last = datadir.last_run(data)
    except Corrupt:
        last = None
    if last is not None:
        sweep(last.runtime)
    found = data.run.exists()
    datadir.withdraw(data)
    return found


def _ports(settings: Config, *, lingering: bool) -> None:
    until = time.monotonic() + (_LINGER_S if lingering else 0)
    while True:
        try:
            preflight.ports(settings)
        except Misconfigured as e:
            if e.error_code != "port-taken" or time.monotonic() >= until:
                raise
            time.sleep(0.05)
        else:
            return


def _limits() -> None:
    """As many files as the system allows, and no memory image of a process that holds keys."""
    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _running(settings: Config, held: Runtime) -> Running:
    names = ("console", "devices", "mqtt", "coap", "syslog", "plain")
    return Running(
        pid=os.getpid(),
        runtime=held.path,
        listen=settings.listen.address,
        ports=dict(zip(names, settings.listen.ports, strict=True)),
        started_at=rfc3339(datetime.fromtimestamp(time.time(), UTC)),
        version=__version__,
    )


@dataclass(slots=True)
class _Up:
    """One run of the platform."""

    site: Site
    specs: list[ChildSpec]
    warning: str | None
    began: float

    async def run(self) -> int:
        stop, hurry = asyncio.Event(), asyncio.Event()
        _on_signals(stop, hurry)
        show = display(sys.stdout, {spec.name: spec.title for spec in self.specs})
        if self.warning:
            show.say(self.warning, "warning")
        supervisor = Supervisor(self.specs, self.site.data.logs, show)
        logs = [self.site.data.logs / f"{name}.jsonl" for name in ("requests", "connections")]
        bounding = asyncio.create_task(bound_logs(Admin(self.site.runtime / "admin.sock"), logs))
        try:
            await _unless(stop, self._serve(supervisor, show))
        except IronrootError as e:
            show.settle()
            _refuse(e)
            return 1
        finally:
            bounding.cancel()
            tell_systemd("STOPPING=1")
            if stop.is_set():
                show.settle()
                show.say("stopping")
            await supervisor.stop(hurry)
        return 0

    async def _serve(self, supervisor: Supervisor, show: Display) -> None:
        await supervisor.start()
        tell_systemd(f"READY=1\nSTATUS=ready, version {__version__}")
        show.settle()
        show.say("")
        show.say(f"Ironroot {__version__} is ready after {time.monotonic() - self.began:.1f} s.")
        summary(show, _addresses(self.site), supervisor.link, [*supervisor.hints, *_hints(self.site)])
        await supervisor.failed()


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do `work` until it ends or `stop` is set."""
    doing = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            await doing
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)


def _on_signals(stop: asyncio.Event, hurry: asyncio.Event) -> None:
    """The first signal asks for an orderly stop, the second to be quick about it."""

    def on_signal() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup: meant to outlive its terminal
        loop.add_signal_handler(number, on_signal)


def _addresses(site: Site) -> list[tuple[str, str]]:
    host, ports = site.config.public_host(), site.config.listen.ports
    shown = f"[{host}]" if ":" in host else host
    return [
        ("console", site.config.console_url()),
        ("devices", f"https://{shown}:{ports[1]}"),
        ("MQTT", f"mqtts://{shown}:{ports[2]}"),
        ("CRL, CA", site.config.plain_url()),
        ("logs", str(site.data.logs)),
    ]


def _hints(site: Site) -> list[str]:
    name = "ironroot" if shutil.which("ironroot") else _beside("ironroot")
    data = f"--data {site.data.root}"
    return [
        "Try next, in another terminal:",
        f"  {name} ca trust {data}    so that your browser trusts the console",
        f"  {name} status {data}",
        "Ctrl-C stops everything.",
    ]


def _beside(name: str) -> str:
    path = Path(sys.executable).with_name(name)
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _refuse(e: IronrootError) -> None:
    colour = sys.stderr.isatty()
    word = "\033[1;31mrefused\033[0m" if colour else "refused"
    sys.stderr.write(f"{word}  {e.message}\n")
    if e.remedy:
        sys.stderr.write(f"         {e.remedy}\n")
    sys.stderr.flush()
