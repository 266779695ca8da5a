"""`python -m bench [NAME ...]`: run the benchmarks, print their tables, keep them in a file if asked to."""

from __future__ import annotations

import argparse
import json
import os
import platform as host
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from bench.support.figures import Bench

NAMES = {
    "connections": "MQTT connections per second, against mosquitto",
    "intake": "durable QoS 1 messages per second, against mosquitto",
    "revoke": "from revocation to disconnect, 1,000 devices connected",
    "enrolments": "enrolments and renewals per second over HTTPS",
    "facts": "facts appended and sequenced per second, SQLite and PostgreSQL",
    "start": "`ironroot up` to ready, and the platform's memory",
    "agent": "an agent's memory and cold start",
    "polls": "device status polls per second over HTTPS",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is named, or everything. Exit status 1 when one failed."""
    parser = argparse.ArgumentParser("bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--small", action="store_true", help="a trial with small sizes: figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write tables and figures there")
    options = parser.parse_args(argv)
    if options.list:
        for name, what in NAMES.items():
            print(f"{name:12} {what}")
        return 0
    unknown = sorted(set(options.names) - set(NAMES))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}")
    scratch = Path(tempfile.mkdtemp(prefix="irb-"))
    bench = Bench(scratch, options.small)
    bench.found["machine"] = {"cores": os.cpu_count(), "kernel": host.release(), "python": host.python_version()}
    failed = []
    try:
        for name in options.names or NAMES:
            bench.name = name
            bench.say(NAMES[name])
            measure: Callable[[Bench], None] = getattr(import_module(f"bench.{name}"), name)
            try:
                measure(bench)
            except Exception as e:  # noqa: BLE001 (the others are still worth having)
                failed.append(name)
                bench.say(f"FAILED: {type(e).__name__}: {e}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(bench.found, indent=1) + "\n")
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
