"""Merkle tree hash, compact frontier, inclusion and consistency proofs (RFC 9162 section 2.1, SHA-256).

A tree over n entries has one root; whoever holds the root of an older, smaller tree can be shown that a newer
one only appended (consistency), and that one entry is in it (inclusion). Functions here take leaf hashes, which
`leaf` makes from an entry. Proof verification raises Corrupt and never answers with a bool that can be ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from ironroot.core.errors import Corrupt, Malformed

EMPTY = sha256(b"").digest()
"""The root of a tree without entries."""

HASH_BYTES = 32
_SIZE_BYTES = 8


def leaf(entry: bytes) -> bytes:
    """The leaf hash of an entry: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All of a tree that appending needs: the roots of its full subtrees, largest first (one per 1 bit of `size`)."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf_hash: bytes) -> Frontier:
        """The frontier with one more leaf. O(log n), two hashes on average."""
        return self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Sequence[bytes]) -> Frontier:
        """The frontier with all these leaves appended in order."""
        size, peaks = self.size, list(self.peaks)
        for leaf_hash in leaf_hashes:
            carry, bits = leaf_hash, size
            while bits & 1:
                carry = node(peaks.pop(), carry)
                bits >>= 1
            peaks.append(carry)
            size += 1
        return Frontier(size, tuple(peaks))

    def root(self) -> bytes:
        """The tree's root hash."""
        if not self.peaks:
            return EMPTY
        total = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            total = node(peak, total)
        return total

    def to_bytes(self) -> bytes:
        """Size (8 bytes, big-endian) and peaks."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.peaks)

    @classmethod
    def parse(cls, data: bytes) -> Frontier:
        """The frontier `to_bytes` made. Raises Malformed for any other bytes."""
        if len(data) < _SIZE_BYTES:
            raise Malformed("a frontier starts with its size")
        size = int.from_bytes(data[:_SIZE_BYTES], "big")
        body = data[_SIZE_BYTES:]
        if len(body) != size.bit_count() * HASH_BYTES:
            raise Malformed(f"a frontier of size {size} has {size.bit_count()} hashes")
        return cls(size, tuple(body[i : i + HASH_BYTES] for i in range(0, len(body), HASH_BYTES)))


def root(leaves: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes."""
    return Frontier().extend(leaves).root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path from leaf `index` to the root, nearest first (2.1.3.1). O(n). Raises IndexError outside the tree."""
    if not 0 <= index < len(leaves):
        raise IndexError("no such leaf")
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*inclusion_proof(leaves[:k], index), root(leaves[k:])]
    return [*inclusion_proof(leaves[k:], index - k), root(leaves[:k])]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """What shows that the tree over the first `old_size` leaves is a prefix of this one (2.1.4.1). O(n)."""
    if not 0 <= old_size <= len(leaves):
        raise IndexError("the older tree is not larger")
    if old_size in {0, len(leaves)}:
        return []
    return _subproof(leaves, old_size, whole=True)


def _subproof(leaves: Sequence[bytes], old_size: int, *, whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if whole else [root(leaves)]
    k = _split(len(leaves))
    if old_size <= k:
        return [*_subproof(leaves[:k], old_size, whole=whole), root(leaves[k:])]
    return [*_subproof(leaves[k:], old_size - k, whole=False), root(leaves[:k])]


def _split(n: int) -> int:
    """The largest power of two smaller than n."""
    return 1 << (n - 1).bit_length() - 1


def verify_inclusion(leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> None:
    """Raises Corrupt unless the proof leads from the leaf to the root (2.1.3.2)."""
    if not 0 <= index < size:
        raise Corrupt("inclusion: the leaf is outside the tree")
    position, last, computed = index, size - 1, leaf_hash
    for step in proof:
        if last == 0:
            raise Corrupt("inclusion: the proof is too long")
        if position & 1 or position == last:
            computed = node(step, computed)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            computed = node(computed, step)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise Corrupt("inclusion: the proof is too short")
    _same(computed, root_hash, "inclusion: another root")


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises Corrupt unless the newer tree only appended to the older one (2.1.4.2)."""
    if not 0 <= old_size <= new_size:
        raise Corrupt("consistency: the older tree is the larger one")
    if old_size in {0, new_size}:
        if proof:
            raise Corrupt("consistency: nothing to prove, yet a proof")
        _same(old_root, EMPTY if old_size == 0 else new_root, "consistency: another root for the same tree")
        return
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise Corrupt("consistency: the proof is too short")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for step in path[1:]:
        if last == 0:
            raise Corrupt("consistency: the proof is too long")
        if position & 1 or position == last:
            old, new = node(step, old), node(step, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node(new, step)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise Corrupt("consistency: the proof is too short")
    _same(old, old_root, "consistency: another older root")
    _same(new, new_root, "consistency: another newer root")


def _same(computed: bytes, expected: bytes, message: str) -> None:
    if not compare_digest(computed, expected):
        raise Corrupt(message)
