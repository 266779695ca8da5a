"""The doorman alone: what it says before and beside the policy decision point."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ironroot.adapters.nats.callout import Request
from ironroot.adapters.nats.nkey import AccountKey
from ironroot.adapters.nats.responder import CONNECTS, MOST_DENIED, Doorman
from ironroot.core.errors import Forbidden, Malformed
from ironroot.core.ids import DeviceId, Fingerprint
from ironroot.domains.messaging.model import Knock
from tests.support.clock import ManualClock
from tests.support.nats import TRUSTED, StubAdmission, StubAdmitted, StubDecision

KNOCK = Knock("meter-1", Fingerprint("f" * 64), ("meter-1",), "192.0.2.7")
SERVER = AccountKey(b"\x07" * 32)


class Scene:
    def __init__(self) -> None:
        self.clock, self.admission = ManualClock(), StubAdmission()
        end = self.clock.now() + timedelta(days=30)
        self.admission.known["f" * 64] = StubAdmitted(DeviceId("meter-1"), end, StubDecision("trusted", TRUSTED))
        self.doorman = Doorman(self.admission, self.clock)
        self.doorman.ready = True

    async def refusal(self) -> str:
        with pytest.raises(Forbidden) as refused:
            await self.doorman.answer(KNOCK)
        return refused.value.error_code


async def test_it_lets_in_who_is_admitted() -> None:
    assert (await Scene().doorman.answer(KNOCK)).device == "meter-1"


async def test_before_anybody_keeps_messages_nobody_enters() -> None:
    scene = Scene()
    scene.doorman.ready = False
    assert await scene.refusal() == "starting"
    assert scene.admission.asked == 0


async def test_a_device_that_connects_over_and_over_is_refused_for_a_while() -> None:
    scene = Scene()
    for _ in range(CONNECTS.burst):
        await scene.doorman.answer(KNOCK)
    assert await scene.refusal() == "connects"
    scene.clock.advance(timedelta(seconds=1))
    await scene.doorman.answer(KNOCK)


async def test_a_denial_ends_and_their_number_is_bounded() -> None:
    scene = Scene()
    scene.doorman.deny("meter-1", 60)
    assert await scene.refusal() == "denied"
    scene.clock.advance(timedelta(seconds=60))
    await scene.doorman.answer(KNOCK)
    for number in range(MOST_DENIED + 5):
        scene.doorman.deny(f"d{number}", 60)
    assert len(scene.doorman._denied) == MOST_DENIED


def ask(**nats: object) -> Request:
    asked = {"server_id": {"id": "N"}, "user_nkey": "U", "client_info": {"type": "mqtt", "mqtt_id": "meter-1"}, **nats}
    return Request(SERVER.jwt({"nats": asked}).encode())


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, "not-mqtt"),
        ({"client_info": {"type": "nats"}}, "not-mqtt"),
        ({"client_tls": {"version": "1.2", "verified_chains": [["x"]]}}, "tls-version"),
        ({"client_tls": {"version": "1.3", "verified_chains": []}}, "no-certificate"),
        ({"client_tls": {"version": "1.3", "certs": ["x"]}}, "no-certificate"),
        ({"client_tls": {"version": "1.3", "verified_chains": [["x"]]}}, "no-certificate"),
    ],
)
def test_without_a_verified_certificate_over_tls_1_3_nobody_knocks(given: dict[str, object], code: str) -> None:
    with pytest.raises(Forbidden) as refused:
        ask(**given).knock()
    assert refused.value.error_code == code


@pytest.mark.parametrize("jwt", [b"", b"a.b", b"a.!!.c", b"a.e30.c", b"a." + b"A" * 5 + b".c"])
def test_what_is_no_request_is_not_answered(jwt: bytes) -> None:
    with pytest.raises(Malformed):
        Request(jwt)
