"""The running front door against what a peer may send it."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Sequence

import pytest

from ironroot.adapters.envoy.listeners import FORGEABLE
from tests.adapters.envoy.front import Front, request, response

HTTP = pytest.mark.parametrize("http", ["--http1.1", "--http2"])


def headers(*pairs: tuple[str, str]) -> Sequence[str]:
    return [option for name, value in pairs for option in ("-H", f"{name}: {value}")]


# --- who gets in ---------------------------------------------------------------------------------


@HTTP
def test_device_with_its_certificate_reaches_the_application_and_is_named_by_hash(door: Front, http: str) -> None:
    answer = door.curl("devices", "/device/v1/status", http, cert="dev-1")
    assert answer.status == 200
    (identity,) = answer.seen["x-forwarded-client-cert"]
    assert identity.startswith(f"Hash={door.dev_1.fingerprint};")
    assert 'Subject="CN=dev-1"' in identity
    assert "-----BEGIN" in identity.replace("%20", " ")
    assert answer.seen["x-ironroot-door"] == ["devices"]
    assert answer.seen["x-envoy-external-address"] == ["127.0.0.1"]


@HTTP
@pytest.mark.parametrize("path", ["/", "/device/v1/status", "/.well-known/est/simplereenroll", "/healthz/x", "/x/../y"])
def test_without_a_client_certificate_the_device_port_answers_403_and_says_why(
    door: Front, path: str, http: str
) -> None:
    answer = door.curl("devices", path, http)
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["detail"] == "client certificate required"
    assert answer.json["status"] == 403
    assert answer.json["type"] == "urn:ironroot:problem:forbidden"


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/est/cacerts",
        "/.well-known/est/csrattrs",
        "/.well-known/est/simpleenroll",
        "/.well-known/cmp",
        "/.well-known/cmp/p/x",
        "/healthz",
        "/healthz?x=1",
    ],
)
def test_enrolment_routes_are_open_and_carry_no_identity(door: Front, path: str) -> None:
    answer = door.curl("devices", path)
    assert answer.status == 200
    assert "x-forwarded-client-cert" not in answer.seen


def test_certificate_of_another_ca_with_the_same_subject_is_refused_in_the_handshake(door: Front) -> None:
    assert door.curl_raw("devices", "/healthz", cert="rogue").returncode != 0
    line = door.log(door.settings.connection_log, door.rogue_device.fingerprint)
    assert line["door"] == "devices"
    assert "CERTIFICATE_VERIFY_FAILED" in line["tls_failure"]


def test_expired_certificate_is_refused_in_the_handshake_and_named_in_the_log(door: Front) -> None:
    assert door.curl_raw("devices", "/healthz", cert="expired").returncode != 0
    line = door.log(door.settings.connection_log, door.expired.fingerprint)
    assert "expired" in line["tls_failure"]
    assert line["subject"] == "CN=expired"


def test_server_certificate_of_the_platform_is_no_client_certificate(door: Front) -> None:
    assert door.curl_raw("devices", "/device/v1/status", cert="server").returncode != 0


def test_console_never_asks_for_a_certificate(door: Front) -> None:
    said = s_client(door, "console", "-tls1_3")
    assert "No client certificate CA names sent" in said
    assert door.curl("console", "/", cert="dev-1").seen.get("x-forwarded-client-cert") is None


# --- TLS -----------------------------------------------------------------------------------------


def s_client(door: Front, which: str, *options: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{door.port(which)}", *options],
        input=b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        capture_output=True,
        timeout=20,
        check=False,
    )
    return (done.stdout + done.stderr).decode(errors="replace")


@pytest.mark.parametrize("which", ["console", "devices"])
def test_tls_1_2_is_refused(door: Front, which: str) -> None:
    assert "alert protocol version" in s_client(door, which, "-tls1_2")


@pytest.mark.parametrize("which", ["console", "devices"])
def test_session_resumption_is_not_offered(door: Front, which: str) -> None:
    """A resumed session skips the certificate's verification: an expired device would come back."""
    with door.connect(which, "dev-1") as connection:
        assert request(connection, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 200
        assert connection.session is None or not connection.session.has_ticket
    said = s_client(door, which, "-tls1_3", "-reconnect", "-ign_eof")
    assert "New Session Ticket" not in said
    assert "Reused" not in said


def test_http2_is_offered(door: Front) -> None:
    assert "ALPN protocol: h2" in s_client(door, "console", "-alpn", "h2,http/1.1")


# --- what a peer claims --------------------------------------------------------------------------

FORGED = [(name, "forged") for name in FORGEABLE] + [
    ("X-Forwarded-Client-Cert", 'Hash=00;Subject="CN=admin"'),
    ("x-forwarded-client-cert", f"Hash={'0' * 64}"),
    ("X-Forwarded-Proto", "forged"),
    ("x-envoy-external-address", "forged"),
    ("x-envoy-internal", "forged"),
    ("x-envoy-original-path", "forged"),
    ("x-envoy-retry-on", "forged"),
    ("x-envoy-upstream-rq-timeout-ms", "forged"),
    ("x-envoy-decorator-operation", "forged"),
    ("x-request-id", "forged"),
]


@HTTP
@pytest.mark.parametrize("cert", [None, "dev-1"])
@pytest.mark.parametrize("which", ["console", "devices"])
def test_forged_identity_headers_never_reach_the_application(
    door: Front, which: str, cert: str | None, http: str
) -> None:
    answer = door.curl(which, "/healthz", http, *headers(*FORGED), cert=cert)
    assert answer.status == 200
    assert "forged" not in answer.body.decode()
    identity = answer.seen.get("x-forwarded-client-cert", [])
    if which == "devices" and cert:
        assert len(identity) == 1
        assert identity[0].startswith(f"Hash={door.dev_1.fingerprint};")
    else:
        assert identity == []
    assert answer.seen["x-ironroot-door"] == [which]
    assert answer.seen["x-envoy-external-address"] == ["127.0.0.1"]
    assert answer.seen.get("x-forwarded-proto", ["https"]) == ["https"]


def test_forged_headers_are_removed_at_the_plain_door_too(door: Front) -> None:
    answer = door.curl("plain", "/crl/device-1.crl", *headers(*FORGED))
    assert answer.status == 200
    assert "forged" not in answer.body.decode()
    assert "x-forwarded-client-cert" not in answer.seen
    assert answer.seen["x-ironroot-door"] == ["plain"]


def test_identity_header_spelt_with_underscores_is_refused(door: Front) -> None:
    answer = door.curl("devices", "/healthz", "--http1.1", *headers(("X_Forwarded_Client_Cert", "Hash=00")))
    assert answer.status == 400


def test_smuggling_by_two_lengths_is_refused(door: Front) -> None:
    with door.connect("console") as connection:
        status, _ = request(
            connection,
            "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        )
        assert status == 400


@pytest.mark.parametrize("path", ["/a%2fb", "/a%5Cb", "/api%2Fv1/devices"])
def test_escaped_slash_in_a_path_is_refused(door: Front, path: str) -> None:
    answer = door.curl("console", path)
    assert answer.status == 400
    assert answer.json["type"] == "urn:ironroot:problem:malformed"


def test_console_paths_are_not_served_to_devices_even_by_a_detour(door: Front) -> None:
    for path in ("/api/v1/devices", "/api/v1", "//api//v1/devices", "/x/../api/v1/devices", "/./api/v1/x", "/readyz"):
        answer = door.curl("devices", path, cert="dev-1")
        assert (answer.status, answer.json["detail"]) == (403, "this path is not served at this port"), path


def test_device_paths_are_not_served_at_the_console(door: Front) -> None:
    for path in ("/device/v1/status", "/.well-known/est/simpleenroll", "/.well-known/cmp"):
        assert door.curl("console", path).status == 404


# --- limits --------------------------------------------------------------------------------------


@HTTP
def test_body_at_the_limit_passes_and_one_byte_more_is_413(door: Front, http: str) -> None:
    full = door.curl("devices", "/d", http, "--data-binary", f"@{_file(door, 65_536)}", cert="dev-1")
    assert (full.status, full.json["read"]) == (200, 65_536)
    over = door.curl("devices", "/d", http, "--data-binary", f"@{_file(door, 65_537)}", cert="dev-1")
    assert (over.status, over.json["type"]) == (413, "urn:ironroot:problem:too-large")


def test_body_without_a_length_is_counted_while_it_comes(door: Front) -> None:
    chunked = ("--http1.1", "-H", "Transfer-Encoding: chunked", "--data-binary")
    small = door.curl("devices", "/d", *chunked, f"@{_file(door, 1_000)}", cert="dev-1")
    assert small.json["read"] == 1_000
    assert door.curl("devices", "/d", *chunked, f"@{_file(door, 100_000)}", cert="dev-1").status == 413


def test_api_of_the_console_takes_a_mebibyte_and_no_more(door: Front) -> None:
    assert door.curl("console", "/api/v1/x", "--data-binary", f"@{_file(door, 1 << 20)}").json["read"] == 1 << 20
    assert door.curl("console", "/api/v1/x", "--data-binary", f"@{_file(door, (1 << 20) + 1)}").status == 413
    assert door.curl("console", "/x", "--data-binary", f"@{_file(door, 70_000)}").status == 413


def _file(door: Front, size: int) -> str:
    path = door.root / f"body-{size}"
    path.write_bytes(b"a" * size)
    return str(path)


def test_header_bomb_is_431(door: Front) -> None:
    long = door.curl("devices", "/healthz", "--http1.1", *headers(("x-a", "a" * 20_000)))
    many = door.curl("devices", "/healthz", "--http1.1", *headers(*((f"x-{n}", "a") for n in range(70))))
    for answer in (long, many):
        assert answer.status == 431
    assert many.json["type"] == "urn:ironroot:problem:headers-too-large"


def test_slow_request_line_is_ended(door: Front) -> None:
    with door.connect("devices", "dev-1") as connection:
        start = time.monotonic()
        status, body = request(connection, "GET /healthz HT")
        assert status == 408
        assert time.monotonic() - start < 3
        assert b"urn:ironroot:problem:timeout" in body


def test_body_that_stops_coming_is_ended(door: Front) -> None:
    with door.connect("devices", "dev-1") as connection:
        status, _ = request(connection, "POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\naaaa")
        assert status == 408


def test_body_that_drips_for_ever_is_ended(door: Front) -> None:
    """Each byte resets an idle timer: the whole request has a time of its own."""
    with door.connect("devices", "dev-1") as connection:
        connection.sendall(b"POST /d HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        start = time.monotonic()
        connection.settimeout(0.5)
        status = 0
        while time.monotonic() - start < 8:
            try:
                connection.sendall(b"a")
                status, _ = response(connection)
                break
            except TimeoutError:
                continue
        assert status == 408
        assert time.monotonic() - start < 5


def test_connection_that_never_speaks_tls_is_closed(door: Front) -> None:
    with socket.create_connection(("127.0.0.1", door.port("devices")), timeout=10) as connection:
        assert connection.recv(10) == b""


def test_http_1_0_gets_426(door: Front) -> None:
    assert door.curl("devices", "/healthz", "--http1.0").status == 426


def test_slow_application_becomes_504(door: Front) -> None:
    answer = door.curl("devices", "/slow?s=6", cert="dev-1")
    assert answer.status in {504, 408}
    assert answer.headers["content-type"] == "application/problem+json"


@HTTP
def test_event_stream_is_not_cut_by_the_times_of_other_routes(door: Front, http: str) -> None:
    """It stands still for longer than the idle time here, and arrives before it ends."""
    start = time.monotonic()
    answer = door.curl("console", "/api/v1/stream", http)
    assert time.monotonic() - start > 2.9
    assert answer.body.count(b"data: x") == 3


def test_websocket_upgrade_is_refused(door: Front) -> None:
    answer = door.curl(
        "console",
        "/",
        "--http1.1",
        *headers(
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ),
    )
    assert answer.status == 403


# --- plain HTTP ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/crl/device-1.crl", "/ca/device-1.cer", "/healthz"])
def test_plain_door_serves_signed_objects(door: Front, path: str) -> None:
    assert door.curl("plain", path).status == 200
    assert door.curl("plain", path, "--head").status == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1/devices", "/device/v1/status", "/.well-known/est/cacerts", "/crl", "/crl/../api/v1/x", "/healthz/x"],
)
def test_plain_door_serves_nothing_else(door: Front, path: str) -> None:
    answer = door.curl("plain", path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_plain_door_takes_no_writes(door: Front, method: str) -> None:
    assert door.curl("plain", "/crl/device-1.crl", "-X", method).status == 404


# --- what the answers give away ------------------------------------------------------------------


def test_answers_do_not_name_the_servers(door: Front) -> None:
    for answer in (
        door.curl("console", "/"),
        door.curl("devices", "/x"),
        door.curl("plain", "/x"),
        door.curl("console", "/a%2fb"),
    ):
        assert not {"server", "via", "x-envoy-upstream-service-time", "x-powered-by"} & set(answer.headers)
        assert b"envoy" not in answer.body.lower() or answer.status == 200


def test_request_log_has_no_query_and_only_refused_requests_of_devices(door: Front) -> None:
    door.curl("devices", "/healthz?token=passed", cert="dev-1")
    door.curl("devices", "/refused-path?token=secret")
    line = door.log(door.settings.request_log, "/refused-path")
    assert line["path"] == "/refused-path"
    assert (line["status"], line["door"], line["detail"]) == (403, "devices", "direct_response")
    text = door.settings.request_log.read_text()
    assert "token" not in text
    assert '"status":200,"subject"' not in text
    assert not [entry for entry in text.splitlines() if '"door":"devices"' in entry and '"status":200' in entry]


def test_logs_and_admin_are_for_this_user_alone(door: Front) -> None:
    door.curl("devices", "/x")
    door.log(door.settings.request_log, "/x")
    for path in (door.settings.request_log, door.settings.connection_log, door.settings.admin_socket):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_application_away_is_503_as_a_problem_document(door: Front) -> None:
    aside = door.settings.api_socket.with_name("aside")
    door.settings.api_socket.rename(aside)
    try:
        answer = door.curl("devices", "/d", cert="dev-2")
        assert (answer.status, answer.json["type"]) == (503, "urn:ironroot:problem:unavailable")
        assert answer.headers["retry-after"] == "5"
        assert str(door.root) not in answer.body.decode()
    finally:
        aside.rename(door.settings.api_socket)


def test_client_alert_for_no_shared_protocol_is_clean(door: Front) -> None:
    context = door.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        context.wrap_socket(
            socket.create_connection(("127.0.0.1", door.port("console")), timeout=5), server_hostname="localhost"
        )
