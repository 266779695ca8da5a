"""The protocol parser, fed in every possible cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.adapters.nats.link import MAX_LINE, Link, Message
from ironroot.core.errors import Unavailable
from ironroot.core.secret import Secret
from tests.support.nats import Hall

HEADER = b"NATS/1.0\r\nNmqtt-Pub:0\r\n\r\n"
STREAM = (
    b"+OK\r\n"
    b"MSG d.a.up.event 1 5\r\nhello\r\n"
    b"PING\r\n"
    b"MSG d.a.up.event 2 $JS.ACK.x 0\r\n\r\n"
    b"HMSG d.a.up.log 1 %d %d\r\n%shi\r\n"
    % (len(HEADER), len(HEADER) + 2, HEADER)
    + b"HMSG d.b 3 re.ply 12 12\r\nNATS/1.0\r\n\r\n\r\n"
)
MESSAGES = [
    Message(b"d.a.up.event", 1, b"", b"", b"hello"),
    Message(b"d.a.up.event", 2, b"$JS.ACK.x", b"", b""),
    Message(b"d.a.up.log", 1, b"", HEADER, b"hi"),
    Message(b"d.b", 3, b"re.ply", b"NATS/1.0\r\n\r\n", b""),
]


def link(into: list[Message]) -> Link:
    return Link(into.extend, {"user": "test"})


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts: list[int]) -> None:
    async def feed() -> list[Message]:
        got: list[Message] = []
        one = link(got)
        edges = [0, *sorted(cuts), len(STREAM)]
        for start, end in pairwise(edges):
            one.data_received(STREAM[start:end])
        return got

    assert asyncio.run(feed()) == MESSAGES


async def test_a_line_without_end_ends_the_link() -> None:
    one = link([])
    one.data_received(b"X" * (MAX_LINE + 1))
    assert one._reason == "a control line too long"


async def test_a_wrong_password_is_said(broker_hall: Hall) -> None:
    with pytest.raises(Unavailable, match=r"Authorization Violation|lost"):
        await Link.open(broker_hall.credentials.url, Role.APP, "wrong", print, "test")


async def test_an_intake_may_not_do_what_the_platform_may(broker_hall: Hall) -> None:
    credentials = broker_hall.credentials
    one = await Link.open(credentials.url, Role.INTAKE, credentials.password(Role.INTAKE), print, "test")
    with pytest.raises(Unavailable):
        await one.request("$JS.API.STREAM.DELETE.$MQTT_msgs", timeout_s=0.3)
    one.publish(b"d.meter-1.down.command", b"{}")
    await one.flush()
    assert "Permissions Violation" in one._reason
    one.close()
    await one.ended


async def test_without_a_broker_it_says_so() -> None:
    credentials = Credentials("nats://127.0.0.1:1", {Role.APP: Secret("x")}, Credentials.make(1).issuer)
    with pytest.raises(Unavailable):
        await Link.open(credentials.url, Role.APP, "x", print, "test")
