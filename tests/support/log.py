"""Keys for a fact log in tests: a signer of checkpoints, and keys per person that can be erased."""

from __future__ import annotations

import secrets
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironroot.store.engine import Tx
from ironroot.verify.note import VerifierKey


class NoteSigner:
    """A CheckpointSigner with a key of its own; the same seed gives the same key."""

    def __init__(self, name: str = "log.test", seed: str | None = None) -> None:
        entropy = secrets.token_bytes(32) if seed is None else sha256(seed.encode()).digest()
        self._private = Ed25519PrivateKey.from_private_bytes(entropy)
        self.name = name

    @property
    def public(self) -> bytes:
        return self._private.public_key().public_bytes_raw()

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(self.name, self.public)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


class PersonKeysInMemory:
    """PersonKeys in a dictionary; `erase` forgets a person."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}

    async def seal(self, tx: Tx, person: str, plaintext: bytes) -> bytes:
        key = self._keys.setdefault(person, secrets.token_bytes(32))
        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(key).encrypt(nonce, plaintext, person.encode())

    async def open(self, person: str, sealed: bytes) -> bytes | None:
        key = self._keys.get(person)
        return None if key is None else AESGCM(key).decrypt(sealed[:12], sealed[12:], person.encode())

    def erase(self, person: str) -> None:
        del self._keys[person]
