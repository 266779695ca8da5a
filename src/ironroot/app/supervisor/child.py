"""Keeps one child running: start, wait until it is truly ready, start again with back-off when it ends, stop.

Before its first readiness a child may end a few times; then the start of the platform is given up. Afterwards it is
started again for as long as the platform runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from ironroot.app.supervisor.logfile import BoundedLog
from ironroot.app.supervisor.process import Process
from ironroot.app.supervisor.spec import READY, Answers, ChildSpec, Connects, Notified
from ironroot.core.errors import Fault

_POLL_S = 0.05


class GaveUp(Fault):
    """A child does not come up; the start of the platform ends."""

    code = "start-failed"


class Child:
    """One child over all its lives. `changed(state, text)` is told what a person may want to see."""

    def __init__(
        self,
        spec: ChildSpec,
        logs: Path,
        changed: Callable[[str, str], None],
        told: Callable[[str, str], None],
    ) -> None:
        self.spec = spec
        self.log = BoundedLog(logs / f"{spec.name}.log")
        self.process: Process | None = None
        self.restarts = 0
        self._changed = changed
        self._told = told
        self._milestones: dict[str, asyncio.Event] = {}
        self._stopping = asyncio.Event()
        self._failure = ""

    def milestone(self, name: str) -> asyncio.Event:
        """Set once the child has reached `name` (`ready`, `prepared`) for the first time."""
        return self._milestones.setdefault(name, asyncio.Event())

    async def run(self) -> None:
        """Keep it running until `stop`. Raises GaveUp when it never becomes ready."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            status = await self._live()
            if self._stopping.is_set():
                return
            if time.monotonic() - began >= self.spec.backoff.stable_s:
                failures = 0
            failures += 1
            once = self.spec.restart == "never"
            if not self.milestone(READY).is_set() and (self._failure or once or failures >= self.spec.start_attempts):
                raise self._given_up(status)
            if once:
                return
            delay = self.spec.backoff.delay_s(failures, secrets.randbelow(1_000) / 1_000)
            self.restarts += 1
            self._changed("failed", f"{self._failure or _ending(status)}; again in {delay:.1f} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()

    async def stop(self, hurry: asyncio.Event) -> None:
        """End it: asked politely, then by force; nothing of its group is left. `hurry` shortens the wait."""
        self._stopping.set()
        process = self.process
        if process is not None:
            if self.spec.before_stop is not None:
                await _either(self.spec.before_stop(), hurry, self.spec.stop_timeout_s)
            process.signal(self.spec.stop_signal)
            await _either(process.ended(), hurry, self.spec.stop_timeout_s)
            if hurry.is_set():
                await _either(process.ended(), None, 1.0)
            process.kill()
            await process.ended()
        self._changed("stopped", "")

    async def _live(self) -> int | None:
        """One life: from start to end. Returns its exit status, None when it could not be started at all."""
        self._failure = ""
        self._changed("starting", "")
        began = time.monotonic()
        told_ready = asyncio.Event()
        try:
            process = Process.start(self.spec, self.log, lambda word, text: self._heard(told_ready, word, text))
        except OSError as e:
            self._failure = f"cannot be started: {e.strerror or e}"
            return None
        self.process = process
        end = asyncio.create_task(process.ended())
        ready = asyncio.create_task(self._ready(told_ready))
        try:
            await asyncio.wait({end, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=self.spec.ready_timeout_s)
            if not end.done():
                if ready.done():
                    self._changed("ready", f"in {time.monotonic() - began:.1f} s")
                    self.milestone(READY).set()
                else:
                    self._failure = f"not ready after {self.spec.ready_timeout_s:g} s"
                    process.kill()
            return await end
        finally:
            ready.cancel()
            self.process = None

    async def _ready(self, told: asyncio.Event) -> None:
        match self.spec.probe:
            case Notified():
                await told.wait()
            case Connects(addresses):
                await asyncio.gather(*(_until(partial(_connects, host, port)) for host, port in addresses))
            case Answers(ask):
                await _until(ask)

    def _heard(self, ready: asyncio.Event, word: str, text: str) -> None:
        match word:
            case "ready":
                ready.set()
            case "failed":
                self._failure = text
            case "status":
                self._changed("ready" if self.milestone(READY).is_set() else "starting", text)
            case "link" | "hint" | "warning":
                self._told(word, text)
            case "prepared":
                self.milestone(word).set()

    def _given_up(self, status: int | None) -> GaveUp:
        last = "\n".join(f"    {line}" for line in self.log.tail())
        return GaveUp(
            f"{self.spec.title} does not start: {self._failure or _ending(status)}" + (f"\n{last}" if last else ""),
            remedy=f"its log is {self.log.path}",
        )


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while not await holds():  # noqa: ASYNC110 (another process: there is no event to wait for)
        await asyncio.sleep(_POLL_S)


async def _connects(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _either(work: Awaitable[object], hurry: asyncio.Event | None, timeout_s: float) -> None:
    """Wait for `work`, but neither longer than `timeout_s` nor once `hurry` is set; its errors do not matter."""
    tasks = {asyncio.ensure_future(work)}
    if hurry is not None:
        tasks.add(asyncio.ensure_future(hurry.wait()))
    await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ending(status: int | None) -> str:
    """How a process ended, in words."""
    if status is None:
        return "not started"
    return f"killed by signal {-status}" if status < 0 else f"ended with status {status}"
