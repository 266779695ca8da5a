"""What access appends. Names of people are personal fields, encrypted under each person's own key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from ironroot.eventlog.model import Body


@dataclass(frozen=True, slots=True)
class UserCreated(Body):
    """A person may sign in from now on."""

    KIND: ClassVar[str] = "user.created"
    role: str


@dataclass(frozen=True, slots=True)
class LinkCreated(Body):
    """A one-time sign-in link was made for a user."""

    KIND: ClassVar[str] = "link.created"
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionStarted(Body):
    """A user signed in."""

    KIND: ClassVar[str] = "session.started"
    session: str
    method: str


@dataclass(frozen=True, slots=True)
class SessionEnded(Body):
    """A session ended before its time."""

    KIND: ClassVar[str] = "session.ended"
    session: str


@dataclass(frozen=True, slots=True)
class ApiKeyCreated(Body):
    """A program may use the API from now on."""

    KIND: ClassVar[str] = "apikey.created"
    name: str
    role: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKeyRevoked(Body):
    """An API key is worth nothing any more."""

    KIND: ClassVar[str] = "apikey.revoked"
    name: str


@dataclass(frozen=True, slots=True)
class AccessRefused(Body):
    """Somebody showed a credential that is worth nothing."""

    KIND: ClassVar[str] = "access.refused"
    what: str
    why: str
