"""The decision table: every row, the order of the rows, and what may never happen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ironroot.core.ids import DeviceId, FactId, Fingerprint
from ironroot.trust.model import CAPABILITIES, Capability, CertificateStanding, Hold, Standing, TrustState
from ironroot.trust.rules import decide

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEVICE = DeviceId("meter-1")


def certificate(
    *, start: timedelta = -HOUR, end: timedelta = HOUR, revoked: str | None = None, name: str = "a"
) -> CertificateStanding:
    return CertificateStanding(Fingerprint(name), name, NOW + start, NOW + end, revoked, FactId(f"cert-{name}"))


def hold(end: timedelta | None = None) -> Hold:
    return Hold("odd traffic", "user/u", NOW - HOUR, None if end is None else NOW + end, FactId("hold"))


RETIRED = FactId("retired")
CLAIM = FactId("claim")

ROWS = [
    ("never enrolled", Standing(DEVICE), "unknown", "never-enrolled"),
    ("valid certificate", Standing(DEVICE, certificates=(certificate(),)), "trusted", "certificate-valid"),
    (
        "revoked certificate",
        Standing(DEVICE, certificates=(certificate(revoked="keyCompromise"),)),
        "revoked",
        "certificate-revoked",
    ),
    (
        "expired certificate",
        Standing(DEVICE, certificates=(certificate(end=-timedelta(minutes=1)),)),
        "unknown",
        "certificate-expired",
    ),
    ("held", Standing(DEVICE, certificates=(certificate(),), hold=hold()), "quarantined", "operator-hold"),
    (
        "hold ended by time",
        Standing(DEVICE, certificates=(certificate(),), hold=hold(-timedelta(seconds=1))),
        "trusted",
        "certificate-valid",
    ),
    ("held without a certificate", Standing(DEVICE, hold=hold()), "quarantined", "operator-hold"),
    (
        "revoked beats held",
        Standing(DEVICE, certificates=(certificate(revoked="x"),), hold=hold()),
        "revoked",
        "certificate-revoked",
    ),
    ("retired beats all", Standing(DEVICE, retired=RETIRED, certificates=(certificate(),)), "revoked", "retired"),
    (
        "superseded beside valid",
        Standing(DEVICE, certificates=(certificate(name="old", start=-2 * HOUR, revoked="superseded"), certificate())),
        "trusted",
        "certificate-valid",
    ),
    (
        "readmitted",
        Standing(DEVICE, readmitted=CLAIM, certificates=(certificate(revoked="keyCompromise"),)),
        "unknown",
        "readmitted",
    ),
    (
        "readmitted yet held",
        Standing(DEVICE, readmitted=CLAIM, certificates=(certificate(revoked="x"),), hold=hold()),
        "quarantined",
        "operator-hold",
    ),
]


@pytest.mark.parametrize(("standing", "state", "code"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_row_of_the_table(standing: Standing, state: str, code: str) -> None:
    verdict = decide(standing, NOW)
    assert verdict.state == state
    assert verdict.reasons[0].code == code


def test_the_reason_names_the_fact_behind_it() -> None:
    verdict = decide(Standing(DEVICE, certificates=(certificate(revoked="keyCompromise"),)), NOW)
    assert verdict.reasons[0].fact == "cert-a"
    assert "keyCompromise" in verdict.reasons[0].text


def test_review_is_due_when_time_alone_changes_the_answer() -> None:
    held = Standing(DEVICE, certificates=(certificate(end=5 * HOUR),), hold=hold(2 * HOUR))
    verdict = decide(held, NOW)
    assert verdict.review_at == NOW + 2 * HOUR
    assert verdict.review_at is not None
    later = decide(held, verdict.review_at)
    assert later.state is TrustState.TRUSTED
    assert later.review_at == NOW + 5 * HOUR
    assert decide(held, NOW + 5 * HOUR).state is TrustState.UNKNOWN


def test_quarantined_and_revoked_devices_may_not_publish_renew_or_enrol() -> None:
    forbidden = {Capability.PUBLISH, Capability.PUBLISH_EVENT, Capability.SUBSCRIBE, Capability.RENEW, Capability.ENROL}
    for state in (TrustState.QUARANTINED, TrustState.REVOKED):
        assert not CAPABILITIES[state] & forbidden


certificates = st.builds(
    CertificateStanding,
    fingerprint=st.sampled_from(["a", "b", "c"]).map(Fingerprint),
    serial=st.just("1"),
    not_before=st.integers(-1000, 0).map(lambda h: NOW + h * HOUR),
    not_after=st.integers(-500, 500).map(lambda h: NOW + h * HOUR),
    revoked=st.sampled_from([None, None, "superseded", "keyCompromise"]),
    fact=st.just(FactId("f")),
)
standings = st.builds(
    Standing,
    device=st.just(DEVICE),
    retired=st.sampled_from([None, None, RETIRED]),
    readmitted=st.sampled_from([None, None, CLAIM]),
    certificates=st.lists(certificates, max_size=4).map(tuple),
    hold=st.one_of(st.none(), st.integers(-5, 5).map(lambda h: hold(h * HOUR)), st.just(hold())),
)


@given(standings)
def test_trusted_only_with_a_valid_certificate_and_no_hold(standing: Standing) -> None:
    verdict = decide(standing, NOW)
    assert verdict.reasons
    if verdict.state is TrustState.TRUSTED:
        assert any(c.revoked is None and c.not_after > NOW for c in standing.certificates)
        assert standing.retired is None
        assert standing.hold is None or (standing.hold.expires_at is not None and standing.hold.expires_at <= NOW)


@given(standings)
def test_nothing_changes_before_the_review(standing: Standing) -> None:
    verdict = decide(standing, NOW)
    if verdict.review_at is not None:
        assert verdict.review_at > NOW
        assert decide(standing, verdict.review_at - timedelta(microseconds=1)).state is verdict.state


def test_the_reason_shown_is_not_the_one_that_made_room() -> None:
    both = (certificate(name="old", revoked="superseded"), certificate(name="new", revoked="keyCompromise"))
    for order in (both, both[::-1]):
        assert "keyCompromise" in decide(Standing(DEVICE, certificates=order), NOW).reasons[0].text
