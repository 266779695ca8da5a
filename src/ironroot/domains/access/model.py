"""People and programs, the credentials that stand for them, and the roles that say what each may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from ironroot.core.errors import Malformed
from ironroot.core.ids import ApiKeyId, UserId
from ironroot.edge.permissions import Permission


class Role(StrEnum):
    """What somebody is here for."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    READ_ONLY = "read-only"


_LOOK = frozenset({Permission.DEVICE_READ, Permission.STATUS_READ, Permission.TELEMETRY_READ})

ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.ADMINISTRATOR: frozenset(Permission),
        Role.OPERATOR: _LOOK | {Permission.LOG_READ, Permission.FACT_READ, Permission.CERTIFICATE_READ},
        Role.READ_ONLY: _LOOK,
    },
)
"""The roles as the brief draws them: view and change everything; view devices and logs; view devices."""


def role(text: str) -> Role:
    """The role of that name. Raises Malformed."""
    try:
        return Role(text)
    except ValueError as e:
        raise Malformed(f"no role {text[:40]!r}", remedy=f"one of {', '.join(Role)}") from e


@dataclass(frozen=True, slots=True)
class User:
    """A person."""

    id: UserId
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A program's credential; its secret is known to the program alone."""

    id: ApiKeyId
    name: str
    role: Role
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A person signed in at the console. `handle` names it without being worth anything."""

    handle: str
    user: User
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str
