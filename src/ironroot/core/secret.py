"""A secret whose text never shows by accident."""

from __future__ import annotations

import hmac


class Secret:
    """Bytes that repr, str and logs show as stars. `reveal()` is the one way out, so every use can be found."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The bytes themselves."""
        return self._value

    def matches(self, other: bytes | str) -> bool:
        """Whether `other` is the same secret, in constant time."""
        return hmac.compare_digest(self._value, other.encode() if isinstance(other, str) else other)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not serialised")
