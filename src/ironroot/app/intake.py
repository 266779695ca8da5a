"""The process that writes what devices report: the only writer of the telemetry tables."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import uvloop

from ironroot.adapters.nats.credentials import Credentials
from ironroot.adapters.nats.intake import Intake
from ironroot.app.clock import SystemClock
from ironroot.app.logs import configure
from ironroot.app.supervisor import options
from ironroot.app.supervisor.notify import tell
from ironroot.domains.messaging.budget import FloodLimit
from ironroot.domains.messaging.recorder import Recorder
from ironroot.store.engine import Durability, Store


async def serve(data: Path, runtime: Path) -> None:
    """Work until SIGTERM; then write what is in hand, acknowledge it, and end."""
    settings = options.load(runtime).config()
    url = settings.store.url or f"sqlite+aiosqlite:///{data / 'telemetry.db'}"
    store = Store(url, durability=cast("Durability", settings.store.durability))
    limit = FloodLimit(settings.messaging.flood_rate, settings.messaging.flood_burst)
    intake = Intake(
        Credentials.read(runtime / "nats.json"),
        Recorder(store),
        SystemClock(),
        history=settings.messaging.retention,
        limit=limit,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, intake.stop)
    work = asyncio.ensure_future(intake.run())
    reading = asyncio.ensure_future(intake.reading.wait())
    try:
        await asyncio.wait([work, reading], return_when=asyncio.FIRST_COMPLETED)
        tell("ready")
        await work
    finally:
        reading.cancel()
        await store.close()


def main(argv: Sequence[str] | None = None) -> int:
    """`--data D --runtime R`; the store's address comes from the configuration and the environment."""
    parser = argparse.ArgumentParser(prog="ironroot intake")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    given = parser.parse_args(argv)
    configure()
    uvloop.run(serve(given.data, given.runtime))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
