"""The text of credentials: made from given entropy, taken apart again, stored as hashes only. Pure.

All are at least 256 random bits, so one SHA-256 is the right hash (nothing to guess, nothing to stretch). The
prefixes `irk_` and `irl_` are for people and secret scanners.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from ironroot.core.errors import Unauthenticated
from ironroot.core.ids import ApiKeyId, new_id
from ironroot.core.secret import Secret

_API_KEY = re.compile(r"irk_([a-z2-7]{26})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKeyText:
    """An API key's two parts: its id, and the secret."""

    id: ApiKeyId
    secret: Secret

    def text(self) -> Secret:
        """The key as its owner keeps it."""
        return Secret(f"irk_{self.id.removeprefix('apk_')}_{self.secret.reveal().decode()}")


def new_api_key(entropy: bytes) -> ApiKeyText:
    """A key from 48 random bytes."""
    return ApiKeyText(ApiKeyId(new_id("apk", entropy[:16])), Secret(_text(entropy[16:48])))


def parse_api_key(text: str) -> ApiKeyText:
    """The parts of a key. Raises Unauthenticated; what was sent is not repeated."""
    found = _API_KEY.fullmatch(text)
    if found is None:
        raise Unauthenticated(
            "not an API key", remedy="API keys look like irk_..._...; `ironroot apikey create` makes one"
        )
    return ApiKeyText(ApiKeyId(f"apk_{found[1]}"), Secret(found[2]))


def new_token(prefix: str, entropy: bytes) -> Secret:
    """A token from 32 random bytes: a one-time link's or a session's."""
    return Secret(f"{prefix}_{_text(entropy[:32])}")


def stored(secret: Secret | str) -> str:
    """What the store keeps of a secret: SHA-256, hexadecimal."""
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret.reveal()).hexdigest()


def _text(entropy: bytes) -> str:
    if len(entropy) < 32:
        raise ValueError("a credential needs 32 bytes of entropy")
    return urlsafe_b64encode(entropy).decode().rstrip("=")
