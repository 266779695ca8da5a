"""The simulator's process: command line in, a fleet until SIGTERM."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ironroot.core.clock import duration
from ironroot.core.errors import IronrootError, Malformed
from ironroot.simulator.fleet import FleetOptions, run
from ironroot.simulator.registrar import host_claims
from ironroot.simulator.world import Churn

MAX_COUNT = 20_000


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 stopped, 1 failed, 2 wrong usage (SystemExit)."""
    try:
        options, host_socket = parse(argv)
        return run(options, host_claims(host_socket))
    except IronrootError as e:
        sys.stderr.write(f"ironroot simulator: {e.message}\n" + (f"  {e.remedy}\n" if e.remedy else ""))
        return 1


def parse(argv: Sequence[str] | None) -> tuple[FleetOptions, Path]:
    """The fleet's options, and the platform's host socket."""
    parser = argparse.ArgumentParser("ironroot simulate fleet", description="Devices with real keys and sockets.")
    parser.add_argument("--count", type=int, required=True, metavar="N", help=f"how many devices, 1 to {MAX_COUNT}")
    parser.add_argument("--server", required=True, metavar="URL", help="the device door, https://localhost:8444")
    parser.add_argument("--mqtt", required=True, metavar="HOST:PORT", help="the MQTT door")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="the devices' keys and certificates")
    parser.add_argument("--ca", type=Path, required=True, metavar="FILE", help="the platform's roots")
    parser.add_argument("--host-socket", type=Path, required=True, metavar="PATH", help="the platform's host.sock")
    parser.add_argument("--interval", default="5s", metavar="TIME", help="between two measurements of a device (5s)")
    parser.add_argument("--churn", action="store_true", help="devices go away and come back")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed, other measurements")
    given = parser.parse_args(argv)
    if not 1 <= given.count <= MAX_COUNT:
        parser.error(f"--count is 1 to {MAX_COUNT}")
    try:
        interval = duration(given.interval)
    except Malformed as e:
        parser.error(f"--interval: {e.message}")
    options = FleetOptions(
        count=given.count,
        server=given.server,
        mqtt=given.mqtt,
        directory=given.state,
        ca=given.ca,
        interval_s=interval.total_seconds(),
        churn=Churn() if given.churn else None,
        seed=given.seed,
    )
    return options, given.host_socket


if __name__ == "__main__":
    raise SystemExit(main())
