"""A private PostgreSQL on a Unix socket. By default every commit waits for the disk, as it does everywhere."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SETTINGS = {"listen_addresses": "''", "fsync": "on", "shared_buffers": "128MB"}
REMEDY = "PostgreSQL is not installed (as root: apt-get install postgresql): its rows are missing"


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server; `at` holds its socket."""

    at: Path

    @property
    def url(self) -> str:
        """Of its one database, for the store."""
        return f"postgresql+asyncpg://ironroot@/postgres?host={self.at}"


def binaries() -> Path | None:
    """Where the newest installed server's binaries are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def postgres(*, synchronous_commit: bool = True) -> Iterator[Postgres | None]:
    """A fresh server, ended with the block; None where none is installed."""
    bins = binaries()
    if bins is None:
        yield None
        return
    at = Path(tempfile.mkdtemp(prefix="irb-pg-"))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # it refuses to run as root
        account = pwd.getpwnam("postgres")
        who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(at, account.pw_uid, account.pw_gid)
    data = str(at / "data")

    def run(*argv: str) -> None:
        subprocess.run(argv, cwd=at, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who)

    try:
        run(str(bins / "initdb"), "-D", data, "-U", "ironroot", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        settings = {**_SETTINGS, "synchronous_commit": "on" if synchronous_commit else "off"}
        options = " ".join([f"-k {at}", *(f"-c {name}={value}" for name, value in settings.items())])
        run(str(bins / "pg_ctl"), "-D", data, "-l", str(at / "log"), "-s", "-w", "-o", options, "start")
        yield Postgres(at)
    finally:
        if (at / "data" / "postmaster.pid").exists():
            run(str(bins / "pg_ctl"), "-D", data, "-s", "-w", "-m", "fast", "stop")
        shutil.rmtree(at, ignore_errors=True)
