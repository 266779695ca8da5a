"""A private PostgreSQL for one test run: Debian's binaries, a Unix socket, nothing on the network.

As root the server runs as the `postgres` user, because it refuses root. Durability is off: these are tests.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

_SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "autovacuum": "off",
}
_EMPTY = """
do $$ declare name text; begin
    set local session_replication_role = replica;
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('delete from %I', name);
    end loop;
    for name in select sequencename from pg_sequences where schemaname = 'public' loop
        execute format('alter sequence %I restart', name);
    end loop;
end $$
"""
_numbers = count(1)


@dataclass(frozen=True)
class Postgres:
    """A running server; `at` is the directory of its socket."""

    at: Path
    ready: dict[str, list[str]] = field(default_factory=dict)
    """Emptied databases by the set of tables in them: making one takes a third of a second, emptying one does not."""

    def url(self, database: str) -> str:
        return f"postgresql+asyncpg://ironroot@/{database}?host={self.at}"

    async def run(self, statement: str, database: str = "postgres") -> None:
        """One statement as the server's administrator, outside any transaction."""
        conn = await asyncpg.connect(host=str(self.at), user="ironroot", database=database)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """A fresh database; yields its name and drops it afterwards."""
        name = await self.make()
        try:
            yield name
        finally:
            await self.run(f"drop database {name} with (force)")

    async def make(self) -> str:
        """A fresh database's name."""
        name = f"t{next(_numbers)}"
        await self.run(f"create database {name} strategy file_copy")
        return name

    async def empty(self, name: str) -> None:
        """Remove every row, past triggers and references, and let counters start again."""
        await self.run(_EMPTY, database=name)


def binaries() -> Path | None:
    """Where the newest installed server's binaries are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for the whole run."""
    bins = binaries()
    if bins is None:
        pytest.skip("PostgreSQL is not installed (as root: apt-get install postgresql)")
    at = Path(tempfile.mkdtemp(prefix="irt-pg-", dir="/tmp"))  # short: a socket path holds 107 bytes
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(at, account.pw_uid, account.pw_gid)

    def run(*argv: str) -> None:
        done = subprocess.run(argv, cwd=at, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **who)
        if done.returncode != 0:
            pytest.fail(f"{argv[0]}: {done.stdout.decode()[-2000:]}")

    data = str(at / "data")
    try:
        run(
            str(bins / "initdb"), "-D", data, "-U", "ironroot", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
            "--no-sync", "--no-instructions",
        )  # fmt: skip
        options = " ".join([f"-k {at}", *(f"-c {name}={value}" for name, value in _SETTINGS.items())])
        # The log goes to a file: a pipe would be held open by the server and never end.
        run(str(bins / "pg_ctl"), "-D", data, "-l", str(at / "log"), "-s", "-w", "-o", options, "start")
        yield Postgres(at)
    finally:
        if (at / "data" / "postmaster.pid").exists():
            with contextlib.suppress(pytest.fail.Exception):
                run(str(bins / "pg_ctl"), "-D", data, "-s", "-w", "-m", "immediate", "stop")
        shutil.rmtree(at, ignore_errors=True)
