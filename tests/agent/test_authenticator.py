from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ironroot.agent import DeviceAuthenticator
from ironroot.agent.state import State
from ironroot.core.errors import Forbidden, Malformed, Misconfigured, TooLarge, Unauthenticated, Unavailable
from tests.agent.est_server import EstServer, problem
from tests.agent.pki import Pki


@pytest.fixture
def state(pki: Pki, est: EstServer, tmp_path: Path) -> State:
    return pki.enrolled(tmp_path / "state", "meter-1", est.port)


def authenticator(state: State) -> DeviceAuthenticator:
    return DeviceAuthenticator(state.certificate_path, state.keys.tls_path)


def test_certificate_and_key_are_enough(state: State, est: EstServer) -> None:
    answer = authenticator(state).authenticate_to_server(est.url)
    assert answer["device"] == "meter-1"
    assert est.requests[-1].body == b'{"capability":1,"agent":"0.1.0"}'


def test_a_server_of_another_root_is_refused_whoever_asks(state: State, tmp_path: Path) -> None:
    impostor = EstServer(Pki(tmp_path))
    impostor.start()
    try:
        with pytest.raises(Unavailable, match="not the one this device trusts"):
            authenticator(state).authenticate_to_server(impostor.url)
        # without roots.pem the system's roots are asked, never nobody
        state.roots_path.unlink()
        with pytest.raises(Unavailable, match="not the one this device trusts"):
            authenticator(state).authenticate_to_server(impostor.url)
    finally:
        impostor.stop()
    assert impostor.requests == []


def test_a_server_of_another_name_is_refused(state: State, pki: Pki) -> None:
    elsewhere = EstServer(pki, host="127.0.0.2")  # a certificate of the right root, for other names
    elsewhere.start()
    try:
        with pytest.raises(Unavailable, match="not the one this device trusts"):
            authenticator(state).authenticate_to_server(f"https://127.0.0.2:{elsewhere.port}")
    finally:
        elsewhere.stop()
    assert elsewhere.requests == []


def test_a_device_the_platform_does_not_want(state: State, est: EstServer) -> None:
    est.override = lambda _request: problem(403, "revoked", "return it")
    with pytest.raises(Forbidden) as refusal:
        authenticator(state).authenticate_to_server(est.url)
    assert refusal.value.remedy == "return it"


def test_a_device_without_a_certificate_of_this_platform(state: State, est: EstServer, tmp_path: Path) -> None:
    certificate, key = Pki(tmp_path).identity(tmp_path, "meter-1")
    with pytest.raises((Unavailable, Unauthenticated)):
        DeviceAuthenticator(certificate, key, state.roots_path).authenticate_to_server(est.url)


def test_files_that_are_missing_or_do_not_belong_together(state: State, pki: Pki, tmp_path: Path) -> None:
    _, other = pki.identity(tmp_path, "other")
    with pytest.raises(Misconfigured, match="cannot be used"):
        DeviceAuthenticator(state.certificate_path, other).session()
    with pytest.raises(Misconfigured, match="no such file"):
        DeviceAuthenticator(tmp_path / "none", other, state.roots_path).session()


def test_a_session_reuses_its_connection_and_survives_its_end(state: State, est: EstServer) -> None:
    with authenticator(state).session() as session:
        for _ in range(3):
            assert session.get(f"{est.url}/nothing").status == 404
        assert session.put(f"{est.url}/nothing", {"a": 1}).status == 404
        assert est.requests[-1].headers["content-type"] == "application/json"
        est.override = lambda _request: (200, {"connection": "close"}, b"{}")
        assert session.get(est.url).json() == {}
        assert session.get(est.url + "/?q=1").json() == {}
    assert est.requests[-1].path == "/?q=1"


@pytest.mark.parametrize("url", ["http://localhost/", "ftp://x/", "https://", "https://u:p@h/", "https://h:99999/"])
def test_only_https_addresses(state: State, url: str) -> None:
    with authenticator(state).session() as session, pytest.raises(Malformed):
        session.get(url)


def test_an_endless_answer_is_cut(state: State, est: EstServer) -> None:
    est.override = lambda _request: (200, {}, bytes(2 * 1024 * 1024))
    with authenticator(state).session() as session, pytest.raises(TooLarge):
        session.get(est.url)


def test_importing_the_package_loads_no_cryptography() -> None:
    code = "import sys, ironroot.agent; print('cryptography' in sys.modules, 'ssl' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
