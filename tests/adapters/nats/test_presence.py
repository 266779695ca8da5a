from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from ironroot.adapters.nats.presence import ConnectionEvent, Presence, from_event
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.model import Connection

METER = DeviceId("meter-1")
AT = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = {
    "server": {"id": "S1", "name": "ironroot"},
    "client": {
        "start": "2026-11-23T12:22:26.800094961Z",
        "host": "192.0.2.7",
        "id": 10,
        "user": "meter-1",
        "client_type": "mqtt",
        "client_id": "R1f6KYyAsdZJh5ILSZfZvh",
    },
}


def connection(cid: int, server: str = "S1") -> Connection:
    return Connection(server, cid, "meter-1", "192.0.2.7", AT)


def test_an_event_names_the_device_and_hides_a_made_up_id() -> None:
    found = from_event(msgspec.convert(EVENT, ConnectionEvent))
    assert found is not None
    device, one, client_id = found
    assert (device, one.cid, one.client_id, one.address) == (METER, 10, "", "192.0.2.7")
    assert one.since == datetime(2026, 11, 23, 12, 22, 26, 800094, UTC)
    assert client_id == "R1f6KYyAsdZJh5ILSZfZvh"


def test_the_brokers_own_users_are_no_devices() -> None:
    event = msgspec.convert(EVENT, ConnectionEvent)
    event.client.client_type = "nats"
    assert from_event(event) is None


def test_a_connection_that_ended_before_it_was_listed_does_not_come_back() -> None:
    presence = Presence()
    assert presence.add(METER, connection(1), "meter-1")
    assert presence.remove("S1", 1) == (METER, connection(1))
    assert not presence.add(METER, connection(1), "meter-1")
    assert METER not in presence


def test_an_end_heard_before_the_beginning_wins() -> None:
    presence = Presence()
    assert presence.remove("S1", 1) is None
    assert not presence.add(METER, connection(1), "meter-1")


def test_what_a_whole_list_does_not_hold_is_gone_unless_it_is_newer() -> None:
    presence = Presence()
    presence.add(METER, connection(1, "old"), "meter-1")
    presence.add(METER, connection(2), "meter-1")
    mark = presence.additions
    presence.add(METER, connection(3), "meter-1")
    assert presence.missing([("S1", 2)], mark) == [("old", 1)]


def test_the_log_may_speak_of_a_connection_that_just_ended() -> None:
    presence = Presence()
    presence.add(METER, connection(1), "meter-1")
    assert presence.whose(1) == (METER, connection(1))
    presence.remove("S1", 1)
    assert presence.whose(1) == (METER, None)
    assert presence.whose(2) is None
    assert presence.client_ids(METER) == {"meter-1"}
