"""Says to connected devices what they have not answered yet, again and again, less and less often.

Memory: one entry per connected device with something outstanding. The store is asked for up to 64 devices at a time.
"""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush

import structlog

from ironroot.core.clock import Clock
from ironroot.core.errors import Fault
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging import tables
from ironroot.domains.messaging.delivery import FIRST_S, SETTLE_S, wait_s
from ironroot.domains.messaging.ports import Downlink
from ironroot.store.engine import Store
from ironroot.wire import messages as wire

MOST_DEVICES = 64
MOST_COMMANDS = 4096

_log = structlog.get_logger(__name__)


class Courier:
    """Who hears from us next, and when."""

    def __init__(self, store: Store, downlink: Downlink, clock: Clock) -> None:
        self._store = store
        self._downlink = downlink
        self._clock = clock
        self._next: dict[DeviceId, tuple[float, int]] = {}
        """Due time, and how often it was said since the connection, the hello or the last change."""
        self._queue: list[tuple[float, DeviceId]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._next)

    def connected(self, device: DeviceId) -> None:
        """The device connected: look in a moment whether something waits for it."""
        self._put(device, self._clock.monotonic() + SETTLE_S, 0)

    def wake(self, device: DeviceId) -> None:
        """The device said hello, or something new waits for it: say it now, if it is connected."""
        if self._downlink.connected(device):
            self._put(device, self._clock.monotonic(), 0)

    def disconnected(self, device: DeviceId) -> None:
        """A connection of the device ended; without another there is nobody to talk to."""
        if not self._downlink.connected(device):
            self._next.pop(device, None)

    def _put(self, device: DeviceId, due: float, sends: int) -> None:
        self._next[device] = (due, sends)
        heappush(self._queue, (due, device))
        self._changed.set()

    def _take(self, now: float) -> dict[DeviceId, int]:
        """The devices that are due, and how often each was told. They are forgotten here: whoever is woken while we
        speak is put anew, and that must not be mistaken for what we took.
        """
        due: dict[DeviceId, int] = {}
        while self._queue and self._queue[0][0] <= now and len(due) < MOST_DEVICES:
            at, device = heappop(self._queue)
            if self._next.get(device, (None, 0))[0] == at:
                due[device] = self._next.pop(device)[1]
        return due

    def _again(self, device: DeviceId, due: float, sends: int) -> None:
        """Put a device back, unless it was woken meanwhile or is gone."""
        if device not in self._next and self._downlink.connected(device):
            self._put(device, due, sends)

    def next_due(self) -> float | None:
        """The monotonic time of the next word; None while nobody waits."""
        return self._queue[0][0] if self._queue else None

    async def tick(self) -> int:
        """Say what is due now, to at most 64 devices. Returns how many messages were published. A device with nothing
        outstanding is forgotten until it connects or something new comes up.
        """
        due = self._take(self._clock.monotonic())
        if not due:
            return 0
        try:
            async with self._store.read() as conn:
                configs, commands = await tables.outstanding(conn, list(due), self._clock.now(), MOST_COMMANDS)
        except Fault as e:
            _log.warning("what devices are to hear cannot be read", error=e.message)
            for device, sends in due.items():
                self._again(device, self._clock.monotonic() + FIRST_S, sends)
            return 0
        waiting: set[DeviceId] = set()
        sent = 0
        for config in configs:
            waiting.add(config.device)
            message = wire.DesiredConfig(config.version, config.config)
            sent += await self._send(config.device, "config", message)
        for command in commands:
            waiting.add(command.device)
            order = wire.Command(command.id, command.name, command.args, command.expires_at)
            sent += await self._send(command.device, "command", order)
        now = self._clock.monotonic()
        for device in waiting:
            sends = due[device] + 1
            self._again(device, now + wait_s(sends), sends)
        return sent

    async def _send(self, device: DeviceId, topic: str, message: wire.DesiredConfig | wire.Command) -> int:
        try:
            await self._downlink.send(device, "config" if topic == "config" else "command", message.encode())
        except Fault as e:
            _log.warning("a device was not told", device=device, error=e.message)
            return 0
        return 1

    async def run(self) -> None:
        """Until cancelled: say each thing when it is due."""
        while True:
            due = self.next_due()
            pause = 60.0 if due is None else max(0.0, due - self._clock.monotonic())
            self._changed.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                pass
            await self.tick()
