"""What the platform does about what happens at the door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.model import Connection, Refusal, Violation
from ironroot.domains.messaging.watch import DoorWatch
from ironroot.eventlog.model import NewFact
from tests.support.clock import ManualClock

DEVICE = DeviceId("meter-1")


class Ends:
    def __init__(self) -> None:
        self.did: list[str] = []

    async def deny(self, device: DeviceId, _seconds: float) -> None:
        self.did.append(f"deny {device}")

    async def kick(self, device: DeviceId) -> int:
        self.did.append(f"kick {device}")
        return 1

    def connected(self, device: DeviceId) -> None:
        self.did.append(f"in {device}")

    def disconnected(self, device: DeviceId) -> None:
        self.did.append(f"out {device}")


class Notes:
    def __init__(self) -> None:
        self.facts: list[NewFact] = []

    async def note(self, fact: NewFact) -> None:
        self.facts.append(fact)


class Scene:
    def __init__(self) -> None:
        self.ends, self.notes, self.clock = Ends(), Notes(), ManualClock()
        self.watch = DoorWatch(self.notes, self.ends, self.ends, self.clock)


def denied(number: int = 0) -> Violation:
    return Violation(DEVICE, "publish", f"d.other.up.event{number}", "192.0.2.7", "meter-1")


async def test_a_refusal_is_a_fact_about_the_device_its_certificate_names() -> None:
    scene = Scene()
    await scene.watch.refused(Refusal("meter-1", "client-id", "not its own", "192.0.2.7", "meter-2", 3))
    (fact,) = scene.notes.facts
    assert (fact.kind, fact.subject, fact.actor) == ("mqtt.refused", "device/meter-1", "peer/192.0.2.7")
    assert fact.body == {"code": "client-id", "reason": "not its own", "client_id": "meter-2", "unreported": 3}


async def test_a_name_that_is_no_device_id_names_no_device() -> None:
    scene = Scene()
    for name in (None, "", "../x", "Meter 1"):
        await scene.watch.refused(Refusal(name, "certificate-unknown", "", "192.0.2.7", ""))
    assert {f.subject for f in scene.notes.facts} == {"platform"}


async def test_a_flood_is_cut_off_before_it_is_written_down() -> None:
    scene = Scene()
    await scene.watch.violated(Violation(DEVICE, "flood", "900 messages over its budget"))
    assert scene.ends.did == ["deny meter-1", "kick meter-1"]
    assert scene.notes.facts[0].body["violation"] == "flood"


async def test_one_denied_publish_is_a_fact_and_a_habit_is_the_end() -> None:
    scene = Scene()
    for number in range(20):
        await scene.watch.violated(denied(number))
    assert scene.ends.did == []
    await scene.watch.violated(denied())
    assert scene.ends.did == ["deny meter-1", "kick meter-1"]
    assert len(scene.notes.facts) == 21
    scene.clock.advance(timedelta(minutes=1))
    await scene.watch.violated(denied())
    assert len(scene.ends.did) == 2


async def test_connections_reach_the_courier() -> None:
    scene = Scene()
    connection = Connection("s", 1, "meter-1", "192.0.2.7", datetime(2026, 1, 1, tzinfo=UTC))
    await scene.watch.connected(DEVICE, connection)
    await scene.watch.disconnected(DEVICE, connection)
    assert scene.ends.did == ["in meter-1", "out meter-1"]
