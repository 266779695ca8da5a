"""What the composed pages show of pki and messaging: small adapters from the domains' values to the API's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ironroot.core.clock import Clock, rfc3339
from ironroot.core.errors import Malformed
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.routes import show_config
from ironroot.domains.messaging.service import Messaging
from ironroot.domains.messaging.telemetry import Telemetry
from ironroot.domains.pki.model import Reason
from ironroot.domains.pki.routes import show_certificate
from ironroot.domains.pki.service import Authority


class DeviceCertificates:
    """An `api.devices.Certificates`."""

    def __init__(self, authority: Authority, clock: Clock) -> None:
        self._authority = authority
        self._clock = clock

    async def current(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, Mapping[str, Any]]:
        """The newest certificate of each device that has one."""
        found = await self._authority.newest(devices)
        now = self._clock.now()
        return {device: show_certificate(record, record.status(now)) for device, record in found.items()}

    async def revoke_device(self, device: DeviceId, reason: str, actor: str, comment: str) -> list[str]:
        """Revoke all of a device's certificates. Raises Malformed for a reason RFC 5280 does not know."""
        try:
            why = Reason(reason)
        except ValueError as e:
            raise Malformed(f"no reason {reason[:40]!r}", remedy=f"one of {', '.join(Reason)}") from e
        return await self._authority.revoke_device(device, why, actor, comment or None)


class DeviceMessages:
    """An `api.devices.Messages`."""

    def __init__(self, messaging: Messaging, telemetry: Telemetry) -> None:
        self._messaging = messaging
        self._telemetry = telemetry

    async def seen(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, Mapping[str, Any]]:
        """`last_seen` and `rates` of each device that was."""
        found = await self._telemetry.activity(devices)
        return {
            device: {
                "last_seen": rfc3339(activity.last_seen),
                "rates": {
                    "messages_per_minute": round(activity.messages_per_minute, 1),
                    "bytes_per_minute": round(activity.bytes_per_minute, 1),
                },
            }
            for device, activity in found.items()
        }

    async def telemetry(self, device: DeviceId) -> Mapping[str, Any]:
        """The latest values by name."""
        latest = await self._telemetry.latest(device)
        return {one.name: {"value": one.value, "at": rfc3339(one.at)} for one in latest}

    async def config(self, device: DeviceId) -> Mapping[str, Any] | None:
        """The desired configuration and how far it is applied."""
        found = await self._messaging.config(device)
        return None if found is None else show_config(found)

    async def desire(self, device: DeviceId, config: Mapping[str, Any], actor: str) -> Mapping[str, Any]:
        """Want a configuration."""
        return show_config(await self._messaging.set_config(device, config, actor))

    async def config_version(self, device: DeviceId) -> int:
        """The desired version, 0 for none."""
        found = await self._messaging.config(device)
        return 0 if found is None else found.version
