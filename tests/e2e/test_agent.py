"""Our own device side against the real platform: enrol, run, obey, renew, and what a revoked device sees."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ironroot.agent import DeviceAuthenticator, SecureStorage
from ironroot.core.errors import Refused
from tests.support.platform import IRONROOT, Platform, eventually


@pytest.fixture
def enrolled(platform: Platform, tmp_path: Path) -> Path:
    """The state directory of an agent enrolled by the root's fingerprint."""
    (root,) = [ca for ca in platform.cli("ca", "list")["items"] if ca["role"] == "root"]
    claim = platform.cli("claim", "create", "--device", "gateway-9")["claim"]
    state = tmp_path / "state"
    done = subprocess.run(
        [
            *(
                str(IRONROOT),
                "agent",
                "enrol",
                "--server",
                platform.url(1, ""),
                "--device",
                "gateway-9",
                "--claim",
                "-",
            ),
            *("--fingerprint", root["fingerprint"], "--state", str(state), "--json"),
        ],
        input=claim,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["device"] == "gateway-9"
    return state


@pytest.fixture
def running(platform: Platform, enrolled: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [str(IRONROOT), "agent", "run", "--state", str(enrolled)], stderr=subprocess.DEVNULL
    ) as agent:
        eventually(lambda: platform.show("gateway-9")["connected"], "the agent is connected")
        yield agent
        agent.terminate()


@pytest.mark.usefixtures("running")
def test_agent_connects_reports_obeys_and_renews(platform: Platform) -> None:
    shown = eventually(lambda: (d := platform.show("gateway-9"))["telemetry"] and d, "telemetry of the host", 20)
    assert shown["trust"]["state"] == "trusted"
    serial = shown["certificate"]["serial"]
    command = platform.cli("device", "command", "gateway-9", "renew")
    eventually(lambda: platform.facts(kind="command.done", subject="device/gateway-9"), "the answer", 20)
    eventually(lambda: platform.show("gateway-9")["certificate"]["serial"] != serial, "a new certificate", 20)
    assert command["id"] in str(platform.facts(kind="command.done", subject="device/gateway-9"))
    platform.cli("device", "config", "gateway-9", '{"telemetry_interval_s": 5}')
    eventually(lambda: platform.facts(kind="config.applied", subject="device/gateway-9"), "configuration applied", 20)


def test_device_authenticator_says_hello_and_is_refused_after_revocation(platform: Platform, enrolled: Path) -> None:
    certificate, key = next(enrolled.glob("*cert*.pem")), next(p for p in enrolled.glob("*key*.pem"))
    authenticator = DeviceAuthenticator(str(certificate), str(key))
    answer = authenticator.authenticate_to_server(platform.url(1, ""))
    assert answer["device"] == "gateway-9"
    assert answer["trust"]["state"] == "trusted"
    with authenticator.session() as session:
        assert session.get(platform.url(1, "/device/v1/status")).status == 200
        platform.cli("device", "revoke", "gateway-9", "--reason", "privilegeWithdrawn")
        assert session.get(platform.url(1, "/device/v1/status")).status == 403  # the same connection, kept alive
    with pytest.raises(Refused):
        authenticator.authenticate_to_server(platform.url(1, ""))


def test_secure_storage(tmp_path: Path) -> None:
    storage = SecureStorage(os.urandom(32), path=tmp_path / "config")
    storage.store_config(b"wifi=secret")
    assert storage.load_config() == b"wifi=secret"
    assert b"secret" not in (tmp_path / "config").read_bytes()
