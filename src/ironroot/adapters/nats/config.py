"""Writes nats-server's configuration: one inner listener on loopback, one MQTT listener with client certificates.

JSON is a subset of nats-server's format, so the file is rendered as JSON and nothing has to be quoted by hand.
No monitoring port, no websocket, no cluster. Every connection that is not one of our users goes to the auth callout,
and devices live in an account of their own.
"""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ironroot.adapters.nats.credentials import ACCOUNT, Credentials, Role, permissions
from ironroot.core.errors import Misconfigured
from ironroot.wire.topics import MAX_PAYLOAD_BYTES

AUTH_TIMEOUT_S = 5
HANDSHAKE_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """All that the broker's configuration depends on. Paths are absolute; `tls` holds server.crt, server.key, ca.pem."""

    port: int
    mqtt_address: str
    mqtt_port: int
    tls: Path
    store: Path
    log_file: Path
    pid_file: Path
    durability: Literal["process", "power"] = "process"
    messages_bytes: int = 1 << 30
    """How much may wait for the intake; when it is full, devices get no PUBACK and keep what they have."""
    max_connections: int = 20_000
    auth_timeout_s: int = AUTH_TIMEOUT_S
    """How long the broker waits for the callout; without an answer it refuses."""
    server_name: str = "ironroot"


@dataclass(frozen=True, slots=True)
class StreamBounds:
    """Largest sizes of the broker's streams, in bytes."""

    messages: int
    sessions: int = 256 << 20
    retained: int = 32 << 20
    qos2: int = 64 << 20
    out: int = 32 << 20

    @property
    def total(self) -> int:
        """All of them."""
        return self.messages + self.sessions + self.retained + self.qos2 + self.out


def render(settings: BrokerSettings, credentials: Credentials) -> str:
    """The configuration's text. Raises Misconfigured for a path nats-server could not read back."""
    accounts: dict[str, dict[str, Any]] = {"AUTH": {"users": []}, "DEV": {"jetstream": "enabled", "users": []}}
    accounts["SYS"] = {"users": []}
    for role in Role:
        accounts[ACCOUNT[role]]["users"].append(
            {
                "user": str(role),
                "password": credentials.password(role),
                "permissions": permissions(role),
                "allowed_connection_types": ["STANDARD"],
            }
        )
    bounds = StreamBounds(settings.messages_bytes)
    value = {
        "server_name": settings.server_name,
        "listen": f"127.0.0.1:{settings.port}",
        "pid_file": _path(settings.pid_file),
        "log_file": _path(settings.log_file),
        "logfile_size_limit": 16 << 20,
        "logfile_max_num": 4,
        "max_connections": settings.max_connections,
        "max_payload": 2 * MAX_PAYLOAD_BYTES,
        "max_pending": 64 << 20,
        "max_control_line": 4096,
        "write_deadline": "10s",
        "ping_interval": "30s",
        "ping_max": 2,
        "jetstream": {
            "store_dir": _path(settings.store),
            "max_file_store": bounds.total + (64 << 20),
            "max_memory_store": 16 << 20,
            "sync_interval": "always" if settings.durability == "power" else "10s",
        },
        "mqtt": {
            "listen": _listen(settings.mqtt_address, settings.mqtt_port),
            "tls": {
                "cert_file": _path(settings.tls / "server.crt"),
                "key_file": _path(settings.tls / "server.key"),
                "ca_file": _path(settings.tls / "ca.pem"),
                "verify": True,
                "min_version": "1.3",
                "timeout": HANDSHAKE_TIMEOUT_S,
            },
            "authorization": {"timeout": settings.auth_timeout_s},
            "max_ack_pending": 100,
            "consumer_inactive_threshold": "1h",
        },
        "system_account": "SYS",
        "accounts": accounts,
        "authorization": {
            "timeout": settings.auth_timeout_s,
            "auth_callout": {
                "issuer": credentials.issuer.public,
                "account": "AUTH",
                "auth_users": [str(role) for role in Role],
            },
        },
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def write(path: Path, settings: BrokerSettings, credentials: Credentials) -> None:
    """Write the configuration, mode 0600, for it holds the users' passwords."""
    text = render(settings, credentials)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def reload(pid_file: Path) -> None:
    """Make the running broker read its configuration and certificates again (SIGHUP).

    Measured: nats-server ends every connection that an auth callout let in, so all devices connect again; our own
    users stay. Wanted for a new server certificate or CA, not for anything more frequent.

    Raises Misconfigured when it does not run.
    """
    try:
        os.kill(int(pid_file.read_text()), signal.SIGHUP)
    except (OSError, ValueError) as e:
        raise Misconfigured("nats-server does not run", remedy="start the platform with `ironroot up`") from e


def _path(path: Path) -> str:
    text = str(path)
    if not path.is_absolute() or not text.isprintable() or '"' in text or "\\" in text:
        raise Misconfigured(f"not a path for nats-server: {text!r}", remedy="use a path of plain letters")
    return text


def _listen(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
