"""Live pages: server-sent events with each fact, each device's coming and going, and a pulse a second.

A reader that falls behind is told to `resync` rather than waited for; every reader's credentials are looked at
again while it listens, so an ended session ends its stream within seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header
from fastapi.responses import StreamingResponse

from ironroot.app.api.devices import show_fact
from ironroot.edge.authorize import Principal, current_principal, require_permission, requires_auth
from ironroot.edge.permissions import Permission
from ironroot.eventlog.live import Resync
from ironroot.eventlog.log import EventLog

PULSE_S = 1.0
QUIET_S = 15.0
CHECK_S = 5.0
MOST_READERS = 500
MOST_WAITING = 1_000

StillGood = Callable[[Principal], Awaitable[bool]]


class DeviceNews:
    """Hands each change of a device to every listening page."""

    def __init__(self) -> None:
        self._readers: set[asyncio.Queue[Mapping[str, Any]]] = set()

    def listen(self) -> asyncio.Queue[Mapping[str, Any]]:
        """A queue of what changes from now on; what does not fit is left out."""
        queue: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(MOST_WAITING)
        self._readers.add(queue)
        return queue

    def leave(self, queue: asyncio.Queue[Mapping[str, Any]]) -> None:
        """Stop listening."""
        self._readers.discard(queue)

    def tell(self, change: Mapping[str, Any]) -> None:
        """Tell everybody."""
        for queue in self._readers:
            if not queue.full():
                queue.put_nowait(change)

    def __len__(self) -> int:
        return len(self._readers)


def event(name: str, data: Mapping[str, Any], id_: int | None = None) -> bytes:
    """One event in the stream's form."""
    head = f"id: {id_}\n" if id_ is not None else ""
    return f"{head}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class Stream:
    """Serves one page after the other."""

    def __init__(
        self,
        log: EventLog,
        news: DeviceNews,
        pulse: Callable[[], Awaitable[Mapping[str, Any]]],
        still_good: StillGood,
    ) -> None:
        self._log = log
        self._news = news
        self._pulse = pulse
        self._still_good = still_good

    async def events(self, principal: Principal, after: int | None) -> AsyncIterator[bytes]:
        """Events for `principal`, until its credential ends."""
        out: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        sources = [self._devices(out), self._pulses(out)]
        if Permission.FACT_READ in principal.permissions:
            sources.append(self._facts(out, after))
        tasks = [asyncio.ensure_future(source) for source in sources]
        loop = asyncio.get_running_loop()
        checked = loop.time()
        try:
            yield b": listening\n\n"
            while not any(task.done() for task in tasks):
                try:
                    yield await asyncio.wait_for(out.get(), CHECK_S)
                except TimeoutError:
                    yield b": still here\n\n"
                if loop.time() - checked >= CHECK_S:
                    checked = loop.time()
                    if not await self._still_good(principal):
                        return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _facts(self, out: asyncio.Queue[bytes], after: int | None) -> None:
        async with self._log.subscribe(after) as items:
            async for item in items:
                if isinstance(item, Resync):
                    await out.put(event("resync", {"seq": item.seq}, item.seq))
                else:
                    await out.put(event("fact", show_fact(item), item.seq))

    async def _devices(self, out: asyncio.Queue[bytes]) -> None:
        queue = self._news.listen()
        try:
            while True:
                await out.put(event("device", await queue.get()))
        finally:
            self._news.leave(queue)

    async def _pulses(self, out: asyncio.Queue[bytes]) -> None:
        before: Mapping[str, Any] = {}
        while True:
            now = await self._pulse()
            if now != before:
                await out.put(event("pulse", now))
                before = now
            await asyncio.sleep(PULSE_S)


def api_router(stream: Stream) -> APIRouter:
    """`/stream`."""
    router = APIRouter(tags=["stream"])

    @router.get("/stream", response_class=StreamingResponse)
    @requires_auth
    @require_permission("device.read")
    async def listen(last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
        """What happens, as it happens."""
        after = int(last_event_id) if last_event_id and last_event_id.isdigit() else None
        principal = current_principal()

        async def body() -> AsyncIterator[bytes]:
            async with aclosing(stream.events(principal, after)) as events:  # type: ignore[type-var]  # a generator
                async for one in events:
                    yield one

        return StreamingResponse(body(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    return router
