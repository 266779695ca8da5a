"""Enrolment and renewal against a server that behaves, and one that does not."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ironroot.agent.clock import SystemClock
from ironroot.agent.enrol import enrol, renew
from ironroot.agent.est import Untrusted, parse_fingerprint
from ironroot.agent.http import NotNow
from ironroot.agent.state import CertificateLife, State
from ironroot.core.errors import (
    Corrupt,
    IronrootError,
    Malformed,
    Misconfigured,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from ironroot.core.ids import DeviceId
from ironroot.core.secret import Secret
from tests.agent.est_server import Answer, EstServer, Request, certs_only, problem
from tests.agent.pki import Pki, issue
from tests.support.clock import ManualClock

METER = DeviceId("meter-1")


def go(state: State, est: EstServer, *, claim: str = "claim-of-meter-1", **more: object) -> CertificateLife:
    trust = more or {"ca": est.pki.roots_path}
    return enrol(state, server=est.url, device=METER, claim=Secret(claim), clock=SystemClock(), **trust)  # type: ignore[arg-type]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def only(ending: str, answer: Answer) -> Callable[[Request], Answer | None]:
    return lambda request: answer if request.path.endswith(ending) else None


def test_enrolment_leaves_a_private_key_a_certificate_and_the_roots(state: State, est: EstServer) -> None:
    life = go(state, est)
    assert life.device == "meter-1"
    assert state.certificate() == life
    assert state.settings().device == "meter-1"
    assert state.settings().broker.port == est.port + 1
    assert {p.name for p in state.directory.iterdir()} == {
        "key.pem", "certificate.pem", "roots.pem", "chain.pem", "settings.json",
    }  # fmt: skip
    assert (state.directory / "key.pem").stat().st_mode & 0o777 == 0o600
    assert state.directory.stat().st_mode & 0o777 == 0o700
    assert b"claim-of-meter-1" not in b"".join(p.read_bytes() for p in state.directory.iterdir())


def test_the_fingerprint_of_the_root_is_enough(state: State, est: EstServer, pki: Pki) -> None:
    colons = ":".join(pki.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    go(state, est, fingerprint=colons)
    assert state.roots() == [pki.root.certificate]


def test_a_man_in_the_middle_with_his_own_root_does_not_get_the_claim(state: State, pki: Pki, tmp_path: Path) -> None:
    impostor = EstServer(Pki(tmp_path), {"meter-1": "claim-of-meter-1"})
    impostor.start()
    try:
        with pytest.raises(Untrusted, match="fingerprint"):
            go(state, impostor, fingerprint=pki.fingerprint)
        with pytest.raises(Unavailable, match="not the one this device trusts"):
            go(state, impostor, ca=pki.roots_path)
    finally:
        impostor.stop()
    assert [r.path for r in impostor.requests] == ["/.well-known/est/cacerts"]
    assert state.find_settings() is None


def test_an_issuing_ca_with_the_right_fingerprint_is_no_root(state: State, est: EstServer, pki: Pki) -> None:
    from cryptography.hazmat.primitives import hashes

    with pytest.raises(Untrusted):
        go(state, est, fingerprint=pki.devices.certificate.fingerprint(hashes.SHA256()).hex())


def test_without_ca_and_fingerprint_the_system_must_know_the_root(
    state: State, est: EstServer, pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unavailable, match="not the one this device trusts"):
        go(state, est, ca=None)
    assert est.requests == []
    known = tmp_path / "system.pem"
    known.write_bytes(pki.root.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(known))
    assert go(state, est, ca=None).serial


def test_tls_1_2_is_refused(state: State, pki: Pki) -> None:
    old = EstServer(pki, maximum=ssl.TLSVersion.TLSv1_2)
    old.start()
    try:
        with pytest.raises(Unavailable):
            go(state, old)
    finally:
        old.stop()
    assert old.requests == []


def test_plain_http_is_refused_before_a_byte_is_sent(state: State) -> None:
    with pytest.raises(Malformed, match="https"):
        enrol(state, server="http://localhost:1", device=METER, claim=Secret("c"), clock=SystemClock(), fingerprint="0")


def test_a_used_claim_is_refused_with_the_platforms_remedy_and_the_old_identity_stays(
    state: State, est: EstServer
) -> None:
    life = go(state, est)
    with pytest.raises(Unauthenticated) as refusal:
        go(state, est)
    assert refusal.value.remedy == "make a new one"
    state.recover()
    assert state.certificate() == life


def test_a_lost_answer_is_asked_again_for_the_same_key(state: State, est: EstServer) -> None:
    est.override = only("simpleenroll", problem(503, "busy", **{"retry-after": "7"}))
    with pytest.raises(NotNow) as later:
        go(state, est)
    assert later.value.retry_after_s == 7
    est.override = lambda _request: None
    go(state, est)
    asked = [r.body for r in est.requests if r.path.endswith("simpleenroll")]
    assert len(asked) == 2
    assert state.keys.next_public() is None
    state.recover()


@pytest.mark.parametrize(
    ("what", "message"),
    [("key", "another key"), ("name", "not for meter-1"), ("ca", "no pinned root"), ("server", "no pinned root"),
     ("expired", "not valid at"), ("two", "2 certificates")],
)  # fmt: skip
def test_a_certificate_that_is_not_ours_is_not_kept(
    state: State, est: EstServer, pki: Pki, tmp_path: Path, what: str, message: str
) -> None:
    def forge(request: Request) -> Answer | None:
        if not request.path.endswith("simpleenroll"):
            return None
        import base64

        from cryptography import x509

        public = x509.load_der_x509_csr(base64.b64decode(request.body)).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        other = ec.generate_private_key(ec.SECP256R1()).public_key()
        match what:
            case "key":
                forged = [issue(pki.devices, "meter-1", other)]
            case "name":
                forged = [issue(pki.devices, "meter-2", public)]
            case "ca":
                forged = [issue(Pki(tmp_path).devices, "meter-1", public)]
            case "server":
                forged = [issue(pki.servers, "meter-1", public, server=True)]
            case "expired":
                forged = [issue(pki.devices, "meter-1", public, lifetime=timedelta(seconds=1))]
            case _:
                forged = [issue(pki.devices, "meter-1", public)] * 2
        return certs_only(forged)

    est.override = forge
    with pytest.raises(Untrusted, match=message):
        go(state, est)
    assert state.certificate() is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {"content-type": "text/html"}, b"<html>"), Malformed),
        ((200, {"content-type": "application/pkcs7-mime"}, b"!!!"), Malformed),
        ((200, {"content-type": "application/pkcs7-mime"}, b"AAAA"), Malformed),
        ((200, {"content-type": "application/pkcs7-mime"}, b"A" * 300_000), TooLarge),
        (
            (
                200,
                {"content-type": "application/pkcs7-mime", "content-length": "900", "connection": "close"},
                b"A" * 10,
            ),
            Unavailable,
        ),
        ((202, {"retry-after": "60"}, b""), NotNow),
        ((429, {"retry-after": "30"}, b""), TooMany),
        ((302, {"location": "https://evil.example/"}, b""), Misconfigured),
        ((500, {}, b""), Unavailable),
        ((401, {"content-type": "application/problem+json"}, b"[" * 100_000), Unauthenticated),
    ],
)
def test_answers_that_are_none_change_nothing(
    state: State, est: EstServer, answer: Answer, error: type[IronrootError]
) -> None:
    est.override = only("simpleenroll", answer)
    with pytest.raises(error):
        go(state, est)
    assert state.certificate() is None
    assert state.find_settings() is None


def test_text_of_the_platform_cannot_steer_the_terminal(state: State, est: EstServer) -> None:
    est.override = only("simpleenroll", problem(401, "\x1b[2Jno\x00", "\x1b]0;x\x07ok"))
    with pytest.raises(Unauthenticated) as refusal:
        go(state, est)
    assert refusal.value.message == "[2Jno"
    assert refusal.value.remedy == "]0;xok"


def test_renewal_brings_a_new_key_and_certificate_over_mutual_tls(state: State, est: EstServer) -> None:
    before = go(state, est)
    old_key = (state.directory / "key.pem").read_bytes()
    after = renew(state, SystemClock())
    assert after.fingerprint != before.fingerprint
    assert (state.directory / "key.pem").read_bytes() != old_key
    assert est.requests[-1].client == "meter-1"
    state.recover()


def test_a_refused_renewal_leaves_the_certificate_in_force(state: State, est: EstServer) -> None:
    before = go(state, est)
    est.override = only("simplereenroll", problem(503, "busy", **{"retry-after": "120"}))
    with pytest.raises(NotNow):
        renew(state, SystemClock())
    state.recover()
    assert state.certificate() == before


def test_a_power_cut_between_certificate_and_key_is_finished_at_the_next_start(
    state: State, est: EstServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(state, est)
    monkeypatch.setattr(state.keys, "promote", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        renew(state, SystemClock())
    again = State(state.directory)
    assert again.keys.current_public() != again.keys.next_public()
    again.recover()
    assert again.keys.next_public() is None
    renew(again, SystemClock())


def test_a_key_that_is_not_the_certificates_is_named(state: State, est: EstServer, pki: Pki, tmp_path: Path) -> None:
    go(state, est)
    _, key = pki.identity(tmp_path, "other")
    key.replace(state.directory / "key.pem")
    with pytest.raises(Corrupt, match="not the certificate's"):
        state.recover()


def test_a_key_that_others_can_read_is_not_used(state: State, est: EstServer) -> None:
    go(state, est)
    (state.directory / "key.pem").chmod(0o644)
    with pytest.raises(Misconfigured, match="others"):
        state.recover()


def test_a_wrong_clock_is_named(state: State, est: EstServer, pki: Pki) -> None:
    from ironroot.agent.est import Authorities, check_issued

    key = ec.generate_private_key(ec.SECP256R1())
    certificate = issue(pki.devices, "meter-1", key.public_key())
    trusted = Authorities((pki.root.certificate,), (pki.devices.certificate,))
    with pytest.raises(Untrusted) as error:
        check_issued(certificate, key.public_key(), METER, trusted, ManualClock().now() - timedelta(days=9999))
    assert "clock" in error.value.remedy


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 33, json.dumps("0" * 64)])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(Malformed):
        parse_fingerprint(text)
