"""Who may speak to the broker from inside: one user per role, with a password made at each start, and the callout's key.

They live in the runtime directory (`nats.json`, readable by its owner alone) and die with it. Each role has the
permissions it needs and no more; devices are none of these users.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ironroot.adapters.nats.nkey import AccountKey
from ironroot.adapters.nats.subjects import (
    CALLOUT,
    DENY,
    EVENTS_CONSUMER,
    FLOOD,
    INTAKE_CONSUMER,
    MESSAGES,
    REFUSED,
)
from ironroot.core.errors import Misconfigured
from ironroot.core.secret import Secret


class Role(StrEnum):
    """A user of the broker."""

    AUTH = "auth"
    """Answers the callout; sees nothing else."""
    DOOR = "door"
    """The callout's ear and mouth among the platform's subjects."""
    APP = "app"
    """The platform."""
    INTAKE = "intake"
    """Reads what devices say."""
    SYS = "sys"
    """Sees and ends connections."""


ACCOUNT = {Role.AUTH: "AUTH", Role.DOOR: "DEV", Role.APP: "DEV", Role.INTAKE: "DEV", Role.SYS: "SYS"}


def permissions(role: Role) -> dict[str, Any]:
    """What the role may publish and subscribe, as nats-server's configuration has it."""
    inbox = f"_INBOX.{role}.>"
    info = [f"$JS.API.CONSUMER.INFO.{MESSAGES}.{c}" for c in (INTAKE_CONSUMER, EVENTS_CONSUMER)]
    match role:
        case Role.AUTH:
            return {"publish": ["$SYS._INBOX.>"], "subscribe": [CALLOUT, inbox]}
        case Role.DOOR:
            return {"publish": [REFUSED, *info], "subscribe": [DENY, inbox]}
        case Role.INTAKE:
            consumer = f"{MESSAGES}.{INTAKE_CONSUMER}"
            return {
                "publish": [
                    FLOOD,
                    info[0],
                    f"$JS.API.STREAM.INFO.{MESSAGES}",
                    f"$JS.API.CONSUMER.MSG.NEXT.{consumer}",
                    f"$JS.API.CONSUMER.RESET.{consumer}",
                    f"$JS.ACK.{consumer}.>",
                ],
                "subscribe": ["d.*.up.>", inbox],
            }
        case Role.APP | Role.SYS:
            return {"publish": [">"], "subscribe": [">"]}


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the platform's processes reach the broker."""

    url: str
    passwords: dict[Role, Secret]
    issuer: AccountKey

    @classmethod
    def make(cls, port: int) -> Credentials:
        """Fresh ones for a broker whose inner listener is 127.0.0.1:`port`."""
        passwords = {role: Secret(secrets.token_urlsafe(32)) for role in Role}
        return cls(f"nats://127.0.0.1:{port}", passwords, AccountKey(secrets.token_bytes(32)))

    def password(self, role: Role) -> str:
        """The role's password."""
        return self.passwords[role].reveal().decode()

    def write(self, path: Path) -> None:
        """Write `nats.json`, mode 0600."""
        value = {
            "url": self.url,
            "users": {role: {"user": role, "password": self.password(role)} for role in Role},
            "issuer": {"public": self.issuer.public, "seed": self.issuer.seed.reveal().decode()},
        }
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(value))

    @classmethod
    def read(cls, path: Path) -> Credentials:
        """What `write` wrote. Raises Misconfigured."""
        try:
            value = json.loads(path.read_text())
            passwords = {role: Secret(value["users"][role]["password"]) for role in Role}
            return cls(value["url"], passwords, AccountKey.from_seed(value["issuer"]["seed"]))
        except (OSError, ValueError, KeyError, TypeError) as e:
            raise Misconfigured(
                f"{path} cannot be read: {type(e).__name__}", remedy="start the platform with `ironroot up`"
            ) from e
