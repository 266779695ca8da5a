"""The application in this process, for commands of this host while the platform does not run.

Holds the data directory's lock meanwhile: SQLite keeps its one writing process. Nothing is connected, and commands to
devices wait in the store until the platform runs.
"""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Literal

from ironroot.app import config
from ironroot.app.client import Api, InProcessApi
from ironroot.app.datadir import existing, hold
from ironroot.app.platform.application import applications
from ironroot.app.platform.core import open_core
from ironroot.app.platform.health import Stopped
from ironroot.core.ids import DeviceId


class NoDownlink:
    """A `messaging.ports.Downlink` to nobody."""

    def connected(self, _device: DeviceId) -> bool:
        """Nobody is."""
        return False

    async def send(self, device: DeviceId, topic: Literal["config", "command"], payload: bytes) -> None:
        """Never called: nobody is connected."""


@contextmanager
def offline(root: Path) -> Iterator[Api]:
    """The API, in process. Raises Misconfigured for a directory that is none, Conflict when somebody holds it."""
    data = existing(root)
    settings = config.load(root)
    with hold(data), asyncio.Runner() as runner:
        loop = runner.get_loop()
        stack = AsyncExitStack()

        async def opened() -> Api:
            core = await stack.enter_async_context(open_core(data, settings, NoDownlink()))
            await core.log.settle()
            stack.push_async_callback(core.log.settle)
            return InProcessApi(loop, applications(core, Stopped(), host=getpass.getuser()).host)

        try:
            yield runner.run(opened())
        finally:
            runner.run(stack.aclose())
