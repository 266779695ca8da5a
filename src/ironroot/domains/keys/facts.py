"""What the key ring appends to the log: that a key exists and where, that a person's key does not exist any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ironroot.eventlog.model import Body


@dataclass(frozen=True, slots=True)
class KeyCreated(Body):
    """A purpose key or a signing key was made. `public` is the SHA-256 of its SubjectPublicKeyInfo, if it has one."""

    KIND: ClassVar[str] = "key.created"

    name: str
    algorithm: str
    generation: int
    home: str
    public: str | None = None


@dataclass(frozen=True, slots=True)
class PersonErased(Body):
    """A person's key was destroyed: what facts hold about this person can never be read again."""

    KIND: ClassVar[str] = "person.erased"

    person: str
