from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Malformed, TooLarge
from ironroot.simulator.mqtt import connect_packet, parse_publish, publish_packet, split, subscribe_packet


def test_packets_are_those_of_the_standard() -> None:
    """MQTT 3.1.1 sections 3.1, 3.8, 3.3, worked out by hand."""
    assert connect_packet("a", 60) == bytes.fromhex("100d 0004 4d515454 04 02 003c 0001 61")
    assert subscribe_packet(1, "d/#") == bytes.fromhex("8208 0001 0003 642f23 00")
    assert publish_packet("t", b"x", 10) == bytes.fromhex("3206 0001 74 000a 78")


@given(
    st.text(min_size=1, max_size=50).filter(lambda t: "\0" not in t), st.binary(max_size=40_000), st.integers(1, 65535)
)
def test_what_is_made_is_what_is_read(topic: str, payload: bytes, number: int) -> None:
    try:
        packet = publish_packet(topic, payload, number)
    except UnicodeEncodeError:
        return
    buffer = bytearray(packet * 2)
    for _ in range(2):
        whole = split(buffer)
        assert whole is not None
        assert parse_publish(*whole) == (topic, payload)
    assert buffer == b""
    for cut in {0, 1, 2, len(packet) // 2, len(packet) - 1}:
        assert split(bytearray(packet[:cut])) is None


def test_a_broker_cannot_make_us_wait_for_a_gigabyte() -> None:
    with pytest.raises(TooLarge):
        split(bytearray(b"\x30\xff\xff\xff\x7f"))
    with pytest.raises(Malformed):
        split(bytearray(b"\x30\xff\xff\xff\xff\x01"))


@given(st.binary(max_size=60))
def test_bytes_of_nonsense_are_refused_or_waited_for(data: bytes) -> None:
    buffer = bytearray(data)
    try:
        while (packet := split(buffer)) is not None:
            parse_publish(*packet)
    except (Malformed, TooLarge):
        pass
