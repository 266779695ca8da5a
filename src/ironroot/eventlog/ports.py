"""What the log needs from others: a key that signs checkpoints, keys per person, and folds that watch appends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ironroot.eventlog.model import NewFact, PendingFact
from ironroot.store.engine import Tx


class CheckpointSigner(Protocol):
    """An Ed25519 key with the name that checkpoints carry."""

    @property
    def name(self) -> str:
        """The key's name in signed notes, also the log's origin."""
        ...

    @property
    def public(self) -> bytes:
        """The raw public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        ...


class PersonKeys(Protocol):
    """A key for each person, so that erasing it erases what it encrypted."""

    async def seal(self, tx: Tx, person: str, plaintext: bytes) -> bytes:
        """Encrypt under the person's key; the key is made when the person has none."""
        ...

    async def open(self, person: str, sealed: bytes) -> bytes | None:
        """Decrypt; None once the key is erased."""
        ...


class Fold(Protocol):
    """Watches facts as they are appended and answers with further facts, all in the same transaction."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds it wants to see."""
        ...

    async def fold(self, tx: Tx, fact: PendingFact) -> Sequence[NewFact]:
        """Update own state inside `tx`; the facts returned are appended in it too."""
        ...
