"""NATS keys: Ed25519 keys written as base32 with a type prefix and a CRC-16, and the JWTs they sign (`ed25519-nkey`).

As much of the format as an auth callout needs: one account key that issues, and reading what the broker asks.
"""

from __future__ import annotations

from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import crc_hqx
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironroot.core.errors import Malformed
from ironroot.core.secret import Secret

_SEED = 18 << 3
_ACCOUNT = 0 << 3
_HEADER = urlsafe_b64encode(b'{"typ":"JWT","alg":"ed25519-nkey"}').rstrip(b"=") + b"."


class AccountKey:
    """An account's signing key."""

    def __init__(self, private: bytes) -> None:
        """`private`: 32 random bytes."""
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self._private = Secret(private)
        self.public = _encode(bytes([_ACCOUNT]) + self._key.public_key().public_bytes_raw())

    @property
    def seed(self) -> Secret:
        """The seed, `SA...`."""
        prefix = bytes([_SEED | _ACCOUNT >> 5, (_ACCOUNT & 31) << 3])
        return Secret(_encode(prefix + self._private.reveal()))

    @classmethod
    def from_seed(cls, seed: str) -> AccountKey:
        """The key of a seed. Raises Malformed for anything that is not an account's."""
        raw = _decode(seed)
        if len(raw) != 34 or raw[0] != _SEED | _ACCOUNT >> 5 or raw[1] != (_ACCOUNT & 31) << 3:
            raise Malformed("not the seed of an account key")
        return cls(raw[2:])

    def jwt(self, claims: dict[str, Any]) -> str:
        """The claims as a JWT signed by this key."""
        signed = _HEADER + urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=")
        return (signed + b"." + urlsafe_b64encode(self._key.sign(signed)).rstrip(b"=")).decode()


def claims_of(jwt: bytes) -> bytes:
    """The JSON of a JWT's claims; its signature is not looked at. Raises Malformed."""
    parts = jwt.split(b".")
    if len(parts) != 3:
        raise Malformed("not a JWT")
    try:
        return urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
    except ValueError as e:
        raise Malformed("not a JWT") from e


def _encode(raw: bytes) -> str:
    return b32encode(raw + crc_hqx(raw, 0).to_bytes(2, "little")).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        raw = b32decode(text + "=" * (-len(text) % 8))
    except ValueError as e:
        raise Malformed("not a NATS key") from e
    if len(raw) < 3 or crc_hqx(raw[:-2], 0).to_bytes(2, "little") != raw[-2:]:
        raise Malformed("not a NATS key: the checksum is wrong")
    return raw[:-2]
