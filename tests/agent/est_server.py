"""A small EST server on the standard library, with the faults a test asks for."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from tests.agent.pki import Pki, issue

Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    client: str | None


@dataclass
class EstServer:
    """Signs what it is asked to, for claims it knows. `override` may answer instead."""

    pki: Pki
    claims: dict[str, str] = field(default_factory=dict)
    override: Callable[[Request], Answer | None] = lambda _request: None
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    lifetime: timedelta = timedelta(days=7)
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    host: str = "127.0.0.1"

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pki.server_certificate_path, self.pki.server_key_path)
        context.load_verify_locations(self.pki.bundle_path)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.maximum_version = self.maximum
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def setup(self) -> None:
                self.request.settimeout(10)
                self.request = context.wrap_socket(self.request, server_side=True)
                super().setup()

            def finish(self) -> None:
                super().finish()
                self.request.close()

            def answer(self) -> None:
                subject: Any = (self.request.getpeercert() or {}).get("subject", ())
                client = next((value for ((key, value),) in subject if key == "commonName"), None)
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {k.lower(): v for k, v in self.headers.items()}
                request = Request(self.command, self.path, headers, body, client)
                outer.requests.append(request)
                status, sent, content = outer.override(request) or outer.answer(request)
                self.send_response(status)
                for name, value in sent.items():
                    self.send_header(name, value)
                if "content-length" not in sent:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 (http.server's names)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                request.close()  # refused handshakes are what many tests are about

        self._server = Server((self.host, 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def answer(self, request: Request) -> Answer:
        if request.path == "/.well-known/est/cacerts":
            return certs_only([self.pki.root.certificate, self.pki.devices.certificate, self.pki.servers.certificate])
        if request.path == "/.well-known/est/simpleenroll":
            given = request.headers.get("authorization", "").removeprefix("Basic ")
            device, _, claim = base64.b64decode(given).decode().partition(":")
            if not claim or self.claims.pop(device, None) != claim:
                return problem(401, "the claim is not valid", "make a new one")
            return self.sign(request, device)
        if request.path == "/.well-known/est/simplereenroll":
            return self.sign(request, request.client) if request.client else problem(401, "no certificate")
        if request.path == "/device/v1/hello":
            if request.client is None:
                return problem(401, "no certificate")
            answer = {"device": request.client, "trust": "trusted", "server_time": "", "config_version": 0}
            return 200, {"content-type": "application/json"}, json.dumps(answer).encode()
        return problem(404, "no such thing")

    def sign(self, request: Request, cn: str) -> Answer:
        csr = x509.load_der_x509_csr(base64.b64decode(request.body))
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        return certs_only([issue(self.pki.devices, cn, public, lifetime=self.lifetime)])


def certs_only(certificates: list[x509.Certificate]) -> Answer:
    der = pkcs7.serialize_certificates(certificates, serialization.Encoding.DER)
    headers = {"content-type": "application/pkcs7-mime; smime-type=certs-only", "content-transfer-encoding": "base64"}
    return 200, headers, base64.encodebytes(der)


def problem(status: int, detail: str, remedy: str = "", **headers: str) -> Answer:
    body = {"type": "urn:ironroot:problem:x", "title": "no", "status": status, "detail": detail, "remedy": remedy}
    return status, {"content-type": "application/problem+json", **headers}, json.dumps(body).encode()
