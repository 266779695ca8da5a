"""The configuration: one frozen value, from `ironroot.toml` in the data directory, the environment and the command line.

Standard library only, because the supervisor reads it too. Unknown keys are refused; every key has a safe default;
an insecure choice is spelled out by its name and shows as a warning for as long as it is on.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from ironroot.core.clock import duration
from ironroot.core.errors import Malformed, Misconfigured

T = TypeVar("T")
DEFAULT_PORTS = (8443, 8444, 8883, 5684, 6514, 8080)
STORE_VARIABLE = "IRONROOT_STORE_URL"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the doors are. `port_base` N: console N, devices N+1, MQTT N+2, CoAP N+3, syslog N+4, plain HTTP N+5; 0 means the standard ports."""

    address: str = "127.0.0.1"
    port_base: int = 0
    names: tuple[str, ...] = ()
    """Further names and addresses that the servers' certificates carry."""

    @property
    def ports(self) -> tuple[int, ...]:
        """Console, devices, MQTT, CoAP, syslog, plain HTTP."""
        return tuple(range(self.port_base, self.port_base + 6)) if self.port_base else DEFAULT_PORTS


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Which database; empty is SQLite in the data directory. `durability`: `process` survives the death of any
    process, `power` also the loss of power (every commit waits for the disk).
    """

    url: str = ""
    durability: str = "process"


@dataclass(frozen=True, slots=True)
class Pki:
    """Lifetimes of certificates, and where the world finds CRLs (empty: plain HTTP on the listen address)."""

    device_lifetime: timedelta = timedelta(days=90)
    server_lifetime: timedelta = timedelta(days=90)
    plain_url: str = ""


@dataclass(frozen=True, slots=True)
class Messaging:
    """What a device may send (messages per second sustained, burst), and how long its history is kept."""

    flood_rate: int = 50
    flood_burst: int = 500
    retention: timedelta = timedelta(days=2)
    stream_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Lifetimes of one-time links and sessions."""

    link_lifetime: timedelta = timedelta(hours=1)
    session_idle: timedelta = timedelta(hours=1)
    session_lifetime: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Config:
    """All of it."""

    listen: Listen = field(default_factory=Listen)
    store: StoreConfig = field(default_factory=StoreConfig)
    pki: Pki = field(default_factory=Pki)
    messaging: Messaging = field(default_factory=Messaging)
    access: AccessConfig = field(default_factory=AccessConfig)

    def plain_url(self) -> str:
        """Where CRLs and CA certificates are published. It is written into certificates, where RFC 5280 wants an
        address or a full domain name.
        """
        wildcard = self.listen.address in {"0.0.0.0", "::"}  # noqa: S104 (compared, not bound)
        host = self.listen.names[0] if self.listen.names else "127.0.0.1" if wildcard else self.listen.address
        return self.pki.plain_url or f"http://{f'[{host}]' if ':' in host else host}:{self.listen.ports[5]}"

    def console_url(self) -> str:
        """The console's address as a person on this host types it."""
        return f"https://{self.public_host()}:{self.listen.ports[0]}"

    def public_host(self) -> str:
        """The name that others reach this installation by."""
        if self.listen.names:
            return self.listen.names[0]
        local = self.listen.address in {"127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104 (compared, not bound)
        return "localhost" if local else self.listen.address

    def server_names(self) -> tuple[str, ...]:
        """The names and addresses in the servers' certificates."""
        wildcard = {"0.0.0.0", "::"}  # noqa: S104 (compared, not bound)
        named = ("localhost", "127.0.0.1", "::1", self.listen.address, *self.listen.names)
        return tuple(dict.fromkeys(n for n in named if n not in wildcard))

    def masked(self) -> dict[str, Any]:
        """The configuration to show: durations as text, a password in the store's address as stars."""

        def show(value: Any) -> Any:
            if isinstance(value, dict):
                return {k: show(v) for k, v in value.items()}
            return f"{int(value.total_seconds())}s" if isinstance(value, timedelta) else value

        shown: dict[str, Any] = show(asdict(self))
        head, at, tail = self.store.url.rpartition("@")
        if at:
            shown["store"]["url"] = f"{head.rpartition(':')[0]}:***@{tail}"
        return shown


def load(
    data: Path, *, listen: str | None = None, port_base: int | None = None, store_url: str | None = None
) -> Config:
    """The configuration of a data directory, with what the command line overrides. Raises Misconfigured."""
    path = data / "ironroot.toml"
    try:
        given = tomllib.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError) as e:
        raise Misconfigured(
            f"{path} cannot be read: {e}", remedy="mend the file; `ironroot config show` prints it"
        ) from e
    config = build(Config, given, str(path))
    over: dict[str, Any] = {}
    if listen is not None:
        over["address"] = listen
    if port_base is not None:
        over["port_base"] = port_base
    url = store_url or os.environ.get(STORE_VARIABLE) or config.store.url
    config = replace(config, listen=replace(config.listen, **over), store=replace(config.store, url=url))
    if config.listen.port_base and not 1024 <= config.listen.port_base <= 65_530:
        raise Misconfigured("port base out of range", remedy="--port-base 1024 to 65530")
    if config.store.durability not in {"process", "power"}:
        raise Misconfigured("store.durability is `process` or `power`", remedy=f"mend {path}")
    return config


def build(kind: type[T], given: dict[str, Any], where: str) -> T:
    """A frozen configuration value from plain data. Raises Misconfigured for an unknown key or a wrong type."""
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]  # called with dataclasses alone
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise Misconfigured(f"{where}: unknown key {key!r}", remedy=f"known here: {', '.join(sorted(known))}")
        values[key] = _value(hints[key], value, f"{where}: {key}")
    return kind(**values)


def _value(kind: Any, value: Any, where: str) -> Any:
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return build(kind, value, where)
    if kind is timedelta and isinstance(value, str):
        try:
            return duration(value)
        except Malformed as e:
            raise Misconfigured(f"{where}: {e.message}", remedy=e.remedy) from e
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if kind in (str, int) and type(value) is kind:
        return value
    raise Misconfigured(f"{where}: wrong type of value", remedy="see `ironroot config show` for the form")
