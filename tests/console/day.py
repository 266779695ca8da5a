"""A day in the life of a platform, lived before it is started: for pictures, which need a past to show.

The platform's own services on a clock that is moved, so facts, certificates and chain are real; the simulator's world
for three hours of telemetry. The devices' identities are left where `ironroot up --demo` looks for them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from ironroot.agent.state import Settings, State
from ironroot.app import config
from ironroot.app.clock import SystemClock
from ironroot.app.datadir import DataDir, hold, prepare
from ironroot.app.offline import NoDownlink
from ironroot.app.platform import core as core_module
from ironroot.app.platform.application import applications
from ironroot.app.platform.core import Core, open_core
from ironroot.app.platform.health import Stopped
from ironroot.core.ids import DeviceId
from ironroot.core.secret import Secret
from ironroot.domains.messaging.fold import Fold, Rollup
from ironroot.domains.messaging.recorder import Recorder
from ironroot.simulator.devices import fleet_ids
from ironroot.simulator.world import Churn, World
from ironroot.wire.topics import parse_up
from tests.support.clock import ManualClock

LENGTH = timedelta(hours=22)
MEASURED = timedelta(hours=3)
GROUPS = {"hall-1": 7, "hall-2": 12, "roof": 17, "gate": 25}
"""Each group up to which device of the fleet."""


async def live(root: Path, base: int, fleet: int) -> None:
    """Make the data directory of a platform with `base` that has run with a fleet for a day, until now."""
    now = SystemClock().now()
    clock = ManualClock(now - LENGTH)
    settings = config.load(root)
    settings = replace(settings, listen=replace(settings.listen, port_base=base))
    data = prepare(root)
    with hold(data), pytest.MonkeyPatch.context() as patch:
        patch.setattr(core_module, "SystemClock", lambda: clock)
        async with open_core(data, settings, NoDownlink()) as core:
            transport = httpx.ASGITransport(applications(core, Stopped(), host="ops").host)
            async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
                await _Day(core, clock, data, client, base).pass_by(fleet)
            await core.log.settle()
            await _measure(core, fleet)


class _Day:
    def __init__(self, core: Core, clock: ManualClock, data: DataDir, client: httpx.AsyncClient, base: int) -> None:
        self._core = core
        self._clock = clock
        self._data = data
        self._client = client
        self._server = f"https://localhost:{base + 1}"
        self._begun = clock.now()

    async def pass_by(self, fleet: int) -> None:
        """What happens, hour by hour."""
        names = list(fleet_ids(fleet))
        await self._do("POST", "/users/link", {"name": "night-shift", "role": "operator"})
        for group in GROUPS:
            await self._do("POST", "/groups", {"name": group})
        for i, (device, kind) in enumerate(names):
            await self._at(i * 0.62)
            claim = await self._claim(device, kind.value)
            if i == 14:  # somebody tries the claim of another device
                await self._refused(names[i - 1][0], claim)
            await self._enrol(device, claim)
            group = next(name for name, until in GROUPS.items() if i < until)
            await self._do("PUT", f"/groups/{group}/devices/{device}", None)
            if i in {8, 14, 19}:
                await self._do("POST", f"/devices/{names[i - 4][0]}/quarantine", {"reason": "new address at night"})
            if i in {9, 16, 20}:
                was = names[{9: 4, 16: 10, 20: 15}[i]][0]
                await self._do("POST", f"/devices/{was}/release", {"reason": "moved by the technicians"})
        await self._at(16.2)
        for lost in ("meter-90", "camera-90"):
            await self._enrol(DeviceId(lost), await self._claim(DeviceId(lost), lost.partition("-")[0]))
        await self._do("PUT", "/devices/robot-02/config", {"config": {"interval_s": 5}})
        await self._at(17.6)
        await self._do("POST", "/apikeys", {"name": "nightly-export", "role": "operator", "expires": "90d"})
        stolen = {"reason": "keyCompromise", "comment": "the meter was taken from its cabinet"}
        await self._do("POST", "/devices/meter-90/revoke", stolen)
        await self._at(18.9)
        await self._do("POST", "/devices/camera-90/quarantine", {"reason": "streams to an address nobody knows"})
        for spare in ("gateway-90", "meter-91"):
            await self._claim(DeviceId(spare), spare.partition("-")[0])
        await self._at(20.4)
        await self._do("POST", "/devices/robot-02/quarantine", {"reason": "joint 3 moved outside its shift"})
        await self._at(21.1)
        await self._do("POST", "/devices/robot-02/release", {"reason": "maintenance, confirmed by phone"})
        await self._refused(DeviceId("meter-91"), await self._claim(DeviceId("gateway-91"), "gateway"))

    async def _at(self, hours: float) -> None:
        await self._core.log.settle()
        self._clock.advance(max(timedelta(), self._begun + timedelta(hours=hours) - self._clock.now()))

    async def _do(self, method: str, path: str, body: Any) -> Any:
        self._clock.advance(timedelta(seconds=41))
        answer = await self._client.request(method, f"/api/v1{path}", json=body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()

    async def _claim(self, device: DeviceId, kind: str) -> Secret:
        made = await self._do("POST", "/claims", {"device": device, "type": kind})
        return Secret(made["claim"].encode())

    async def _refused(self, device: DeviceId, claim: Secret) -> None:
        state = State(self._data.root / "stranger", durable=False)
        state.create()
        with pytest.raises(Exception, match="claim"):
            await self._core.authority.enrol(device, claim.reveal().decode(), _request(state, device), "192.0.2.77")

    async def _enrol(self, device: DeviceId, claim: Secret) -> None:
        """As the device does it, but for the door."""
        self._clock.advance(timedelta(seconds=97))
        authority = self._core.authority
        state = State(self._data.demo / device, durable=False)
        state.create()
        made = await authority.enrol(device, claim.reveal().decode(), _request(state, device), "192.0.2.18")
        chain = [c for c in authority.bundle() if c.subject != c.issuer]
        state.save_authorities(x509.load_pem_x509_certificates(authority.roots_pem()), chain)
        state.save_settings(Settings(device, self._server))
        state.adopt(x509.load_der_x509_certificate(made))


def _request(state: State, device: DeviceId) -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, device)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(state.keys.prepare(), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


async def _measure(core: Core, fleet: int) -> None:
    """What the fleet said in the last hours, in the tables where the intake would have put it."""
    world = World(1, fleet, start=SystemClock().now() - MEASURED, churn=Churn(online_s=3600, offline_s=240))
    folded, names = Fold(), dict[str, set[str]]()
    for topic, payload in world.step(MEASURED + timedelta(seconds=8)):  # until the fleet is connected again
        up = parse_up(topic)
        folded.add(up.device, up, payload, world.clock.now(), names.setdefault(up.device, set()))
    _go_on_counting(folded)
    await Recorder(core.telemetry_store).flush(folded, None)


def _go_on_counting(folded: Fold) -> None:
    """Let counters end where those of the fleet that is started now begin: at the first values of the world's."""
    series: dict[tuple[DeviceId, str], list[Rollup]] = {}
    for (device, name, _), rollup in sorted(folded.rollups.items()):
        series.setdefault((device, name), []).append(rollup)
    for course in series.values():
        if all(one.last <= following.min for one, following in pairwise(course)):
            rise = course[-1].last - course[0].min
            for one in course:
                one.min, one.max, one.last = one.min - rise, one.max - rise, one.last - rise
                one.sum -= rise * one.count
