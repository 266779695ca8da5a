"""The few shapes of DER (X.690) that are written here rather than by the cryptography library: CRLs and CSR attributes.

Encodes only. Values given are trusted to be valid DER themselves.
"""

from __future__ import annotations

from datetime import UTC, datetime

SEQUENCE = 0x30
SET = 0x31


def tagged(tag: int, *parts: bytes) -> bytes:
    """Tag, length and the parts one after the other."""
    size = sum(len(part) for part in parts)
    if size < 0x80:
        head = bytes((tag, size))
    else:
        length = size.to_bytes((size.bit_length() + 7) // 8)
        head = bytes((tag, 0x80 | len(length))) + length
    return b"".join((head, *parts))


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return tagged(SEQUENCE, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF, sorted as DER demands (X.690 11.6)."""
    return tagged(SET, *sorted(parts))


def integer(value: int) -> bytes:
    """INTEGER, not negative."""
    return tagged(0x02, value.to_bytes(value.bit_length() // 8 + 1))


def enumerated(value: int) -> bytes:
    """ENUMERATED, not negative."""
    return tagged(0x0A, value.to_bytes(value.bit_length() // 8 + 1))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tagged(0x04, value)


def bits(value: bytes) -> bytes:
    """BIT STRING of whole bytes."""
    return tagged(0x03, b"\0", value)


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return tagged(0x06, *(_arc(arc) for arc in (first * 40 + second, *rest)))


def time(at: datetime) -> bytes:
    """Time of RFC 5280: UTCTime through 2049, GeneralizedTime from 2050, whole seconds, Z."""
    utc = at.astimezone(UTC)
    if utc.year < 2050:
        return tagged(0x17, utc.strftime("%y%m%d%H%M%SZ").encode())
    return tagged(0x18, utc.strftime("%Y%m%d%H%M%SZ").encode())


def _arc(value: int) -> bytes:
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | value & 0x7F)
    return bytes(reversed(groups))
