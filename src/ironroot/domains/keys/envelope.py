"""Sealed bytes: AES-256-GCM bound to the place they belong to, so that no row can stand in for another.

Format, version 1: version (1 byte), key generation (4, big endian), nonce (12), ciphertext with tag (n + 16).
The associated data is the version, the generation and the context, a text naming table, column and row
(`signing_key/private/device-1`). Invariant: `unseal` returns what was sealed under the same key, generation and
context, or raises. The nonce is an argument; with random ones (NIST SP 800-38D 8.2.2) a key seals at most 2**32
times, which no key here comes near. Knows nothing of where keys come from.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ironroot.core.errors import Corrupt

VERSION = 1
NONCE_BYTES = 12
OVERHEAD_BYTES = 1 + 4 + NONCE_BYTES + 16
_HEAD = 5
_REMEDY = "restore the data directory from a backup, together with its keys/master.key"


def seal(key: bytes, generation: int, context: str, plaintext: bytes, nonce: bytes) -> bytes:
    """The sealed form of `plaintext`, `OVERHEAD_BYTES` longer. The 12-byte nonce is never used twice with a key.

    Raises ValueError for a key, nonce or generation of the wrong size.
    """
    if len(nonce) != NONCE_BYTES or len(key) != 32:
        raise ValueError("AES-256-GCM takes a key of 32 bytes and a nonce of 12")
    try:
        head = bytes([VERSION]) + generation.to_bytes(4)
    except OverflowError as e:
        raise ValueError("a generation is an unsigned 32-bit number") from e
    return head + nonce + AESGCM(key).encrypt(nonce, plaintext, _associated(head, context))


def generation(sealed: bytes) -> int:
    """The generation of the key that opens `sealed`. Raises Corrupt for bytes that are no sealed form."""
    if len(sealed) < OVERHEAD_BYTES or sealed[0] != VERSION:
        raise Corrupt("not a sealed value of a known version", remedy=_REMEDY)
    return int.from_bytes(sealed[1:_HEAD])


def unseal(key: bytes, context: str, sealed: bytes) -> bytes:
    """What was sealed. Raises Corrupt when a bit changed, the key is another, or it was sealed for another place."""
    generation(sealed)
    head, nonce = sealed[:_HEAD], sealed[_HEAD : _HEAD + NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, sealed[_HEAD + NONCE_BYTES :], _associated(head, context))
    except InvalidTag as e:
        raise Corrupt(f"sealed value at {context!r} does not open", remedy=_REMEDY) from e


def _associated(head: bytes, context: str) -> bytes:
    return b"ironroot envelope\0" + head + context.encode()
