"""Canonical JSON: one value, one sequence of bytes, so that hashes and signatures over values mean something.

RFC 8785 (JCS) for the values Ironroot signs: objects with string keys, arrays, strings, integers within 2**53,
booleans and null. Floats are refused rather than rounded: a measured number goes into a fact as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ironroot.core.errors import Malformed, TooLarge

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

MAX_DEPTH = 16
_SAFE = 2**53


def encode(value: object) -> bytes:
    """The canonical bytes of `value`. Raises Malformed for a type or number that has no canonical form,
    TooLarge for nesting past 16 levels.
    """
    _check(value, 0)
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode(data: bytes) -> Json:
    """The value whose canonical bytes are exactly `data`. Raises Malformed if they are any other spelling of it."""
    try:
        value: Json = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise Malformed("not JSON") from e
    if encode(value) != data:
        raise Malformed("not canonical JSON")
    return value


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TooLarge(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case None | bool():
            return
        case str():
            try:
                value.encode()
            except UnicodeEncodeError as e:
                raise Malformed("text with a lone surrogate has no UTF-8 form") from e
        case int():
            if not -_SAFE < value < _SAFE:
                raise Malformed("integers beyond 2**53 are not interoperable: write them as text")
        case list() | tuple():
            for item in value:
                _check(item, depth + 1)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Malformed("object keys are text")
                _check(key, depth)
                _check(item, depth + 1)
        case _:
            raise Malformed(f"a {type(value).__name__} has no canonical form")


def _ordered(value: object) -> object:
    """Keys sorted by UTF-16 code units, as RFC 8785 section 3.2.3 demands."""
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda k: k.encode("utf-16-be"))}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    return value
