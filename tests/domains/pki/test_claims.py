from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.errors import Unauthenticated
from ironroot.core.ids import DeviceId
from ironroot.domains.pki import claims
from ironroot.domains.pki.model import Claim
from tests.domains.pki.world import METER, OTHER, START

KEY = bytes(range(32))
CLAIM = claims.claim_id(bytes(16))
TEXT = claims.text(KEY, METER, CLAIM)


def test_the_text_stays() -> None:
    """A vector: a claim printed on a label must work after an upgrade."""
    assert TEXT == "irc_" + "a" * 26 + "_z6yg7otgjumcm2gbh3yzrrtt5dmwtrnl"
    assert claims.genuine(KEY, METER, TEXT) == CLAIM


def test_a_claim_of_another_device_is_refused() -> None:
    with pytest.raises(Unauthenticated, match="not a claim for this device"):
        claims.genuine(KEY, OTHER, TEXT)


def test_a_claim_of_another_platform_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        claims.genuine(bytes(32), METER, TEXT)


@given(st.one_of(st.text(max_size=100), st.from_regex(r"irc_[a-z2-7]{26}_[a-z2-7]{32}", fullmatch=True)))
def test_a_guess_is_refused_in_the_same_words(guess: str) -> None:
    with pytest.raises(Unauthenticated) as e:
        claims.genuine(KEY, METER, guess)
    assert (e.value.message, e.value.error_code) == ("not a claim for this device", "claim")


@given(st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True), st.binary(min_size=16, max_size=16))
def test_every_claim_is_genuine_for_its_device(device: str, entropy: bytes) -> None:
    claim = claims.claim_id(entropy)
    text = claims.text(KEY, DeviceId(device), claim)
    assert len(text) == 63
    assert claims.genuine(KEY, DeviceId(device), text) == claim


def stored(**changed: object) -> Claim:
    values: dict[str, object] = {
        "number": 1,
        "id": CLAIM,
        "device": METER,
        "created_at": START,
        "created_by": "user/1",
        "expires_at": START + timedelta(hours=1),
        "used_at": None,
        "voided_at": None,
    }
    return Claim(**(values | changed))  # type: ignore[arg-type]  # a test's shorthand


def test_an_open_claim_is_usable_until_it_expires() -> None:
    assert claims.usable(stored(), METER, START + timedelta(minutes=59)).id == CLAIM
    with pytest.raises(Unauthenticated, match="expired"):
        claims.usable(stored(), METER, START + timedelta(hours=1))


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        (None, "claim"),
        (stored(device=OTHER), "claim"),
        (stored(used_at=START), "claim-used"),
        (stored(voided_at=START), "claim-void"),
        (stored(expires_at=START), "claim-expired"),
    ],
)
def test_a_closed_claim_is_refused_with_its_reason(claim: Claim | None, code: str) -> None:
    with pytest.raises(Unauthenticated) as e:
        claims.usable(claim, METER, START)
    assert e.value.error_code == code


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
        ("2001:db8:1:2:ffff::1", "2001:0db8:0001:0002"),
        ("unknown", "unknown"),
    ],
)
def test_a_source_is_an_address_or_a_network(address: str, key: str) -> None:
    assert claims.source_key(address) == key


def test_a_source_in_a_fact_is_one_word() -> None:
    assert claims.peer("192.0.2.7") == "peer/192.0.2.7"
    assert claims.peer("a b\n\u2028\ud800" + "x" * 99) == "peer/ab" + "x" * 62
    assert claims.peer("\n") == "peer/unknown"
