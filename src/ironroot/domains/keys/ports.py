"""What the key ring needs: something that guards the master key, and a log to append facts to."""

from __future__ import annotations

from typing import Protocol

from ironroot.core.ids import FactId
from ironroot.eventlog.model import NewFact
from ironroot.store.engine import Tx


class MasterKey(Protocol):
    """The key that wraps all others: a file now, a token or a TPM behind the same three names later."""

    @property
    def id(self) -> int:
        """A 32-bit number that tells one master key from another and nothing about either."""
        ...

    def wrap(self, context: str, plaintext: bytes) -> bytes:
        """An envelope whose generation is `id`."""
        ...

    def unwrap(self, context: str, wrapped: bytes) -> bytes:
        """What was wrapped. Raises Corrupt; Misconfigured when another master key wrapped it."""
        ...


class Facts(Protocol):
    """Where facts are appended."""

    async def append(self, tx: Tx, fact: NewFact) -> FactId:
        """Append in the caller's transaction."""
        ...
