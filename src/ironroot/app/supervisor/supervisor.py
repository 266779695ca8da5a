"""Starts the children in the order of their dependencies, and stops them in the reverse of their listing.

The list of specifications runs from the innermost to the outermost: what others need stands before them, and doors
to the world come last, so that stopping shuts the doors first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ironroot.app.supervisor.child import Child
from ironroot.app.supervisor.display import Display
from ironroot.app.supervisor.spec import READY, ChildSpec
from ironroot.core.errors import Misconfigured


class Supervisor:
    """The children of one platform."""

    def __init__(self, specs: Sequence[ChildSpec], logs: Path, display: Display) -> None:
        """Raises Misconfigured for a dependency that is not in the list."""
        self.display = display
        self.link: str | None = None
        self.hints: list[str] = []
        self.children = {spec.name: Child(spec, logs, partial(display.state, spec.name), self._told) for spec in specs}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for spec in specs:
            for after in spec.after:
                if after.partition(":")[0] not in self.children:
                    raise Misconfigured(f"{spec.name} waits for {after}, which nobody is")

    async def start(self) -> None:
        """Start all and wait until each is ready. Raises GaveUp when one does not come up; then call `stop`."""
        for name, child in self.children.items():
            self.display.state(name, "waiting")
            self._tasks[name] = asyncio.create_task(self._keep(child), name=name)
        ready = asyncio.create_task(self._all_ready())
        failed = asyncio.create_task(self.failed())
        try:
            await asyncio.wait({ready, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                await failed
        finally:
            for task in (ready, failed):
                task.cancel()
            await asyncio.gather(ready, failed, return_exceptions=True)

    async def _all_ready(self) -> None:
        for child in self.children.values():
            await child.milestone(READY).wait()

    async def failed(self) -> None:
        """Wait until a child is given up; raises its error. Never returns otherwise."""
        running = set(self._tasks.values())
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error
        await asyncio.Event().wait()

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stop all, the outermost first. Setting `hurry` ends the waiting for the slow ones."""
        for name, child in reversed(self.children.items()):
            await child.stop(hurry)
            task = self._tasks.get(name)
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
            child.log.close()

    async def _keep(self, child: Child) -> None:
        for after in child.spec.after:
            name, _, milestone = after.partition(":")
            await self.children[name].milestone(milestone or READY).wait()
        await child.run()

    def _told(self, word: str, text: str) -> None:
        match word:
            case "link":
                self.link = text
            case "hint":
                self.hints.append(text)
            case "warning":
                self.display.say(text, "warning")
