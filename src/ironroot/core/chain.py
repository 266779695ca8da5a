"""The hash chain of facts: each hash covers the fact's record and the hash before it.

hash(n) = SHA-256(hash(n-1) || canonical JSON of record n), and hash(0) is 32 zero bytes. A fact that is changed,
dropped or moved breaks every hash after it. Who may say which chain is the right one is not decided here: see
the signed checkpoints (`verify.note`).
"""

from __future__ import annotations

from hashlib import sha256

from ironroot.core.canonical import encode

GENESIS = bytes(32)
"""What comes before the first fact."""


def link(prev: bytes, record: object) -> bytes:
    """The hash, 32 bytes, of `record` following the hash `prev`. Raises Malformed or TooLarge for a record
    without a canonical form.
    """
    return link_bytes(prev, encode(record))


def link_bytes(prev: bytes, record: bytes) -> bytes:
    """The same for a record whose canonical bytes are at hand."""
    if len(prev) != len(GENESIS):
        raise ValueError("a hash in the chain has 32 bytes")
    return sha256(prev + record).digest()
