import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request

from ironroot.core.errors import Corrupt, IronrootError
from ironroot.core.ids import Fingerprint
from ironroot.domains.pki.ledger import fingerprint_of
from ironroot.domains.pki.routes import api_router, est_routes, plain_routes
from ironroot.edge.authorize import Principal, acting_as
from ironroot.edge.permissions import Permission
from ironroot.edge.responses import on_ironroot_error
from tests.domains.pki.world import METER, World, csr, new_key, openssl

EST = "/.well-known/est"


def peer(request: Request) -> Fingerprint | None:
    found = request.headers.get("test-peer")
    return None if found is None else Fingerprint(found)


@asynccontextmanager
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


@pytest.fixture
async def est(one: World) -> AsyncIterator[httpx.AsyncClient]:
    routes = est_routes(one.pki, peer=peer, source=lambda _: "192.0.2.7") + plain_routes(one.pki)
    async with client(Starlette(routes=routes)) as made:
        yield made


async def credentials(one: World) -> tuple[str, str]:
    return METER, (await one.claim()).claim.reveal().decode()


def issued(answer: httpx.Response) -> x509.Certificate:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pkcs7-mime; smime-type=certs-only"
    assert answer.headers["content-transfer-encoding"] == "base64"
    (certificate,) = pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))
    return certificate


async def test_cacerts_are_read_by_openssl(est: httpx.AsyncClient, one: World) -> None:
    answer = await est.get(f"{EST}/cacerts")
    assert answer.headers["content-type"] == "application/pkcs7-mime"
    assert answer.headers["content-transfer-encoding"] == "base64"
    said = openssl("pkcs7", "-inform", "der", "-print_certs", stdin=base64.b64decode(answer.content))
    assert said.count("BEGIN CERTIFICATE") == 4
    assert set(pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.content))) == set(one.pki.bundle())


async def test_csrattrs(est: httpx.AsyncClient) -> None:
    answer = await est.get(f"{EST}/csrattrs")
    assert answer.headers["content-type"] == "application/csrattrs"
    assert "prime256v1" in openssl("asn1parse", "-inform", "der", stdin=base64.b64decode(answer.content))


async def test_openssl_and_curl_as_a_device_uses_them(est: httpx.AsyncClient, one: World, tmp_path: Path) -> None:
    key = tmp_path / "device.key"
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/CN=meter-1", "-outform", "der", "-out", tmp_path / "req")
    body = base64.encodebytes((tmp_path / "req").read_bytes())
    auth = await credentials(one)
    headers = {"content-type": "application/pkcs10", "content-transfer-encoding": "base64"}
    first = issued(await est.post(f"{EST}/simpleenroll", auth=auth, content=body, headers=headers))
    assert first.subject.rfc4514_string() == "CN=meter-1"
    renewal = {"test-peer": fingerprint_of(first)}
    second = issued(await est.post(f"{EST}/simplereenroll", content=body, headers=headers | renewal))
    assert second.serial_number != first.serial_number


async def test_enrolment_asks_for_a_claim(est: httpx.AsyncClient) -> None:
    for headers in ({}, {"authorization": "Basic bWV0ZXItMTpndWVzcw=="}):
        answer = await est.post(f"{EST}/simpleenroll", headers=headers, content=csr(new_key()))
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Basic realm="Ironroot')
        assert answer.headers["content-type"].startswith("text/plain")
        assert "claim" in answer.text


async def test_refusals_have_their_status_and_a_remedy(est: httpx.AsyncClient, one: World) -> None:
    auth = await credentials(one)
    for body, status in ((b"garbage", 400), (csr(new_key(), "meter-9"), 422), (b"0" * 30_000, 413)):
        answer = await est.post(f"{EST}/simpleenroll", auth=auth, content=body)
        assert answer.status_code == status
        assert len(answer.text.splitlines()) == 2
    assert (await est.post(f"{EST}/simplereenroll", content=csr(new_key()))).status_code == 401
    stranger = {"test-peer": "0" * 64}
    answer = await est.post(f"{EST}/simplereenroll", content=csr(new_key()), headers=stranger)
    assert answer.status_code == 403


async def test_guessing_is_answered_with_when_to_come_back(est: httpx.AsyncClient) -> None:
    answers = [await est.post(f"{EST}/simpleenroll", auth=(METER, "guess")) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_body_without_length_is_counted_as_it_comes(est: httpx.AsyncClient, one: World) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 10_000_000:
            sent += 1024
            yield b"A" * 1024

    answer = await est.post(f"{EST}/simpleenroll", auth=await credentials(one), content=endless())
    assert answer.status_code == 413
    assert sent < 10_000_000


async def test_a_fault_of_ours_says_nothing_of_our_inside(
    est: httpx.AsyncClient, one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> bytes:
        raise Corrupt("secret place /var/lib")

    monkeypatch.setattr(one.pki, "enrol", broken)
    answer = await est.post(f"{EST}/simpleenroll", auth=await credentials(one), content=b"x")
    assert answer.status_code >= 500
    assert "/var/lib" not in answer.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=400), header=st.binary(max_size=120))
async def test_any_enrolment_is_answered(est: httpx.AsyncClient, body: bytes, header: bytes) -> None:
    headers = {"authorization": "Basic " + base64.b64encode(header).decode()}
    answer = await est.post(f"{EST}/simpleenroll", content=body, headers=headers)
    assert answer.status_code in {400, 401, 429}


async def test_lists_and_cas_over_plain_http(est: httpx.AsyncClient, one: World) -> None:
    crl = await est.get("/crl/device-1.crl")
    assert crl.headers["content-type"] == "application/pkix-crl"
    assert x509.load_der_x509_crl(crl.content).issuer == one.pki.ca("device-1").certificate.subject
    ca = await est.get("/ca/device-1.cer")
    assert ca.headers["content-type"] == "application/pkix-cert"
    assert x509.load_der_x509_certificate(ca.content) == one.pki.ca("device-1").certificate
    for path in ("/crl/nobody-1.crl", "/ca/nobody-1.cer", "/crl/device-1", "/ca/%2e%2e.cer", "/crl/"):
        assert (await est.get(path)).status_code == 404
    assert (await est.post("/crl/device-1.crl")).status_code == 405


def principal(*permissions: Permission) -> Principal:
    return Principal("user", "usr_1", "Ada", "administrator", frozenset(permissions))


@pytest.fixture
async def api(one: World) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(api_router(one.pki, one.clock), prefix="/api/v1")
    app.add_exception_handler(IronrootError, on_ironroot_error)
    async with client(app) as made:
        yield made


async def test_a_claim_over_the_api_enrols(api: httpx.AsyncClient, one: World) -> None:
    with acting_as(principal(*Permission)):
        made = await api.post("/api/v1/claims", json={"device": "meter-1", "expires": "12h", "type": "meter"})
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        body = made.json()
        assert set(body) == {"id", "device", "claim", "expires_at"}
        assert body["expires_at"] == "2026-01-01T12:00:00.000000Z"
        await one.pki.enrol(METER, body["claim"], csr(new_key()), "x")
        listed = (await api.get("/api/v1/claims")).json()
    assert [(c["id"], c["state"], c["created_by"]) for c in listed["items"]] == [(body["id"], "used", "user/usr_1")]
    assert "claim" not in listed["items"][0]
    assert one.devices.known == {METER: "meter"}


async def test_certificates_over_the_api(api: httpx.AsyncClient, one: World) -> None:
    certificate = await one.enrol()
    serial = f"{certificate.serial_number:x}"
    with acting_as(principal(*Permission)):
        listed = (await api.get("/api/v1/certificates", params={"device": "meter-1"})).json()["items"]
        assert [(c["serial"], c["status"], c["issuer"]) for c in listed] == [(serial, "valid", "device-1")]
        shown = (await api.get(f"/api/v1/certificates/{serial}")).json()
        assert x509.load_pem_x509_certificate(shown["pem"].encode()) == certificate
        done = await api.post(f"/api/v1/certificates/{serial}/revoke", json={"reason": "keyCompromise"})
        assert (done.json()["status"], done.json()["reason"]) == ("revoked", "keyCompromise")
        assert (await api.get("/api/v1/certificates", params={"status": "revoked"})).json()["items"][0] == done.json()
        first = (await api.get("/api/v1/certificates", params={"limit": 1})).json()
        second = (await api.get("/api/v1/certificates", params={"limit": 9, "cursor": first["next"]})).json()
        assert len(first["items"] + second["items"]) == 5
        assert (await api.get("/api/v1/certificates/dead")).status_code == 404
        assert (await api.get("/api/v1/certificates", params={"cursor": "eA"})).status_code == 400
        bad = await api.post(f"/api/v1/certificates/{serial}/revoke", json={"reason": "boredom"})
        assert bad.status_code == 422
    assert (await one.facts("certificate.revoked"))[0].actor == "user/usr_1"


async def test_cas_over_the_api(api: httpx.AsyncClient, one: World) -> None:
    with acting_as(principal(*Permission)):
        listed = (await api.get("/api/v1/ca")).json()["items"]
        assert [(ca["name"], ca["role"]) for ca in listed][:2] == [("root", "root"), ("device-1", "device")]
        assert listed[1]["issuer"] == listed[0]["subject"]
        roots = await api.get("/api/v1/ca/roots.pem")
    assert roots.content == one.pki.roots_pem()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/claims"),
        ("GET", "/claims"),
        ("GET", "/certificates"),
        ("GET", "/certificates/1"),
        ("POST", "/certificates/1/revoke"),
        ("GET", "/ca"),
        ("GET", "/ca/roots.pem"),
    ],
)
async def test_nobody_gets_nothing_and_the_unpermitted_no_more(api: httpx.AsyncClient, method: str, path: str) -> None:
    body = {"device": "meter-1"} if path == "/claims" else {}
    assert (await api.request(method, f"/api/v1{path}", json=body)).status_code == 401
    with acting_as(principal(Permission.DEVICE_READ)):
        expected = 200 if path == "/ca/roots.pem" else 403
        assert (await api.request(method, f"/api/v1{path}", json=body)).status_code == expected
