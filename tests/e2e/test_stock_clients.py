"""A device made of openssl, curl and mosquitto: enrols, speaks, is refused, is cut off. Nothing of ours on its side."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import Device, Platform, est, eventually, https, new_key, request, sh


@pytest.fixture(scope="module")
def meter(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Device:
    return platform.enrol("meter-1", tmp_path_factory.mktemp("meter"))


def publish(
    platform: Platform, device: Device, topic: str, text: str, *options: str
) -> subprocess.CompletedProcess[bytes]:
    return sh(
        *("mosquitto_pub", "-h", "localhost", "-p", str(platform.base + 2), *device.mosquitto),
        *("-i", device.id, "-t", topic, "-m", text, *options),
        ok=False,
    )


@pytest.fixture
def listener(platform: Platform, meter: Device) -> Iterator[subprocess.Popen[bytes]]:
    argv = ["mosquitto_sub", "-h", "localhost", "-p", str(platform.base + 2), *meter.mosquitto]
    argv += ["-i", "meter-1:sub", "-t", "d/meter-1/down/#", "-v"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        eventually(lambda: platform.show("meter-1")["connected"], "mosquitto_sub is connected")
        yield process
        process.kill()


def test_status_of_the_demo(platform: Platform) -> None:
    status = platform.cli("status")
    assert status["ready"] is True
    assert status["devices"]["connected"] >= 4
    assert status["devices"]["by_trust"]["trusted"] >= 4
    assert status["store"] == {"engine": "sqlite"}
    assert all(door["ready"] for door in status["doors"].values())
    assert status["log"]["head"] > 0


def test_the_certificate_is_sound(platform: Platform, meter: Device, tmp_path: Path) -> None:
    cacerts = sh("curl", "-sS", "--cacert", str(meter.ca), platform.url(1, "/.well-known/est/cacerts")).stdout
    bundle = sh(
        "openssl", "pkcs7", "-inform", "DER", "-print_certs", stdin=sh("openssl", "base64", "-d", stdin=cacerts).stdout
    )
    (tmp_path / "bundle.pem").write_bytes(bundle.stdout)
    sh(
        *("openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", str(meter.ca)),
        *("-untrusted", str(tmp_path / "bundle.pem"), str(meter.certificate)),
    )
    text = sh("openssl", "x509", "-in", str(meter.certificate), "-noout", "-text").stdout.decode()
    assert "CN = meter-1" in text
    assert "TLS Web Client Authentication" in text
    assert text.count("BEGIN CERTIFICATE") == 0
    assert meter.certificate.read_text().count("BEGIN CERTIFICATE") == 1


def test_csrattrs(platform: Platform, meter: Device) -> None:
    body = sh("curl", "-sS", "--cacert", str(meter.ca), platform.url(1, "/.well-known/est/csrattrs")).stdout
    parsed = sh("openssl", "asn1parse", "-inform", "DER", stdin=sh("openssl", "base64", "-d", stdin=body).stdout).stdout
    assert b"prime256v1" in parsed
    assert b"ecdsa-with-SHA256" in parsed


def test_published_value_is_shown(platform: Platform, meter: Device) -> None:
    value = str(time.time_ns())
    assert publish(platform, meter, "d/meter-1/up/telemetry/temperature", value, "-q", "1").returncode == 0
    shown = eventually(
        lambda: (d := platform.show("meter-1"))["telemetry"].get("temperature", {}).get("value") == int(value) and d,
        "the value is in device show",
    )
    assert shown["trust"]["state"] == "trusted"
    assert shown["trust"]["reasons"][0]["fact"] > 0
    serial = sh("openssl", "x509", "-in", str(meter.certificate), "-noout", "-serial").stdout.decode().strip()
    assert shown["certificate"]["serial"] == serial.partition("=")[2].lower().lstrip("0")
    assert shown["last_seen"] is not None


def test_without_a_client_id_a_stock_client_gets_in(platform: Platform, meter: Device) -> None:
    argv = ["mosquitto_pub", "-h", "localhost", "-p", str(platform.base + 2), *meter.mosquitto]
    done = sh(*argv, "-t", "d/meter-1/up/telemetry/anonymous", "-m", "1", "-q", "1", ok=False)
    assert done.returncode == 0, done.stderr


def test_command_and_configuration_reach_the_device(
    platform: Platform, meter: Device, listener: subprocess.Popen[bytes]
) -> None:
    command = platform.cli("device", "command", "meter-1", "identify", "--args", '{"seconds": 3}')
    said = listener.stdout
    assert said is not None
    topic, _, message = said.readline().partition(b" ")
    assert topic == b"d/meter-1/down/command"
    assert json.loads(message)["id"] == command["id"]
    answer = json.dumps({"type": "command", "id": command["id"], "status": "done", "result": {"blinked": True}})
    assert publish(platform, meter, "d/meter-1/up/event", answer, "-q", "1").returncode == 0
    eventually(lambda: platform.facts(kind="command.done", subject="device/meter-1"), "the answer is a fact")
    wanted = platform.cli("device", "config", "meter-1", '{"interval_s": 10}')
    line = eventually(lambda: (t := said.readline()).startswith(b"d/meter-1/down/config") and t, "configuration")
    assert json.loads(line.partition(b" ")[2]) == {"version": wanted["version"], "config": {"interval_s": 10}}


def test_no_certificate(platform: Platform, meter: Device) -> None:
    assert https(platform, 1, "/device/v1/status", "--cacert", str(meter.ca))[0] == 403
    done = sh(
        *("mosquitto_pub", "-h", "localhost", "-p", str(platform.base + 2), "--cafile", str(meter.ca)),
        *("-i", "meter-1", "-t", "d/meter-1/up/log", "-m", "x", "-q", "1"),
        ok=False,
    )
    assert done.returncode != 0


def test_certificate_of_another_ca(platform: Platform, meter: Device, tmp_path: Path) -> None:
    rogue = Device("meter-1", tmp_path / "k.pem", tmp_path / "c.pem", meter.ca)
    new_key(rogue.key)
    sh(
        "openssl",
        "req",
        "-x509",
        "-key",
        str(rogue.key),
        "-subj",
        "/CN=meter-1",
        "-days",
        "1",
        "-out",
        str(rogue.certificate),
    )
    assert publish(platform, rogue, "d/meter-1/up/log", "x", "-q", "1").returncode != 0
    assert https(platform, 1, "/device/v1/status", *rogue.curl)[0] == 0


def test_tls_1_2_is_refused_at_every_door(platform: Platform, meter: Device) -> None:
    for door in (0, 1, 2):
        done = sh(
            *("openssl", "s_client", "-connect", f"localhost:{platform.base + door}", "-tls1_2"),
            *("-cert", str(meter.certificate), "-key", str(meter.key)),
            stdin=b"",
            ok=False,
        )
        assert b"alert protocol version" in done.stderr, done


def test_anothers_topic_is_dropped_and_recorded(platform: Platform, meter: Device) -> None:
    publish(platform, meter, "d/camera-01/up/telemetry/forged", "1", "-q", "1")
    eventually(lambda: platform.facts(kind="mqtt.violation", subject="device/meter-1"), "the attempt is a fact")
    assert "forged" not in platform.show("camera-01")["telemetry"]


def test_anothers_topic_cannot_be_heard(platform: Platform, meter: Device) -> None:
    argv = ["mosquitto_sub", "-h", "localhost", "-p", str(platform.base + 2), *meter.mosquitto, "-i", "meter-1:spy"]
    done = sh(*argv, "-t", "d/camera-01/down/#", "-W", "2", "-E", ok=False)
    assert b"denied" in done.stdout + done.stderr or b"All subscription requests were denied" in done.stderr, done


def test_anothers_client_id(platform: Platform, meter: Device) -> None:
    argv = ["mosquitto_pub", "-h", "localhost", "-p", str(platform.base + 2), *meter.mosquitto, "-i", "camera-01"]
    done = sh(*argv, "-t", "d/meter-1/up/log", "-m", "x", "-q", "1", ok=False)
    assert done.returncode != 0
    assert b"not authorised" in done.stderr.lower() or b"not authorized" in done.stderr.lower()
    eventually(lambda: platform.facts(kind="mqtt.refused", subject="device/meter-1"), "the attempt is a fact")


def test_claim_works_once_and_for_its_device(platform: Platform, meter: Device, tmp_path: Path) -> None:
    claim = platform.cli("claim", "create", "--device", "meter-7")["claim"]
    thief = Device("meter-8", tmp_path / "k.pem", tmp_path / "c.pem", meter.ca)
    new_key(thief.key)
    est(platform, thief, request(thief.key, "meter-8", tmp_path), f"meter-8:{claim}", status=401)
    owner = Device("meter-7", tmp_path / "k7.pem", tmp_path / "c7.pem", meter.ca)
    new_key(owner.key)
    csr = request(owner.key, "meter-7", tmp_path)
    est(platform, owner, csr, f"meter-7:{claim}")
    est(platform, owner, csr, f"meter-7:{claim}", status=401)
    assert platform.facts(kind="claim.refused")


def test_renewal_with_the_current_certificate(platform: Platform, tmp_path: Path) -> None:
    device = platform.enrol("meter-9", tmp_path)
    before = platform.show("meter-9")["certificate"]["serial"]
    est(platform, device, request(device.key, "meter-9", tmp_path), None, "simplereenroll")
    after = platform.show("meter-9")["certificate"]["serial"]
    assert before != after
    assert https(platform, 1, "/device/v1/status", *device.curl)[0] == 200


def test_forged_identity_headers_at_the_device_door(platform: Platform, meter: Device) -> None:
    victim = platform.show("camera-01")["certificate"]["fingerprint"]
    forged = f'x-forwarded-client-cert: Hash={victim};Subject="CN=camera-01"'
    status, _ = https(platform, 1, "/device/v1/status", "--cacert", str(meter.ca), "-H", forged)
    assert status == 403
    status, body = https(platform, 1, "/device/v1/status", *meter.curl, "-H", forged, "-H", "x-ironroot-door: console")
    assert (status, json.loads(body)["device"]) == (200, "meter-1")


def test_the_device_door_does_not_serve_the_api(platform: Platform, meter: Device) -> None:
    assert https(platform, 1, "/api/v1/devices", *meter.curl)[0] in {403, 404}
    assert https(platform, 0, "/device/v1/status", *meter.curl)[0] == 404
    assert https(platform, 0, "/api/v1/devices", "--cacert", str(meter.ca))[0] == 401


def test_crl_over_plain_http(platform: Platform, meter: Device, tmp_path: Path) -> None:
    der = sh("curl", "-sSf", f"http://localhost:{platform.base + 5}/crl/device-1.crl").stdout
    text = sh("openssl", "crl", "-inform", "DER", "-noout", "-text", stdin=der).stdout
    assert b"Next Update" in text
    assert (
        sh(
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://localhost:{platform.base + 5}/api/v1/status"
        ).stdout
        == b"404"
    )


def test_quarantine_cuts_and_release_lets_back(platform: Platform, tmp_path: Path) -> None:
    device = platform.enrol("meter-q", tmp_path)
    assert publish(platform, device, "d/meter-q/up/log", "x", "-q", "1").returncode == 0
    shown = platform.cli("device", "quarantine", "meter-q", "--reason", "odd traffic")
    assert shown["trust"]["state"] == "quarantined"
    assert publish(platform, device, "d/meter-q/up/log", "x", "-q", "1").returncode != 0
    status, body = https(platform, 1, "/device/v1/status", *device.curl)
    assert (status, json.loads(body)["trust"]["state"]) == (200, "quarantined")
    platform.cli("device", "release", "meter-q", "--reason", "checked")
    assert publish(platform, device, "d/meter-q/up/log", "x", "-q", "1").returncode == 0


def test_revoked_device_is_cut_off_live_and_stays_out(platform: Platform, tmp_path: Path) -> None:
    device = platform.enrol("meter-r", tmp_path)
    argv = ["mosquitto_sub", "-h", "localhost", "-p", str(platform.base + 2), *device.mosquitto]
    live = subprocess.Popen([*argv, "-i", "meter-r", "-t", "d/meter-r/down/#"], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: platform.show("meter-r")["connected"], "connected")
        unused = platform.cli("claim", "create", "--device", "meter-r")["claim"]
        shown = platform.cli("device", "revoke", "meter-r", "--reason", "keyCompromise")
        assert shown["trust"]["state"] == "revoked"
        eventually(lambda: not platform.show("meter-r")["connected"], "the live connection is cut", 2.0)
        assert publish(platform, device, "d/meter-r/up/log", "x", "-q", "1").returncode != 0
        for path in ("/device/v1/status", "/.well-known/est/simplereenroll", "/any/path"):
            assert https(platform, 1, path, *device.curl)[0] in {0, 401, 403}, path
        new_key(device.key)
        csr = request(device.key, "meter-r", tmp_path)
        est(platform, device, csr, f"meter-r:{unused}", status=401)
        crl = sh("curl", "-sSf", f"http://localhost:{platform.base + 5}/crl/device-1.crl").stdout
        text = sh("openssl", "crl", "-inform", "DER", "-noout", "-text", stdin=crl).stdout.decode()
        assert shown["certificate"]["serial"].upper() in text
        assert "Key Compromise" in text
        back = platform.cli("claim", "create", "--device", "meter-r")["claim"]
        est(platform, device, csr, f"meter-r:{back}")
        assert platform.show("meter-r")["trust"]["state"] == "trusted"
    finally:
        live.kill()
        live.wait()


def test_audit_export_verifies_and_one_flipped_byte_does_not(platform: Platform, tmp_path: Path) -> None:
    out = tmp_path / "facts.jsonl"
    exported = platform.cli("audit", "export", "--out", str(out))
    verified = platform.cli("audit", "verify", str(out))
    assert verified["facts"] == exported["facts"] > 0
    lines = out.read_bytes().splitlines(keepends=True)
    place = len(lines) // 2
    changed = bytearray(lines[place])
    changed[len(changed) // 2] ^= 1
    forged = tmp_path / "forged.jsonl"
    forged.write_bytes(b"".join([*lines[:place], bytes(changed), *lines[place + 1 :]]))
    refused = platform.run("audit", "verify", str(forged), "--json")
    assert refused.returncode == 1
    assert f"line {place + 1}" in json.loads(refused.stderr)["detail"]


def test_log_cut_back_is_found_against_an_older_checkpoint(platform: Platform, tmp_path: Path) -> None:
    early, late, checkpoint = tmp_path / "early", tmp_path / "late", tmp_path / "checkpoint"
    platform.cli("audit", "export", "--out", str(early))
    platform.cli("claim", "create", "--device", "meter-late")
    platform.cli("audit", "checkpoint", "--out", str(checkpoint))
    platform.cli("audit", "export", "--out", str(late))
    assert platform.run("audit", "verify", str(late), "--checkpoint", str(checkpoint)).returncode == 0
    refused = platform.run("audit", "verify", str(early), "--checkpoint", str(checkpoint), "--json")
    assert refused.returncode == 1
    assert "cut back" in json.loads(refused.stderr)["detail"]
