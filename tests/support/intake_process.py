"""An intake worker as a process of its own, for tests that kill it: `python -m tests.support.intake_process DIR`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from ironroot.adapters.nats.credentials import Credentials
from ironroot.adapters.nats.intake import Intake
from ironroot.app.clock import SystemClock
from ironroot.domains.messaging.budget import FloodLimit
from ironroot.domains.messaging.recorder import Recorder
from ironroot.store.engine import Store


async def main(directory: Path) -> None:
    store = Store(f"sqlite+aiosqlite:///{directory}/telemetry.db")
    limit = FloodLimit(per_s=1e6, burst=10_000_000)
    worker = Intake(Credentials.read(directory / "nats.json"), Recorder(store), SystemClock(), limit=limit)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
