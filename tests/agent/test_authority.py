"""The two sides of enrolment meet: what the platform's own authority issues, the device accepts, and TLS too."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ironroot.agent.authenticator import DeviceAuthenticator
from ironroot.agent.clock import SystemClock
from ironroot.agent.enrol import enrol, renew
from ironroot.agent.state import State
from ironroot.core.errors import IronrootError, Unauthenticated
from ironroot.core.ids import Fingerprint
from ironroot.store.engine import Store
from tests.agent.est_server import Answer, EstServer, Request, certs_only, problem
from tests.agent.pki import Pki, now
from tests.domains.pki.world import METER, SOURCE, World, world
from tests.support.clock import ManualClock


class RealPki(Pki):
    """The files of the platform's own hierarchy in the shape the test server reads."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.roots_path = directory / "roots.pem"
        self.bundle_path = directory / "bundle.pem"
        self.server_certificate_path = directory / "server.crt"
        self.server_key_path = directory / "server.key"
        self.roots_path.write_bytes(world.pki.roots_pem())
        self.bundle_path.write_bytes(world.pki.device_bundle_pem())

    async def write_server(self) -> None:
        identity = await self.world.pki.server_certificate(["localhost", "127.0.0.1"])
        self.server_certificate_path.write_bytes(identity.chain_pem)
        self.server_key_path.write_bytes(identity.key_pem.reveal())


class AuthorityServer(EstServer):
    """EST by the real authority, without its HTTP rooms."""

    loop: asyncio.AbstractEventLoop
    fingerprint: Fingerprint = Fingerprint("")

    def answer(self, request: Request) -> Answer:
        assert isinstance(self.pki, RealPki)
        pki = self.pki.world.pki
        if request.path.endswith("/cacerts"):
            return certs_only(pki.bundle())
        if not request.path.endswith("enroll"):
            return super().answer(request)
        csr = base64.b64decode(request.body)
        if request.path.endswith("/simpleenroll"):
            given = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
            device, _, claim = given.partition(":")
            work = pki.enrol(device, claim, csr, SOURCE)
        else:
            work = pki.reenrol(self.fingerprint, csr, SOURCE)
        try:
            der = asyncio.run_coroutine_threadsafe(work, self.loop).result(20)
        except IronrootError as e:
            return problem(401 if isinstance(e, Unauthenticated) else 403, e.message, e.remedy)
        return certs_only([x509.load_der_x509_certificate(der)])


async def test_the_authoritys_certificates_are_accepted_shown_and_renewed(sqlite_store: Store, tmp_path: Path) -> None:
    place = await world(sqlite_store, ManualClock(now()))
    pki = RealPki(place, tmp_path)
    await pki.write_server()
    server = AuthorityServer(pki)
    server.loop = asyncio.get_running_loop()
    server.start()
    try:
        made = await place.claim(METER)
        state = State(tmp_path / "state")
        root = place.pki.bundle()[0]
        first = await asyncio.to_thread(
            enrol,
            state,
            server=server.url,
            device=METER,
            claim=made.claim,
            clock=SystemClock(),
            fingerprint=root.fingerprint(hashes.SHA256()).hex(),
        )
        hello = DeviceAuthenticator(state.certificate_path, state.keys.tls_path)
        assert (await asyncio.to_thread(hello.authenticate_to_server, server.url))["device"] == METER
        server.fingerprint = Fingerprint(first.fingerprint)
        place.clock.advance(timedelta(seconds=1))
        second = await asyncio.to_thread(renew, state, SystemClock())
        assert second.serial != first.serial
        with pytest.raises(Unauthenticated):
            await asyncio.to_thread(
                enrol, State(tmp_path / "other"), server=server.url, device=METER, claim=made.claim,
                clock=SystemClock(), ca=pki.roots_path,
            )  # fmt: skip
    finally:
        server.stop()
