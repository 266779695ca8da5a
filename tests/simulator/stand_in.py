"""What a fleet needs of a platform, made small: EST, claims over a Unix socket, and real brokers."""

from __future__ import annotations

import json
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.agent.broker import eventually, free_port
from tests.agent.est_server import EstServer
from tests.agent.pki import Pki


class HostSocket:
    """`POST /api/v1/claims` as the platform answers it; what it refuses is in `refused`."""

    def __init__(self, est: EstServer) -> None:
        self.asked: list[dict[str, str]] = []
        self.refused: set[str] = set()
        self._directory = Path(tempfile.mkdtemp(prefix="irs"))  # a Unix socket's path holds 107 bytes
        self.path = self._directory / "host.sock"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/api/v1/claims"
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append(body)
                ok = body["device"] not in outer.refused
                est.claims[body["device"]] = f"claim-{len(outer.asked)}"
                answer = json.dumps({"id": "c", "claim": est.claims[body["device"]]} if ok else {}).encode()
                self.send_response(200 if ok else 409)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def address_string(self) -> str:
                return "host"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
                pass

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            request_queue_size = 64

        self._server = Server(str(self.path), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        shutil.rmtree(self._directory)


class Nats:
    """nats-server with its MQTT door, mutual TLS, no callout."""

    def __init__(self, directory: Path, pki: Pki) -> None:
        binary = Path(sys.executable).with_name("nats-server")
        if not binary.exists():
            pytest.skip("nats-server is not installed")
        self.port = free_port()
        config = directory / "nats.conf"
        config.write_text(
            f'server_name: n1\nlisten: 127.0.0.1:{free_port()}\njetstream {{ store_dir: "{directory}/js" }}\n'
            f'mqtt {{ listen: 127.0.0.1:{self.port}\n  tls {{ cert_file: "{pki.server_certificate_path}",'
            f' key_file: "{pki.server_key_path}", ca_file: "{pki.bundle_path}", verify: true, min_version: "1.3",'
            " timeout: 5 } }\n"
        )
        self.log = directory / "nats.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen([str(binary), "-c", str(config)], stdout=log, stderr=log)
        eventually(lambda: b"Server is ready" in self.log.read_bytes(), "nats-server is ready")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
