"""The device's steps to an identity: trust a root, make a key, exchange the claim, keep the certificate.

Each step leaves the state directory such that the same command can be given again; an identity that is in force stays
in force until the new certificate has been checked.
"""

from __future__ import annotations

from pathlib import Path

from ironroot.agent import est
from ironroot.agent.files import write_atomic
from ironroot.agent.http import Door, https_address
from ironroot.agent.state import CertificateLife, Settings, State, life
from ironroot.agent.tls import client_context
from ironroot.core.clock import Clock
from ironroot.core.ids import DeviceId
from ironroot.core.secret import Secret


def enrol(
    state: State,
    *,
    server: str,
    device: DeviceId,
    claim: Secret,
    clock: Clock,
    ca: Path | None = None,
    fingerprint: str | None = None,
) -> CertificateLife:
    """Enrol `device` and return its certificate's life. `ca` or `fingerprint` says whom to trust; without
    either the machine's own trust store must know the platform's root.

    Raises Untrusted when the server is not theirs, Unauthenticated for a bad claim.
    """
    address = https_address(server)
    if ca is not None:
        roots = est.roots_from(ca)
    elif fingerprint is not None:
        roots = [est.pinned_root(address, fingerprint, clock)]
    else:
        roots = est.system_roots(address, clock)
    state.create()
    staged = state.directory / "roots.new.pem"
    write_atomic(staged, b"".join(est.pem(root) for root in roots), durable=False)
    try:
        with Door(address, client_context(staged)) as door:
            trusted = est.authorities(roots, est.fetch_authorities(door, clock))
            certificate = est.Enrolment(door, device, trusted, clock).enrol(state.keys.prepare(), claim)
    finally:
        staged.unlink(missing_ok=True)
    state.save_authorities(trusted.roots, trusted.chain)
    previous = state.find_settings()
    state.save_settings(Settings(device, server, previous.mqtt if previous and previous.server == server else None))
    state.adopt(certificate)
    return life(certificate)


def renew(state: State, clock: Clock) -> CertificateLife:
    """Exchange the certificate for a new one with a new key, and return its life. The old one serves until then.

    Raises Unavailable, NotNow, TooMany (try again), Forbidden or Unauthenticated (revoked, or the platform's no).
    """
    settings = state.settings()
    context = client_context(state.roots_path, state.certificate_path, state.keys.tls_path)
    with Door(settings.door, context) as door:
        trusted = est.authorities(state.roots(), est.fetch_authorities(door, clock))
        certificate = est.Enrolment(door, settings.device, trusted, clock).reenrol(state.keys.prepare())
    state.save_authorities(trusted.roots, trusted.chain)
    state.adopt(certificate)
    return life(certificate)
