"""Fields about a person: in the chain only encrypted, under a key of that person's own.

Erasing the key erases what it encrypted, in every copy of the log, and breaks no hash.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from ironroot.core.canonical import Json, decode, encode
from ironroot.core.errors import Corrupt, Misconfigured
from ironroot.eventlog.model import Fact, NewFact, PendingFact
from ironroot.eventlog.ports import PersonKeys
from ironroot.store.engine import Tx

FIELD = "personal"
"""The body's field that holds them: {"person": id, "sealed": base64}."""


@dataclass(frozen=True, slots=True)
class Personal:
    """A fact's fields about `person`; `fields` is None once they are erased."""

    person: str
    fields: Mapping[str, Json] | None

    @property
    def erased(self) -> bool:
        """Whether the key is gone, and the fields with it."""
        return self.fields is None


async def seal(tx: Tx, keys: PersonKeys | None, new: NewFact) -> dict[str, Json]:
    """The body to store: with the personal fields encrypted where the fact has any. Raises Misconfigured without keys."""
    body = dict(new.body)
    if not new.personal:
        return body
    if keys is None or new.person is None:
        raise Misconfigured("personal fields need a person and the person's key")
    sealed = await keys.seal(tx, new.person, encode(new.personal))
    return body | {FIELD: {"person": new.person, "sealed": b64encode(sealed).decode()}}


async def reveal(keys: PersonKeys | None, fact: Fact | PendingFact) -> Personal | None:
    """The personal fields of a fact, decrypted or erased; None when it has none. Raises Corrupt for fields that are
    not as `seal` wrote them.
    """
    held = fact.body.get(FIELD)
    if held is None:
        return None
    if keys is None:
        raise Misconfigured("personal fields are read with the keys of persons")
    if not isinstance(held, dict) or not isinstance(held.get("person"), str) or not isinstance(held.get("sealed"), str):
        raise Corrupt("personal fields in a form nobody wrote")
    person, sealed = str(held["person"]), str(held["sealed"])
    plaintext = await keys.open(person, b64decode(sealed, validate=True))
    if plaintext is None:
        return Personal(person, None)
    fields = decode(plaintext)
    if not isinstance(fields, dict):
        raise Corrupt("personal fields in a form nobody wrote")
    return Personal(person, fields)
