"""Sees to the identities of simulated devices: claims, EST enrolment, renewal, a few at a time, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ironroot.agent import est
from ironroot.agent.enrol import enrol, renew
from ironroot.agent.state import CertificateLife, State
from ironroot.core.clock import Clock
from ironroot.core.errors import IronrootError
from ironroot.core.ids import DeviceId
from ironroot.core.secret import Secret
from ironroot.simulator.devices import SimulatedDevice
from ironroot.simulator.host import request_claim

ENROLMENTS = 4
"""At a time: each is a handshake, two signatures and a commit on the platform."""

Claims = Callable[[DeviceId, str], Secret]
"""Where claims come from: a device's id and type in, its claim out. Called from worker threads."""


def host_claims(path: Path) -> Claims:
    """Claims from the platform on this host."""
    return lambda device, kind: request_claim(path, device, kind)


def uniform() -> float:
    """A random number in [0, 1)."""
    return secrets.randbelow(2**32) / 2**32


class Registrar:
    """Identities from one platform: its device door `server`, its roots in `ca`."""

    def __init__(self, server: str, ca: Path, claims: Claims, clock: Clock) -> None:
        self._server = server
        self._ca = ca
        self._roots = est.roots_from(ca)
        self._claims = claims
        self._clock = clock
        self._executor = ThreadPoolExecutor(ENROLMENTS, "enrol")

    async def enrol(self, state: State, device: SimulatedDevice) -> CertificateLife:
        """The certificate the device has, where it is valid and of this platform; else a new one.

        Raises Refused when the platform will not have the device, other IronrootErrors to try again.
        """
        return await self._off_the_loop(lambda: self._enrol(state, device))

    async def renew(self, state: State) -> CertificateLife:
        """A new certificate for a device that has one. Raises IronrootError."""
        return await self._off_the_loop(lambda: renew(state, self._clock))

    def close(self) -> None:
        """Wait for what is under way and let the threads go."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _enrol(self, state: State, device: SimulatedDevice) -> CertificateLife:
        with contextlib.suppress(IronrootError):  # a damaged identity is replaced
            state.recover()
            life = state.certificate()
            if life is not None and self._clock.now() < life.not_after and state.roots() == self._roots:
                return life
        return enrol(
            state,
            server=self._server,
            device=device.id,
            claim=self._claims(device.id, device.kind.value),
            clock=self._clock,
            ca=self._ca,
        )

    async def _off_the_loop(self, work: Callable[[], CertificateLife]) -> CertificateLife:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
