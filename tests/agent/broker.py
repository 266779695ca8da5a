"""A real mosquitto with client certificates, and a listener beside the agent that hears what it publishes."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ironroot.agent.tls import client_context
from tests.agent.pki import Pki


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
    return port


def eventually(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """The condition's first true value. Real sockets have real time; nothing sleeps longer than it must."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    pytest.fail(f"not within {seconds} s: {what}")


class Broker:
    """mosquitto on loopback, TLS 1.3, client certificate required, own topics only."""

    def __init__(self, directory: Path, pki: Pki) -> None:
        found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if found is None:
            pytest.skip("mosquitto is not installed")
        self._binary = found
        self._directory = directory
        self._pki = pki
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        acl = directory / "acl"
        acl.write_text("user platform\ntopic readwrite d/#\n\npattern write d/%u/up/#\npattern read d/%u/down/#\n")
        self._config = directory / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\ncafile {pki.bundle_path}\ncertfile {pki.server_certificate_path}\n"
            f"keyfile {pki.server_key_path}\nrequire_certificate true\nuse_identity_as_username true\n"
            f"tls_version tlsv1.3\nallow_anonymous false\nacl_file {acl}\nuser root\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {directory}/\n"
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._binary, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, "mosquitto listens")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()  # it writes its sessions down, so what it acknowledged is its own affair
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", self.port)) == 0


class Platform:
    """Hears everything below `d/` and can send orders."""

    def __init__(self, broker: Broker, pki: Pki, directory: Path) -> None:
        certificate, key = pki.identity(directory, "platform")
        self.heard: list[tuple[str, bytes]] = []
        self._ready = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "platform", clean_session=False, protocol=mqtt.MQTTv311)
        self._client.tls_set_context(client_context(pki.roots_path, certificate, key))
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda c, *_: c.subscribe("d/+/up/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _u, m: self.heard.append((m.topic, bytes(m.payload)))
        self._client.connect("localhost", broker.port)
        self._client.loop_start()
        assert self._ready.wait(10)

    def wait_ready(self) -> None:
        assert self._ready.wait(20)

    def expect_reconnect(self) -> None:
        self._ready.clear()

    def say(self, topic: str, payload: bytes) -> None:
        self._client.publish(topic, payload, qos=0)

    def on(self, ending: str) -> list[bytes]:
        return [payload for topic, payload in list(self.heard) if topic.endswith(ending)]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
