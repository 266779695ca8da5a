from __future__ import annotations

from hashlib import sha256

import pytest

from ironroot.core.chain import GENESIS, link, link_bytes
from ironroot.core.errors import Malformed


def test_the_hash_covers_the_one_before_and_the_canonical_record() -> None:
    first = link(GENESIS, {"b": 1, "a": "x"})
    assert first == sha256(bytes(32) + b'{"a":"x","b":1}').digest()
    assert link(first, {"a": 2}) == sha256(first + b'{"a":2}').digest() == link_bytes(first, b'{"a":2}')


def test_a_record_without_a_canonical_form_has_no_hash() -> None:
    with pytest.raises(Malformed):
        link(GENESIS, {"a": 0.5})


def test_a_shortened_hash_cannot_move_bytes_between_hash_and_record() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        link_bytes(bytes(31), b"\x00{}")
