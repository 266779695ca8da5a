"""What the engines' errors mean to us: a resource that is missing now, bytes that are broken, or a bug."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from ironroot.core.errors import Corrupt, Misconfigured, Unavailable

_FULL = ("database or disk is full", "disk i/o error", "no space left", "file too large", "disk quota")
_BROKEN = ("malformed", "file is not a database", "invalid page", "could not read block")
_BUSY = ("database is locked", "database table is locked", "deadlock", "could not serialize", "lock timeout")
_AWAY = ("unable to open database", "connection", "too many clients", "starting up", "shutting down", "readonly")


def translate(error: DBAPIError | OSError | NoFreeConnection) -> Exception:
    """The error of our own that `error` means; `error` itself where the statement, not the machine, is wrong.

    The engine's words go into the message for the log; what a peer sees is decided at the edge.
    """
    if isinstance(error, OSError):
        return Unavailable("the store cannot be reached", remedy="is the database running?", code="store-away")
    if isinstance(error, NoFreeConnection):
        return Unavailable("the store is busy: no connection is free", remedy="try again", code="store-busy")
    if isinstance(error, IntegrityError | ProgrammingError):
        return error
    text, state = str(error.orig).lower(), getattr(error.orig, "sqlstate", None) or ""
    if state in {"53100", "53200"} or any(words in text for words in _FULL):
        return Unavailable(
            f"the store cannot write: {text[:200]}",
            remedy="free space on the disk that holds the data; nothing that was confirmed is lost",
            code="store-full",
        )
    if state in {"XX001", "XX002"} or any(words in text for words in _BROKEN):
        return Corrupt(
            f"the store's file is damaged: {text[:200]}",
            remedy="stop the platform, keep a copy of the data directory, restore the last backup",
            code="store-corrupt",
        )
    if state[:2] in {"28", "3D"}:
        return Misconfigured(
            f"the store refuses us: {text[:200]}",
            remedy="check user, password and database name in the store's URL",
            code="store-refused",
        )
    if state in {"40001", "40P01", "55P03"} or any(words in text for words in _BUSY):
        return Unavailable(f"the store is busy: {text[:200]}", remedy="try again", code="store-busy")
    if error.connection_invalidated or state[:2] in {"08", "57"} or any(words in text for words in _AWAY):
        return Unavailable(
            f"the store cannot be reached: {text[:200]}", remedy="is the database running?", code="store-away"
        )
    return error
