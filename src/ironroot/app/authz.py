"""The process that answers the MQTT door's auth callout: read-only on the store, one of several in a queue group."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import uvloop
from sqlalchemy import Connection, RowMapping, StaticPool, create_engine
from sqlalchemy.exc import DBAPIError

from ironroot.adapters.nats.credentials import Credentials
from ironroot.adapters.nats.responder import Doorman, Responder
from ironroot.app.clock import SystemClock
from ironroot.app.logs import configure
from ironroot.app.supervisor import options
from ironroot.app.supervisor.notify import tell
from ironroot.core.clock import Clock
from ironroot.core.errors import Unavailable
from ironroot.core.ids import Fingerprint
from ironroot.store.engine import Store
from ironroot.trust.admission import QUESTION, Admission


class DirectAdmission(Admission):
    """Asks SQLite on this very thread: a tenth of the price of handing the question to another (0.05 ms), which
    decides how many connects a second this process answers. Each question sees what is committed by then.
    """

    def __init__(self, store: Store, clock: Clock, file: Path) -> None:
        super().__init__(store, clock)
        where = (
            f"file:{quote(str(file))}?mode=rw"  # rw: read-only could not open the write-ahead log, and never made anew
        )

        def connect() -> sqlite3.Connection:
            made = sqlite3.connect(where, uri=True, timeout=1)
            made.execute("PRAGMA query_only=ON")
            return made

        self._engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool)
        self._conn: Connection | None = None

    async def _read(self, fingerprint: Fingerprint) -> RowMapping | None:
        try:
            if self._conn is None:
                self._conn = self._engine.connect()
            with self._conn.begin():
                return self._conn.execute(QUESTION, {"asked": fingerprint}).mappings().first()
        except DBAPIError as e:
            self.close()
            raise Unavailable("the store does not answer", remedy="see the platform's log") from e

    def close(self) -> None:
        """Let go of the file."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        self._engine.dispose()


async def serve(data: Path, runtime: Path) -> None:
    """Answer until SIGTERM."""
    clock = SystemClock()
    url = options.load(runtime).config().store.url
    file = data / "state.db"
    store = Store(url or f"sqlite+aiosqlite:///{file}", read_only=True)
    admission = Admission(store, clock) if url else DirectAdmission(store, clock, file)
    responder = Responder(Credentials.read(runtime / "nats.json"), Doorman(admission, clock), clock)
    work = asyncio.ensure_future(responder.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    listening = asyncio.ensure_future(responder.listening.wait())
    await asyncio.wait([work, listening], return_when=asyncio.FIRST_COMPLETED)
    tell("ready")
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        listening.cancel()
        if isinstance(admission, DirectAdmission):
            admission.close()
        await store.close()


def main(argv: Sequence[str] | None = None) -> int:
    """`--data D --runtime R`; the store's address comes from the configuration and the environment."""
    parser = argparse.ArgumentParser(prog="ironroot authz")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    given = parser.parse_args(argv)
    configure()
    uvloop.run(serve(given.data, given.runtime))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
