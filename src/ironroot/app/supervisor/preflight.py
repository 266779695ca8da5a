"""Everything that must hold before the first process is started; each refusal says what to do about it."""

from __future__ import annotations

import ipaddress
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ironroot.adapters.envoy import binary as envoy_binary
from ironroot.adapters.nats import binary as nats_binary
from ironroot.app.config import Config
from ironroot.app.datadir import DataDir
from ironroot.app.supervisor.options import UpOptions
from ironroot.app.supervisor.portcheck import require_free
from ironroot.core.errors import Misconfigured

DISK_WARN_BYTES = 500 << 20
DISK_REFUSE_BYTES = 50 << 20


@dataclass(frozen=True, slots=True)
class Binaries:
    """The servers that are started, found and new enough."""

    envoy: Path
    nats_server: Path


def doors(config: Config) -> list[tuple[str, int]]:
    """The TCP doors that are served now. CoAP and syslog have their numbers reserved."""
    console, devices, mqtt, _coap, _syslog, plain = config.listen.ports
    return [("the console", console), ("devices", devices), ("MQTT", mqtt), ("plain HTTP", plain)]


def binaries(options: UpOptions) -> Binaries:
    """The servers to start. Raises Misconfigured for one that is missing or too old."""
    envoy = envoy_binary.find(options.envoy)
    envoy_binary.require(envoy)
    return Binaries(envoy, nats_binary.find(str(options.nats_server) if options.nats_server else None))


def listen_address(config: Config) -> None:
    """Nothing. Raises Misconfigured when the listen address is no IP address."""
    try:
        ipaddress.ip_address(config.listen.address)
    except ValueError as e:
        raise Misconfigured(
            f"not an IP address to listen on: {config.listen.address[:60]!r}",
            remedy="give an address of this machine such as 127.0.0.1, 0.0.0.0 or ::",
            code="listen-address",
        ) from e


def ports(config: Config) -> None:
    """Nothing. Raises Misconfigured for a port that cannot be listened on."""
    require_free(config.listen.address, doors(config))


def disk(data: DataDir) -> str | None:
    """A warning when space runs low, None when there is enough. Raises Misconfigured when there is too little."""
    free = shutil.disk_usage(data.root).free
    if free < DISK_REFUSE_BYTES:
        raise Misconfigured(
            f"only {free >> 20} MB are free for {data.root}",
            remedy=f"free some space: at least {DISK_REFUSE_BYTES >> 20} MB, better 1 GB",
            code="disk-full",
        )
    if free < DISK_WARN_BYTES:
        return f"only {free >> 20} MB are free for {data.root}"
    return None


def workers() -> int:
    """How many threads the front door gets."""
    return max(1, min(4, (os.cpu_count() or 1) - 1))
