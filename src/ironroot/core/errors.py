"""The two families of errors: the other side is wrong or hostile (`Refused`), or we are (`Fault`).

Each carries a stable `code` for programs, a message for the log and a `remedy` for the person who reads it.
What a peer may see of them is decided at the edge alone; nothing internal belongs into message or remedy.
"""

from __future__ import annotations

from typing import ClassVar


class IronrootError(Exception):
    """Base of all errors raised on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, remedy: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.error_code = code or self.code


class Refused(IronrootError):
    """The peer is wrong or hostile; the request changes nothing."""

    code = "refused"


class Malformed(Refused):
    """Bytes that are not what they claim to be (HTTP 400)."""

    code = "malformed"


class Unauthenticated(Refused):
    """Nobody, or not who it claims to be (HTTP 401)."""

    code = "unauthenticated"


class Forbidden(Refused):
    """Known, and not allowed (HTTP 403)."""

    code = "forbidden"


class NotFound(Refused):
    """No such thing, or none this peer may know of (HTTP 404)."""

    code = "not-found"


class Conflict(Refused):
    """The state does not permit it now (HTTP 409)."""

    code = "conflict"


class TooLarge(Refused):
    """Over a stated limit of bytes, count or depth (HTTP 413)."""

    code = "too-large"


class Unprocessable(Refused):
    """Well-formed, and against a rule (HTTP 422)."""

    code = "unprocessable"


class TooMany(Refused):
    """Over a stated rate (HTTP 429)."""

    code = "too-many"

    def __init__(self, message: str, *, retry_after_s: float, remedy: str = "", code: str | None = None) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.retry_after_s = retry_after_s


class Fault(IronrootError):
    """We are wrong: a bug, a resource or the configuration."""

    code = "fault"


class Misconfigured(Fault):
    """The configuration or the machine cannot work like this; the remedy says what to change."""

    code = "misconfigured"


class Unavailable(Fault):
    """Something we need does not answer now (HTTP 503)."""

    code = "unavailable"


class Corrupt(Fault):
    """Stored bytes are not what was written: tampering or a broken disk."""

    code = "corrupt"
