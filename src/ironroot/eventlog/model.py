"""What a fact is, before and after it has its place in the chain.

A domain describes its facts as frozen dataclasses deriving from `Body` (in its `facts.py`); `body.fact(...)`
makes the `NewFact` to append, `Body.of(fact)` reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Self

import msgspec

from ironroot.core.canonical import Json
from ironroot.core.chain import GENESIS
from ironroot.core.clock import rfc3339
from ironroot.core.ids import DeviceId, FactId


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact about to be appended.

    `kind` is `noun.past-tense`, `subject` and `actor` are `kind-of-thing/id` (`device/meter-1`, `user/usr_...`,
    `host/root`, `platform`). `personal` holds fields about a person: they are stored encrypted under that
    person's key (`person`), so that erasing the key erases them and leaves the chain whole.
    """

    kind: str
    subject: str
    actor: str
    body: Mapping[str, Json] = field(default_factory=dict)
    person: str | None = None
    personal: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PendingFact:
    """A fact written in a transaction, its place in the chain not yet given."""

    id: FactId
    at: datetime
    kind: str
    subject: str
    actor: str
    body: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact in the chain. `prev` and `hash` are SHA-256, 32 bytes."""

    seq: int
    id: FactId
    at: datetime
    kind: str
    subject: str
    actor: str
    body: Mapping[str, Json]
    prev: bytes
    hash: bytes

    def record(self) -> dict[str, Json]:
        """What the hash covers, and what the API and the export show beside `prev` and `hash`."""
        return {
            "seq": self.seq,
            "id": self.id,
            "at": rfc3339(self.at),
            "kind": self.kind,
            "subject": self.subject,
            "actor": self.actor,
            "body": dict(self.body),
        }


@dataclass(frozen=True, slots=True)
class Head:
    """The chain's end: how many facts, and the hash of the last (32 zero bytes when there is none)."""

    seq: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True)
class Body:
    """Base of the facts a domain appends: fields are text, integers, booleans, instants, lists and None."""

    KIND: ClassVar[str]

    def fact(self, subject: str, actor: str) -> NewFact:
        """This body as a fact to append."""
        return NewFact(self.KIND, subject, actor, msgspec.to_builtins(self, enc_hook=None))

    @classmethod
    def of(cls, fact: Fact | PendingFact) -> Self:
        """The body of a fact of this kind. Raises ValueError for a fact of another."""
        if fact.kind != cls.KIND:
            raise ValueError(f"{fact.kind} is not {cls.KIND}")
        return msgspec.convert(dict(fact.body), cls)


def about_device(device: DeviceId) -> str:
    """The subject of a fact about a device."""
    return f"device/{device}"


PLATFORM = "platform"
"""The actor of what the platform does by itself."""
