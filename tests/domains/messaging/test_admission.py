from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Forbidden
from ironroot.core.ids import DEVICE_ID, DeviceId, Fingerprint
from ironroot.domains.messaging.admission import LONGEST, decide, is_made_up, shown
from ironroot.domains.messaging.model import Grant, Knock

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DEVICE = DeviceId("meter-1")
DEVICE_IDS = st.from_regex(DEVICE_ID, fullmatch=True)


@dataclass(frozen=True)
class Word:
    state: str = "trusted"
    capabilities: frozenset[str] = frozenset({"publish", "publish-event", "subscribe"})


@dataclass(frozen=True)
class Holder:
    device: DeviceId = DEVICE
    not_after: datetime = NOW + timedelta(days=90)
    decision: Word = field(default_factory=Word)


def ask(client_id: str = DEVICE, names: tuple[str, ...] = (DEVICE,), holder: Holder | None = None) -> Grant:
    return decide(Knock(client_id, Fingerprint("f" * 64), names, "192.0.2.1"), holder or Holder(), NOW)


def test_a_trusted_device_gets_its_own_topics_and_nothing_else() -> None:
    grant = ask()
    assert grant.publish == (
        "d.meter-1.up.telemetry.*",
        "d.meter-1.up.report",
        "d.meter-1.up.log",
        "d.meter-1.up.event",
    )
    assert grant.subscribe == ("d.meter-1.down", "d.meter-1.down.>")


def test_a_restricted_device_says_events_and_listens() -> None:
    grant = ask(holder=Holder(decision=Word("restricted", frozenset({"publish-event", "subscribe"}))))
    assert grant.publish == ("d.meter-1.up.event",)
    assert grant.subscribe == ("d.meter-1.down", "d.meter-1.down.>")


@pytest.mark.parametrize("state", ["quarantined", "revoked", "unknown", "something new"])
def test_without_a_capability_of_this_door_nobody_enters(state: str) -> None:
    with pytest.raises(Forbidden) as refused:
        ask(holder=Holder(decision=Word(state, frozenset({"status", "enrol"}))))
    assert refused.value.error_code == f"device-{state}"


@given(DEVICE_IDS, DEVICE_IDS)
def test_a_client_id_of_another_device_is_never_taken_over(device: str, other: str) -> None:
    holder = Holder(DeviceId(device))
    for theirs in (other, f"{other}:x"):
        if other == device:
            ask(theirs, (device,), holder)
        else:
            with pytest.raises(Forbidden):
                ask(theirs, (device,), holder)


@given(DEVICE_IDS)
def test_no_device_id_looks_like_an_id_the_broker_made_up(device: str) -> None:
    assert not is_made_up(device)


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "meter-1:",
        "meter-1:a b",
        "meter-1:" + "x" * 65,
        "METER-1",
        "meter-1 ",
        "meter-1/x",
        "xmeter-1",
        "meter-1:a:b",
    ],
)
def test_a_client_id_beside_the_form_is_refused(client_id: str) -> None:
    with pytest.raises(Forbidden):
        ask(client_id)


def test_an_id_the_broker_made_up_is_let_in_and_never_shown() -> None:
    made = "R1f6KYyAsdZJh5ILSZfZvh"
    ask(made)
    assert shown(made) == ""
    assert shown("meter-1:a") == "meter-1:a"


@pytest.mark.parametrize("names", [(), ("meter-2",), ("meter-1", "meter-2"), ("METER-1",)])
def test_a_certificate_that_does_not_name_exactly_the_device_of_record_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(Forbidden):
        ask(names=names)


@given(DEVICE_IDS, st.integers(2, 200 * 86_400))
def test_no_connection_outlives_its_certificate_or_half_a_day(device: str, seconds: int) -> None:
    holder = Holder(DeviceId(device), NOW + timedelta(seconds=seconds))
    grant = ask(device, (device,), holder)
    assert NOW < grant.expires_at <= min(holder.not_after, NOW + LONGEST)
    assert grant.expires_at >= min(holder.not_after, NOW + timedelta(hours=10))


def test_a_certificate_at_its_end_is_refused() -> None:
    with pytest.raises(Forbidden):
        ask(holder=Holder(not_after=NOW))


@given(DEVICE_IDS)
def test_what_a_device_may_say_names_no_other_device(device: str) -> None:
    grant = ask(device, (device,), Holder(DeviceId(device)))
    assert {s.split(".")[1] for s in grant.publish + grant.subscribe} == {device}
