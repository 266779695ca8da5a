"""What the PKI needs from others: keys, devices, a policy that says who may enrol, and the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from ironroot.core.decision import Decision
from ironroot.core.ids import DeviceId, FactId
from ironroot.core.secret import Secret
from ironroot.domains.pki.model import Purpose
from ironroot.eventlog.model import NewFact
from ironroot.store.engine import Tx

Entropy = Callable[[int], bytes]
"""So many random bytes."""


class Keys(Protocol):
    """The key ring. A key held in a token is a subclass of the key type whose `sign` asks the token."""

    async def secret(self, name: str, tx: Tx | None = None) -> Secret:
        """A purpose key of 32 bytes, made on first use."""
        ...

    async def signing_key(self, name: str, algorithm: Literal["p256"], tx: Tx | None = None) -> EllipticCurvePrivateKey:
        """A signing key, made on first use."""
        ...

    def seal(self, context: str, plaintext: bytes) -> bytes:
        """Seal for the place named."""
        ...

    def open(self, context: str, sealed: bytes) -> bytes:
        """Open what was sealed for the place named. Raises Corrupt."""
        ...


class Devices(Protocol):
    """The inventory, as far as a claim needs it."""

    async def ensure(self, tx: Tx, device: DeviceId, actor: str, *, type_: str | None = None) -> object:
        """Register the device when it is new. Raises Conflict for one that is retired."""
        ...


class Admission(Protocol):
    """The policy decision point's word on certificates."""

    async def decide(self, tx: Tx, device: DeviceId, purpose: Purpose) -> Decision:
        """May this device enrol, or renew, now? Read inside `tx`, so that a revocation cannot slip between."""
        ...


class Facts(Protocol):
    """Where facts are appended."""

    async def append(self, tx: Tx, fact: NewFact) -> FactId:
        """Append in the caller's transaction."""
        ...


class Refusals(Protocol):
    """Where refusals an attacker can repeat are recorded, coalesced."""

    async def note(self, fact: NewFact) -> object:
        """Record or count it."""
        ...
