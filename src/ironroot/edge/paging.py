"""Keyset paging: a page is a limit and an opaque cursor that holds the last key seen, so nothing is skipped or repeated."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Query

from ironroot.core.errors import Malformed

T = TypeVar("T")
MAX_LIMIT = 500

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="at most so many items")]
Cursor = Annotated[str | None, Query(max_length=400, description="`next` of the page before")]


def encode_cursor(key: str) -> str:
    """A cursor for a key."""
    return urlsafe_b64encode(key.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str | None:
    """The key in a cursor. Raises Malformed for one this API did not give."""
    if cursor is None:
        return None
    try:
        return b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError as e:
        raise Malformed("not a cursor", remedy="pass on `next` of the page before, unchanged") from e


def page(items: Sequence[T], limit: int, key: Callable[[T], str], show: Callable[[T], Any]) -> dict[str, Any]:
    """The answer for a list: `items` holds up to one more than `limit`, which is how a next page is known."""
    shown = items[:limit]
    more = len(items) > limit
    return {"items": [show(i) for i in shown], "next": encode_cursor(key(shown[-1])) if more and shown else None}
