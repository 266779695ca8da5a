"""Names of things, a type for each, so that no two can be taken for one another.

Every id made here is random (no count or time leaks) and carries its kind as a prefix, so that a person who
finds one in a log knows what it names.
"""

from __future__ import annotations

import re
from base64 import b32encode
from typing import NewType

from ironroot.core.errors import Malformed

DeviceId = NewType("DeviceId", str)
UserId = NewType("UserId", str)
ApiKeyId = NewType("ApiKeyId", str)
SessionId = NewType("SessionId", str)
ClaimId = NewType("ClaimId", str)
CommandId = NewType("CommandId", str)
FactId = NewType("FactId", str)
Fingerprint = NewType("Fingerprint", str)
"""SHA-256 of a certificate's DER, 64 lower-case hexadecimal digits."""

DEVICE_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def device_id(text: str) -> DeviceId:
    """The device id in `text`. It becomes a certificate's CN and a topic level, so nothing else may pass.

    Raises Malformed.
    """
    if DEVICE_ID.fullmatch(text) is None:
        raise Malformed(
            f"not a device id: {text[:70]!r}",
            remedy="use 1 to 63 of a-z, 0-9 and -, not starting with -",
            code="device-id",
        )
    return DeviceId(text)


def plain_name(text: str, what: str) -> str:
    """A short name for a group, a type, a label. Raises Malformed."""
    if _NAME.fullmatch(text) is None:
        raise Malformed(f"not a {what} name: {text[:70]!r}", remedy="use 1 to 63 of a-z, 0-9, dot, - and _")
    return text


def new_id(prefix: str, entropy: bytes) -> str:
    """An id such as `usr_k3v...`: the kind and 16 random bytes in lower-case base32 (26 characters).

    Raises ValueError for fewer than 16 bytes of entropy.
    """
    if len(entropy) < 16:
        raise ValueError("an id needs 16 bytes of entropy")
    return f"{prefix}_{b32encode(entropy[:16]).decode().rstrip('=').lower()}"
