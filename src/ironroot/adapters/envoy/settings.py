"""What the front door is told: addresses, paths and limits, each with a safe default. Values only.

Standard library only: the supervisor imports it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ironroot.core.errors import Misconfigured

Door = Literal["console", "devices", "plain"]
"""The HTTP doors. The application reads which one a request came through in the header `x-ironroot-door`."""

DOOR_HEADER = "x-ironroot-door"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a peer may make the front door hold, and for how long."""

    connections: int = 4_000
    """Open connections per door."""
    heap_bytes: int = 1 << 30
    body_bytes: int = 64 << 10
    api_body_bytes: int = 1 << 20
    """Bodies on the console's API."""
    headers_kib: int = 16
    headers_count: int = 64
    headers_timeout_s: float = 5.0
    request_timeout_s: float = 60.0
    """The whole request must be in by then, however slowly it drips."""
    idle_timeout_s: float = 30.0
    """A request or response that stands still for so long is ended."""
    response_timeout_s: float = 15.0
    keep_alive_s: float = 75.0
    connection_lifetime_s: float = 3_600.0


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """Everything `config.bootstrap` reads. `runtime` is the private directory with the sockets and the key material."""

    runtime: Path
    logs: Path
    console_port: int
    devices_port: int
    plain_port: int
    listen: str = "127.0.0.1"
    limits: Limits = field(default_factory=Limits)
    sampled_percent: float = 1.0
    """How many successful requests of devices are logged; refused ones always are."""

    def __post_init__(self) -> None:
        """Raises Misconfigured for a listen address that is no IP address."""
        try:
            ipaddress.ip_address(self.listen)
        except ValueError as e:
            raise Misconfigured(
                f"not an IP address to listen on: {self.listen[:60]!r}",
                remedy="give an address of this machine such as 127.0.0.1, 0.0.0.0 or ::",
                code="listen-address",
            ) from e

    @property
    def config_file(self) -> Path:
        """The bootstrap Envoy is started with."""
        return self.runtime / "envoy.json"

    @property
    def admin_socket(self) -> Path:
        """Envoy's administration, open to this user alone."""
        return self.runtime / "admin.sock"

    @property
    def api_socket(self) -> Path:
        """The application behind the doors."""
        return self.runtime / "api.sock"

    @property
    def tls_directory(self) -> Path:
        """Versions of the key material; `live` points to the current one. Envoy watches it for a rename."""
        return self.runtime / "tls"

    @property
    def sds_directory(self) -> Path:
        """One secret resource file each, read by Envoy."""
        return self.runtime / "sds"

    @property
    def request_log(self) -> Path:
        """One JSON line per request."""
        return self.logs / "requests.jsonl"

    @property
    def connection_log(self) -> Path:
        """One JSON line per connection; TLS failures appear here only."""
        return self.logs / "connections.jsonl"


def reachable(listen: str) -> str:
    """The address at which a process of this machine reaches a server listening on `listen`."""
    address = ipaddress.ip_address(listen)
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return listen
