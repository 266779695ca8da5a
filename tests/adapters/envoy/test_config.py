"""The generated configuration, without running it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ironroot.adapters.envoy import binary, config
from ironroot.adapters.envoy.settings import DoorSettings, reachable
from ironroot.core.errors import Misconfigured


@pytest.fixture
def settings(tmp_path: Path) -> DoorSettings:
    return DoorSettings(tmp_path / "run", tmp_path / "logs", 8443, 8444, 8080)


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, item
            yield from walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)


def listener(settings: DoorSettings, name: str) -> dict[str, Any]:
    listeners: list[dict[str, Any]] = config.bootstrap(settings)["static_resources"]["listeners"]
    return next(item for item in listeners if item["name"] == name)


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0", "::", "::1"])
def test_envoy_accepts_what_is_written(settings: DoorSettings, listen: str) -> None:
    settings = replace(settings, listen=listen)
    config.write(settings)
    done = subprocess.run(
        [binary.find(), "--mode", "validate", "-c", settings.config_file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


def test_tls_doors_allow_1_3_alone_and_no_resumption(settings: DoorSettings) -> None:
    for name in ("console", "devices"):
        found = dict(walk(listener(settings, name)))
        assert found["tls_minimum_protocol_version"] == found["tls_maximum_protocol_version"] == "TLSv1_3"
        assert found["disable_stateless_session_resumption"] is True
        assert found["disable_stateful_session_resumption"] is True


def test_only_the_device_door_verifies_client_certificates(settings: DoorSettings) -> None:
    assert "validation_context_sds_secret_config" in dict(walk(listener(settings, "devices")))
    for name in ("console", "plain"):
        found = dict(walk(listener(settings, name)))
        assert "validation_context_sds_secret_config" not in found
        assert found["forward_client_cert_details"] == "SANITIZE"


def test_envoy_reads_no_crl(settings: DoorSettings) -> None:
    """An empty file would let every revoked device in: revocation is the application's, on every request."""
    text = json.dumps([config.bootstrap(settings), config.secrets(settings)])
    assert '"crl"' not in text
    assert "allow_expired_certificate" not in text


def test_last_route_of_every_door_refuses_or_asks_for_a_certificate(settings: DoorSettings) -> None:
    for name, status in (("devices", 403), ("plain", 404)):
        routes = dict(walk(listener(settings, name)))["routes"]
        assert routes[-1]["match"] == {"prefix": "/"}
        assert routes[-1]["direct_response"]["status"] == status


def test_access_logs_hold_no_query_and_no_secret_header(settings: DoorSettings) -> None:
    text = json.dumps(config.bootstrap(settings)).lower()
    for word in ("%req(cookie", "%req(authorization", "%req(:path", "(wq"):
        assert word not in text


def test_files_are_for_this_user_alone(settings: DoorSettings) -> None:
    config.write(settings)
    for path in settings.runtime.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_writing_again_replaces_the_file_as_a_whole(settings: DoorSettings) -> None:
    config.write(settings)
    first = settings.config_file.stat().st_ino
    config.write(replace(settings, console_port=9443))
    assert settings.config_file.stat().st_ino != first
    assert not list(settings.runtime.glob(".*"))


@pytest.mark.parametrize("listen", ["", "localhost", "1.2.3", "127.0.0.1:80", "é"])
def test_listen_address_must_be_an_ip_address(settings: DoorSettings, listen: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        replace(settings, listen=listen)
    assert caught.value.remedy


def test_wildcard_is_reached_over_loopback() -> None:
    assert [reachable(listen) for listen in ("0.0.0.0", "::", "127.0.0.1", "10.1.2.3")] == [
        "127.0.0.1",
        "::1",
        "127.0.0.1",
        "10.1.2.3",
    ]
