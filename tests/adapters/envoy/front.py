"""A real Envoy in front of a tiny application that says what it saw."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from ironroot.adapters.envoy import binary, config
from ironroot.adapters.envoy.material import KeyPair, Material, check
from ironroot.adapters.envoy.publish import _write
from ironroot.adapters.envoy.settings import DoorSettings, Limits
from ironroot.core.secret import Secret
from tests.support import tls


class Echo(BaseHTTPRequestHandler):
    """Answers with the request as the application sees it."""

    protocol_version = "HTTP/1.1"
    stop = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/api/v1/stream"):
            self._stream()
            return
        if self.path.startswith("/slow"):
            self.stop.wait(float(self.path.partition("=")[2]))
        length = int(self.headers.get("content-length") or 0)
        read = len(self.rfile.read(length)) if length else self._chunked()
        body = json.dumps(
            {"headers": [[k.lower(), v] for k, v in self.headers.items()], "path": self.path, "read": read}
        )
        self.send_response_only(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")  # so that every request shows whether the socket answers
        self.end_headers()
        self.close_connection = True
        if self.command != "HEAD":
            self.wfile.write(body.encode())

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 (the base class's names)

    def _chunked(self) -> int:
        if self.headers.get("transfer-encoding") != "chunked":
            return 0
        total = 0
        while size := int(self.rfile.readline(), 16):
            total += len(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return total

    def _stream(self) -> None:
        self.send_response_only(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"id: {number}\ndata: x\n\n".encode())
            self.wfile.flush()
        self.stop.wait(3)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        pass

    def address_string(self) -> str:
        return "unix"


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def seen(self) -> dict[str, list[str]]:
        """The headers the application saw."""
        found: dict[str, list[str]] = {}
        for key, value in self.json["headers"]:
            found.setdefault(key, []).append(value)
        return found


class Front:
    """The door under test with its PKI."""

    def __init__(self, root: Path, limits: Limits) -> None:
        self.root = root
        self.ca = tls.authority("Test root")
        self.server_ca = tls.authority("Server CA", self.ca)
        self.device_ca = tls.authority("Device CA", self.ca)
        self.rogue = tls.authority("Device CA")
        self.console = tls.server("console", self.server_ca)
        self.devices = tls.server("devices", self.server_ca)
        ports = free_ports(3)
        self.settings = DoorSettings(
            runtime=root / "run",
            logs=root / "logs",
            console_port=ports[0],
            devices_port=ports[1],
            plain_port=ports[2],
            limits=limits,
            sampled_percent=0,
        )
        (root / "pki").mkdir()
        (root / "pki" / "root.pem").write_bytes(self.ca.pem)
        self.dev_1 = tls.client("dev-1", self.device_ca)
        self.expired = tls.client("expired", self.device_ca, not_after=tls.NOW - timedelta(hours=1))
        self.rogue_device = tls.client("dev-1", self.rogue)
        for name, issued in {
            "dev-1": self.dev_1,
            "dev-2": tls.client("dev-2", self.device_ca),
            "expired": self.expired,
            "rogue": self.rogue_device,
            "server": self.devices,
        }.items():
            issued.write(root / "pki", name)

    def material(self, **changes: Any) -> Material:
        values: dict[str, Any] = {
            "console": KeyPair(self.console.chain_pem, Secret(self.console.key_pem)),
            "devices": KeyPair(self.devices.chain_pem, Secret(self.devices.key_pem)),
            "device_bundle_pem": self.device_ca.pem + self.ca.pem,
        }
        return Material(**{**values, **changes})

    @contextmanager
    def running(self) -> Iterator[None]:
        config.write(self.settings)
        _write(self.settings.tls_directory, "v-first", check(self.material(), tls.NOW).material.files())
        server = _Server(str(self.settings.api_socket), Echo)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        log = (self.root / "envoy.log").open("wb")
        process = subprocess.Popen(binary.argv(binary.find(), self.settings.config_file), stdout=log, stderr=log)
        try:
            self._wait_until_live(process)
            yield
        finally:
            process.kill()
            process.wait()
            log.close()
            server.shutdown()
            thread.join()
            server.server_close()

    def _wait_until_live(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(500):
            try:
                if self.admin("/ready").strip() == "LIVE":
                    return
            except OSError:
                pass
            assert process.poll() is None, (self.root / "envoy.log").read_text()
            time.sleep(0.02)
        raise AssertionError((self.root / "envoy.log").read_text())

    def admin(self, path: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(3)
            connection.connect(str(self.settings.admin_socket))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            data = b""
            while more := connection.recv(65536):
                data += more
        return data.decode().partition("\r\n\r\n")[2].split("\r\n")[1]

    def port(self, door: str) -> int:
        port: int = getattr(self.settings, f"{door}_port")
        return port

    def curl(self, door: str, path: str, *options: str, cert: str | None = None) -> Answer:
        """One request with the stock client. Raises AssertionError with curl's words when there was no answer."""
        done = self.curl_raw(door, path, *options, cert=cert)
        assert done.returncode == 0, done.stderr.decode()
        # HTTP/1.1 interim answers come first: the last header block is the answer's.
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        while head.split(b" ", 2)[1] == b"100":
            head, _, body = body.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return Answer(int(lines[0].split()[1]), headers, body)

    def curl_raw(
        self, door: str, path: str, *options: str, cert: str | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        scheme = "http" if door == "plain" else "https"
        pki = self.root / "pki"
        identity = ["--cert", str(pki / f"{cert}.pem"), "--key", str(pki / f"{cert}.key")] if cert else []
        return subprocess.run(
            [
                "curl",
                "-sS",
                "-i",
                "--path-as-is",
                "--max-time",
                "20",
                "--cacert",
                str(pki / "root.pem"),
                *identity,
                *options,
                f"{scheme}://localhost:{self.port(door)}{path}",
            ],
            capture_output=True,
            check=False,
        )

    def context(self, cert: str | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.root / "pki" / "root.pem"))
        if cert:
            context.load_cert_chain(self.root / "pki" / f"{cert}.pem", self.root / "pki" / f"{cert}.key")
        return context

    def connect(self, door: str, cert: str | None = None) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port(door)), timeout=15)
        return self.context(cert).wrap_socket(raw, server_hostname="localhost")

    def shown(self, door: str) -> str:
        """The fingerprint of the certificate a door shows."""
        with self.connect(door) as connection:
            return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()

    def log(self, path: Path, wanted: str) -> dict[str, Any]:
        """The newest line with `wanted` in it; Envoy writes its logs in batches."""
        for _ in range(60):
            if path.exists():
                for line in reversed(path.read_text().splitlines()):
                    if wanted in line:
                        found: dict[str, Any] = json.loads(line)
                        return found
            time.sleep(0.1)
        raise AssertionError(f"{wanted!r} is not in {path}")


@contextmanager
def front(limits: Limits) -> Iterator[Front]:
    root = Path(tempfile.mkdtemp(prefix="ir-"))
    old = os.umask(0o077)
    try:
        door = Front(root, limits)
        with door.running():
            yield door
    finally:
        os.umask(old)
        shutil.rmtree(root, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def request(connection: ssl.SSLSocket, text: str) -> tuple[int, bytes]:
    """Send raw bytes over an open connection; status and everything received."""
    connection.sendall(text.encode())
    return response(connection)


def response(connection: ssl.SSLSocket) -> tuple[int, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            break
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line[15:]):
                body += connection.recv(65536)
    return int(data[9:12] or 0), head + b"\r\n\r\n" + body
