"""RFC 8785 for the values Ironroot signs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.canonical import MAX_DEPTH, decode, encode
from ironroot.core.errors import Malformed, Refused, TooLarge

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_encoded_is_read_back(value: object) -> None:
    data = encode(value)
    assert decode(data) == value
    assert json.loads(data) == value


@given(st.dictionaries(st.text(), st.integers(0, 9), max_size=6))
def test_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert encode(dict(reversed(list(value.items())))) == encode(value)


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    """The example of RFC 8785 3.2.3, where UTF-8 order would differ."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(encode(dict.fromkeys(keys, 0)))) == ordered


def test_text_is_escaped_no_more_than_needed() -> None:
    assert encode('\u20ac$\x0f\nA\'B"\\"/\x7f') == '"€$\\u000f\\nA\'B\\"\\\\\\"/\x7f"'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b" 1", b"1 ", b"1.0", b"-0", b"1e3", b"01", b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'"\\u0041"',
        b'"\\/"', b"NaN", b"[1, 2]", b'"\\ud800"', b"9007199254740992", b"\xff", b"\xef\xbb\xbf1", '"a"'.encode("utf-16"),
        b"[" * 100_000, b"9" * 5_000,
    ],
)  # fmt: skip
def test_any_other_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        decode(data)


@given(st.binary(max_size=60))
def test_decode_never_crashes_and_knows_one_spelling(data: bytes) -> None:
    try:
        value = decode(data)
    except Refused:
        return
    assert encode(value) == data


@pytest.mark.parametrize("value", [0.5, {1: 2}, {"a": b"x"}, {"a": {1, 2}}, "\ud800", 2**53, -(2**53), object()])
def test_values_without_a_canonical_form(value: object) -> None:
    with pytest.raises(Malformed):
        encode(value)


def test_depth_is_bounded() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    encode(deep)
    with pytest.raises(TooLarge):
        encode([deep])
