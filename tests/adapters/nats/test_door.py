"""The MQTT door with stock clients: what each attack gets."""

from __future__ import annotations

import asyncio
import ssl
import time
from datetime import timedelta

import pytest

from ironroot.adapters.nats import broker
from ironroot.core.errors import Unavailable
from ironroot.core.ids import DeviceId
from tests.support import tls
from tests.support.mqtt import Client, Said, mosquitto
from tests.support.nats import RESTRICTED, Platform, until


async def pub(door: Platform, identity: str | None, topic: str, *args: str, client_id: str | None = None) -> Said:
    ids = () if client_id is None else ("-i", client_id)
    return await mosquitto("pub", door.hall.port, door.hall.directory, identity, "-t", topic, "-m", "21.5", *ids, *args)


def client(door: Platform, identity: str, client_id: str | None = None, **given: object) -> Client:
    return Client(door.hall.directory, door.hall.port, identity, identity if client_id is None else client_id, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_a_stock_client_publishes_on_its_own_topic(door: Platform, qos: str) -> None:
    door.device("own-1")
    said = await pub(door, "own-1", "d/own-1/up/telemetry/temperature", "-q", qos, client_id="own-1")
    assert said == Said(0, "", "")


async def test_a_client_without_an_id_may_come_and_nobody_sees_the_one_it_got(door: Platform) -> None:
    device = door.device("anon-1")
    assert (await pub(door, "anon-1", "d/anon-1/up/telemetry/t", "-q", "1")).status == 0
    await until(lambda: any(d == device for d, _ in door.heard.connects))
    assert [c.client_id for d, c in door.heard.connects if d == device] == [""]


async def test_a_device_hears_what_is_said_to_it(door: Platform) -> None:
    device = door.device("ear-1")
    listening = asyncio.create_task(
        mosquitto(
            "sub", door.hall.port, door.hall.directory, "ear-1", "-i", "ear-1", "-t", "d/ear-1/down/#", "-C", "1", "-v"
        )
    )
    await until(lambda: device in door.presence)
    for _ in range(50):
        await door.broker.send(device, "command", b'{"id":"cmd_1"}')
        if (await asyncio.wait([listening], timeout=0.05))[0]:
            break
    assert (await listening).out == 'd/ear-1/down/command {"id":"cmd_1"}\n'


async def test_a_subscription_at_qos_1_hears_it_too(door: Platform) -> None:
    device = door.device("ear-2")
    ear = client(door, "ear-2")
    assert await ear.connect() == "Success"
    assert await ear.subscribe("d/ear-2/down/#", qos=1) == [1]
    await door.broker.send(device, "config", b"{}")
    await until(lambda: ear.received)
    assert ear.received == [("d/ear-2/down/config", b"{}")]
    await ear.close()


async def test_publishing_on_another_devices_topic_is_dropped_and_seen(door: Platform) -> None:
    device = door.device("thief-1")
    said = await pub(door, "thief-1", "d/victim-1/up/telemetry/temperature", "-q", "1", client_id="thief-1")
    assert said.status == 0  # the broker acknowledges what it drops: why its log is read
    await until(lambda: any(v.device == device for v in door.heard.violations))
    seen = next(v for v in door.heard.violations if v.device == device)
    assert (seen.kind, seen.detail) == ("publish", "d.victim-1.up.telemetry.temperature")


@pytest.mark.parametrize(
    "topic",
    ["d/victim-1/down/#", "d/+/down/command", "#", "d/spy-1/up/#", "$SYS/#", "$JS/API/#", "ir/#", "_INBOX/#"],
)
async def test_listening_to_others_is_refused_and_seen(door: Platform, topic: str) -> None:
    device = door.device("spy-1")
    spy = client(door, "spy-1")
    assert await spy.connect() == "Success"
    before = len(door.heard.violations)
    assert await spy.subscribe(topic) == [128]
    await until(lambda: any(v.device == device and v.kind == "subscribe" for v in door.heard.violations[before:]))
    await spy.close()


@pytest.mark.parametrize(
    "topic",
    [
        "d/victim-1/down/command",
        "d/forger-1/down/command",
        "d/forger-1/up/telemetry",
        "d/forger-1/up/telemetry/a/b",
        "d/forger-1/up/firmware",
        "ir/deny",
        "$JS/API/STREAM/DELETE/$MQTT_msgs",
        "$MQTT/msgs/d/forger-1/up/event",
    ],
)
async def test_nothing_reaches_a_subject_that_is_not_the_devices_own(door: Platform, topic: str) -> None:
    device = door.device("forger-1")
    forger = client(door, "forger-1")
    assert await forger.connect() == "Success"
    before = len(door.heard.violations)
    forger.publish(topic, b"x", qos=1)
    await until(lambda: any(v.device == device for v in door.heard.violations[before:]))
    await forger.close()


async def test_a_retained_message_on_another_devices_topic_is_not_kept_for_it(door: Platform) -> None:
    door.device("thief-2")
    door.device("victim-2")
    thief = client(door, "thief-2")
    await thief.connect()
    thief.paho.publish("d/victim-2/down/command", b"{}", qos=1, retain=True)
    thief.publish("d/thief-2/up/event", b"{}", qos=1)
    await until(lambda: thief.acked)
    victim = client(door, "victim-2")
    await victim.connect()
    await victim.subscribe("d/victim-2/down/#", qos=1)
    await asyncio.sleep(0.3)
    assert victim.received == []
    await thief.close()
    await victim.close()


async def test_a_will_on_another_devices_topic_is_not_carried_out(door: Platform) -> None:
    door.device("dead-1")
    device = door.device("heir-1")
    heir = client(door, "heir-1")
    await heir.connect()
    await heir.subscribe("d/heir-1/down/#")
    dead = client(door, "dead-1", will=("d/heir-1/down/command", b"{}"))
    await dead.connect()
    await door.broker.kick(DeviceId("dead-1"))
    await dead.ended()
    await door.broker.send(device, "command", b"after")
    await until(lambda: heir.received)
    assert heir.received == [("d/heir-1/down/command", b"after")]
    await heir.close()


@pytest.mark.parametrize("client_id", ["owner-1", "owner-1:x", "thief-3x", "other", "abcdefghij0123456789ab"])
async def test_another_devices_client_id_is_refused(door: Platform, client_id: str) -> None:
    door.device("owner-1")
    door.device("thief-3")
    owner = client(door, "owner-1")
    assert await owner.connect() == "Success"
    thief = client(door, "thief-3", client_id)
    assert await thief.connect() == "Not authorized"
    await until(lambda: any(r.device == "thief-3" and r.code == "client-id" for r in door.heard.refusals))
    assert owner.ended_at is None
    await owner.close()


async def test_a_device_may_have_further_connections_of_its_own(door: Platform) -> None:
    device = door.device("twin-1")
    one, two = client(door, "twin-1"), client(door, "twin-1", "twin-1:logger")
    assert [await one.connect(), await two.connect()] == ["Success", "Success"]
    await until(lambda: len(door.broker.presence.connections(device)) == 2)
    assert {c.client_id for c in door.broker.presence.connections(device)} == {"twin-1", "twin-1:logger"}
    await one.close()
    await until(lambda: len(door.broker.presence.connections(device)) == 1)
    await two.close()
    await until(lambda: device not in door.presence)


async def test_the_brokers_own_messages_cannot_be_listened_to(door: Platform) -> None:
    door.device("spy-2")
    spy = client(door, "spy-2")
    assert await spy.connect() == "Success"
    assert await spy.subscribe("$MQTT/msgs/#", "$MQTT/sess/#", "$MQTT/sub/#") == [128, 128, 128]
    await spy.close()


async def test_a_restricted_device_says_events_and_no_telemetry(door: Platform) -> None:
    device = door.device("limp-1", RESTRICTED, "restricted")
    limp = client(door, "limp-1")
    await limp.connect()
    assert await limp.subscribe("d/limp-1/down/#") == [0]
    limp.publish("d/limp-1/up/telemetry/t", b"1")
    await until(lambda: any(v.device == device for v in door.heard.violations))
    before = len([v for v in door.heard.violations if v.device == device])
    limp.publish("d/limp-1/up/event", b"{}")
    await until(lambda: 2 in limp.acked)
    await asyncio.sleep(0.4)
    assert len([v for v in door.heard.violations if v.device == device]) == before == 1
    await limp.close()


async def test_a_quarantined_device_is_refused(door: Platform) -> None:
    door.device("sick-1", frozenset({"status"}), "quarantined")
    assert await client(door, "sick-1").connect() == "Not authorized"
    await until(lambda: any(r.code == "device-quarantined" and r.device == "sick-1" for r in door.heard.refusals))


async def test_a_certificate_nobody_knows_is_refused(door: Platform) -> None:
    door.hall.issue("nobody-1")
    assert await client(door, "nobody-1").connect() == "Not authorized"
    await until(lambda: any(r.code == "certificate-unknown" for r in door.heard.refusals))


async def test_a_certificate_that_names_another_device_is_refused(door: Platform) -> None:
    issued = door.hall.issue("mask-1")
    door.admit("face-1", issued)
    assert await client(door, "mask-1", "face-1").connect() == "Not authorized"
    await until(lambda: any(r.code == "certificate-name" for r in door.heard.refusals))


async def test_no_certificate_is_refused(door: Platform) -> None:
    assert (await pub(door, None, "d/own-1/up/event", client_id="own-1")).status != 0


async def test_a_certificate_of_another_ca_is_refused(door: Platform) -> None:
    rogue = tls.authority("Test Device CA")
    door.admit("rogue-1", door.hall.issue("rogue-1", rogue))
    assert (await pub(door, "rogue-1", "d/rogue-1/up/event", client_id="rogue-1")).status != 0


async def test_an_expired_certificate_is_refused(door: Platform) -> None:
    issued = door.hall.issue("late-1", not_before=tls.NOW - timedelta(days=3), not_after=tls.NOW - timedelta(days=1))
    door.admit("late-1", issued)
    assert (await pub(door, "late-1", "d/late-1/up/event", client_id="late-1")).status != 0


async def test_a_servers_certificate_is_no_device(door: Platform) -> None:
    issued = tls.server("server-1", door.hall.device_ca)
    issued.write(door.hall.directory, "server-1")
    door.admit("server-1", issued)
    assert (await pub(door, "server-1", "d/server-1/up/event", client_id="server-1")).status != 0


async def test_tls_1_2_is_refused(door: Platform) -> None:
    door.device("old-1")
    context = ssl.create_default_context(cafile=str(door.hall.directory / "root.pem"))
    context.load_cert_chain(door.hall.directory / "old-1.pem", door.hall.directory / "old-1.key")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await asyncio.open_connection("localhost", door.hall.port, ssl=context)


async def test_the_brokers_own_users_cannot_come_through_the_device_door(door: Platform) -> None:
    door.device("inner-1")
    password = door.hall.credentials.passwords
    for role, secret in password.items():
        said = await pub(
            door, "inner-1", "d/inner-1/up/event", "-u", role, "-P", secret.reveal().decode(), client_id="inner-1"
        )
        assert said.status != 0, role


async def test_a_kicked_device_is_gone_within_a_second_and_stays_out(door: Platform) -> None:
    device = door.device("meter-1")
    meter = client(door, "meter-1")
    await meter.connect()
    await until(lambda: device in door.presence)
    door.revoke(device)
    asked = time.monotonic()
    assert await door.broker.kick(device) == 1
    assert await meter.ended() - asked < 1
    assert await client(door, "meter-1").connect() == "Not authorized"
    await until(lambda: device not in door.presence)


async def test_a_connection_that_was_being_admitted_while_it_was_kicked_does_not_survive(door: Platform) -> None:
    device = door.device("racer-1")
    slow = asyncio.Event()
    original = door.admission.by_fingerprint

    async def wait_then_answer(fingerprint: object) -> object:
        admitted = await original(fingerprint)  # type: ignore[arg-type]
        await slow.wait()
        return admitted

    door.admission.by_fingerprint = wait_then_answer  # type: ignore[assignment,method-assign]
    racer = client(door, "racer-1")
    connecting = asyncio.create_task(racer.connect())
    await until(lambda: door.admission.asked, 5)
    await asyncio.sleep(0.1)
    door.revoke(device)
    assert await door.broker.kick(device) == 0
    slow.set()
    door.admission.by_fingerprint = original  # type: ignore[method-assign]
    await connecting
    await racer.ended(2)


async def test_a_released_device_that_returns_after_a_kick_stays_connected(
    door: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = door.device("back-1")
    first = client(door, "back-1")
    await first.connect()
    await door.broker.kick(device)
    await first.ended()
    await asyncio.sleep(0.3)
    again = client(door, "back-1")
    assert await again.connect() == "Success"
    monkeypatch.setattr(broker, "SECOND_LOOK_S", 0)
    await door.broker._second_look(device, door.broker._kicked[device])
    assert again.ended_at is None
    await again.close()


async def test_a_session_kept_for_a_revoked_device_is_removed(door: Platform) -> None:
    device = door.device("keeper-1")
    for client_id in ("keeper-1", "keeper-1:b"):
        kept = client(door, "keeper-1", client_id, clean=False)
        await kept.connect()
        await kept.subscribe("d/keeper-1/down/#", qos=1)
        await kept.close()
    await until(lambda: device not in door.presence)
    assert await door.broker.purge_sessions(device) == 2
    assert await door.broker.purge_sessions(device) == 0


async def test_a_connection_ends_with_its_certificate(door: Platform) -> None:
    device = door.device("brief-1")
    door.set_end(device, door.clock.now() + timedelta(seconds=2.5))
    brief = client(door, "brief-1")
    assert await brief.connect() == "Success"
    await brief.ended(4)
    assert await client(door, "brief-1").connect() == "Not authorized"


async def test_a_denied_device_is_refused_for_the_time_it_is_denied(door: Platform) -> None:
    device = door.device("denied-1")
    await door.broker.deny(device, 0.6)
    await until(lambda: "denied-1" in door.doorman._denied)
    assert await client(door, "denied-1").connect() == "Not authorized"
    await asyncio.sleep(0.7)
    again = client(door, "denied-1")
    assert await again.connect() == "Success"
    await again.close()


async def test_a_store_that_does_not_answer_lets_nobody_in(door: Platform) -> None:
    door.device("closed-1")
    door.admission.failing = Unavailable("no store")
    try:
        assert await client(door, "closed-1").connect() == "Not authorized"
        door.admission.failing = RuntimeError("a bug")
        assert await client(door, "closed-1").connect() == "Not authorized"
    finally:
        door.admission.failing = None
    codes = {r.code for r in door.heard.refusals if r.device == "closed-1"}
    await until(lambda: {"unavailable", "fault"} <= {r.code for r in door.heard.refusals if r.device == "closed-1"})
    assert codes <= {"unavailable", "fault"}


async def test_presence_counts_devices_not_connections(door: Platform) -> None:
    await until(lambda: not door.presence)
    names = [f"count-{i}" for i in range(5)]
    devices = [door.device(n) for n in names]
    clients = [client(door, n) for n in names] + [client(door, "count-0", "count-0:b")]
    for one in clients:
        await one.connect()
    await until(lambda: len(door.broker.presence) == 5 and len(door.broker.presence.connections(devices[0])) == 2)
    await door.broker._reconcile()
    assert len(door.broker.presence) == 5
    for one in clients:
        await one.close()
    await until(lambda: not door.presence)
