"""A device's page: what inventory, trust, pki and messaging each know, put together, and the acts upon it.

`DeviceAPI` is the act side for programs in this process; the routes below call it and show what it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ironroot.core.clock import Clock, duration, rfc3339
from ironroot.core.ids import DeviceId, FactId, device_id
from ironroot.domains.inventory.model import Device, Filter
from ironroot.domains.inventory.service import Inventory
from ironroot.edge.authorize import current_principal, require_permission, requires_auth
from ironroot.edge.paging import Cursor, Limit, decode_cursor, page
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Fact
from ironroot.trust.model import TrustDecision, TrustState
from ironroot.trust.service import Trust
from ironroot.trust.tables import devices_in

DeviceParameter = Annotated[str, Path(max_length=63, description="device id")]
Closed = ConfigDict(extra="forbid")


class Certificates(Protocol):
    """What the page shows of pki, and its act."""

    async def current(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, Mapping[str, Any]]:
        """The newest certificate of each device that has one, as the API shows it."""
        ...

    async def revoke_device(self, device: DeviceId, reason: str, actor: str, comment: str) -> list[str]:
        """Revoke all of a device's certificates; their serials."""
        ...


class Messages(Protocol):
    """What the page shows of messaging, and its act."""

    async def seen(self, devices: Sequence[DeviceId]) -> Mapping[DeviceId, Mapping[str, Any]]:
        """`last_seen` and `rates` of each device that was."""
        ...

    async def telemetry(self, device: DeviceId) -> Mapping[str, Any]:
        """The latest values by name."""
        ...

    async def config(self, device: DeviceId) -> Mapping[str, Any] | None:
        """The desired configuration and how far it is applied."""
        ...

    async def desire(self, device: DeviceId, config: Mapping[str, Any], actor: str) -> Mapping[str, Any]:
        """Want a configuration."""
        ...


class Connections(Protocol):
    """Who is connected now."""

    def connection(self, device: DeviceId) -> Mapping[str, Any] | None:
        """The device's live connection."""
        ...

    def connected(self) -> frozenset[DeviceId]:
        """All that are."""
        ...


class NewDevice(BaseModel):
    """A device to register."""

    model_config = Closed
    id: str = Field(max_length=63)
    type: str = Field("device", max_length=63)
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)
    groups: list[str] = Field(default_factory=list, max_length=32)


class WantedQuarantine(BaseModel):
    """Why, and until when at the latest."""

    model_config = Closed
    reason: str = Field(min_length=1, max_length=500)
    expires: str | None = Field(None, max_length=12, examples=["12h"])


class WithReason(BaseModel):
    """Why."""

    model_config = Closed
    reason: str = Field(min_length=1, max_length=500)


class WantedRevocation(BaseModel):
    """An RFC 5280 reason, and words."""

    model_config = Closed
    reason: str = Field("unspecified", max_length=32, examples=["keyCompromise"])
    comment: str = Field("", max_length=500)


class DeviceAPI:
    """A device's status and its configuration, each behind its permission (the brief's class)."""

    def __init__(
        self,
        inventory: Inventory,
        trust: Trust,
        certificates: Certificates,
        messages: Messages,
        connections: Connections,
        log: EventLog,
    ) -> None:
        self.inventory = inventory
        self.trust = trust
        self.certificates = certificates
        self.messages = messages
        self.connections = connections
        self.log = log

    @requires_auth
    @require_permission("device.read")
    async def get_device_status(self, device_id: str) -> dict[str, Any]:
        """All that is known of one device. Raises NotFound."""
        return await self.describe(DeviceId(device_id))

    @requires_auth
    @require_permission("device.write")
    async def update_device_config(self, device_id: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Want a configuration; it is sent until the device has applied it. Raises NotFound."""
        device = (await self.inventory.device(DeviceId(device_id))).id
        return await self.messages.desire(device, config, current_principal().actor)

    async def describe(self, device: DeviceId) -> dict[str, Any]:
        """The device's page."""
        known = await self.inventory.device(device)
        decision = await self.trust.decision(device)
        seqs = await self.log.places([r.fact for r in decision.reasons if r.fact is not None])
        summary = await self.summaries([known])
        return summary[0] | {
            "labels": dict(known.labels),
            "trust": show_trust(decision, seqs),
            "connection": self.connections.connection(device),
            "telemetry": await self.messages.telemetry(device),
            "config": await self.messages.config(device),
        }

    async def summaries(self, devices: Sequence[Device]) -> list[dict[str, Any]]:
        """A row of the fleet's table for each device."""
        ids = [d.id for d in devices]
        decisions = await self.trust.decisions(ids)
        certificates = await self.certificates.current(ids)
        seen = await self.messages.seen(ids)
        return [
            {
                "id": d.id,
                "type": d.type,
                "groups": list(d.groups),
                "lifecycle": d.lifecycle,
                "created_at": rfc3339(d.created_at),
                "trust": {"state": decisions[d.id].state, "since": rfc3339(decisions[d.id].since)},
                "connected": self.connections.connection(d.id) is not None,
                "last_seen": seen.get(d.id, {}).get("last_seen"),
                "rates": seen.get(d.id, {}).get("rates", {"messages_per_minute": 0, "bytes_per_minute": 0}),
                "certificate": certificates.get(d.id),
            }
            for d in devices
        ]


def show_trust(decision: TrustDecision, seqs: Mapping[FactId, int]) -> dict[str, Any]:
    """A decision as the API shows it, its facts by their numbers."""
    return {
        "state": decision.state,
        "since": rfc3339(decision.since),
        "review_at": rfc3339(decision.review_at) if decision.review_at else None,
        "capabilities": sorted(decision.capabilities),
        "reasons": [
            {"code": r.code, "text": r.text, "fact": seqs.get(r.fact) if r.fact else None} for r in decision.reasons
        ],
    }


def show_fact(fact: Fact) -> dict[str, Any]:
    """A fact as the API shows it."""
    return fact.record() | {"hash": fact.hash.hex()}


def api_router(api: DeviceAPI, clock: Clock) -> APIRouter:
    """`/devices` and the acts upon one."""
    router = APIRouter(tags=["devices"])
    trust = api.trust

    @router.get("/devices")
    @requires_auth
    @require_permission("device.read")
    async def list_devices(
        q: Annotated[str, Query(max_length=63, description="part of the id")] = "",
        type_: Annotated[str, Query(alias="type", max_length=63)] = "",
        group: Annotated[str, Query(max_length=63)] = "",
        state: Annotated[TrustState | None, Query(alias="trust")] = None,
        connected: bool | None = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> dict[str, Any]:
        """The fleet, by id."""
        live = api.connections.connected() if connected is not None else frozenset()
        wanted = Filter(
            q=q,
            type=type_,
            group=group,
            only=live if connected is True else None,
            without=live if connected is False else frozenset(),
        )
        within = devices_in(state) if state is not None else None
        found = await api.inventory.devices(wanted, decode_cursor(cursor), limit + 1, within)
        shown = await api.summaries(found)
        return page(shown, limit, lambda d: str(d["id"]), lambda d: d)

    @router.post("/devices", status_code=201)
    @requires_auth
    @require_permission("device.write")
    async def register(body: NewDevice) -> dict[str, Any]:
        """Make a device known."""
        device = await api.inventory.register(
            device_id(body.id),
            current_principal().actor,
            type_=body.type,
            given_labels=body.labels,
            groups=tuple(body.groups),
        )
        return await api.describe(device.id)

    @router.get("/devices/{device}")
    @requires_auth
    @require_permission("device.read")
    async def show(device: DeviceParameter) -> dict[str, Any]:
        """One device, with the reasons for its trust."""
        return await api.get_device_status(device_id(device))

    @router.get("/devices/{device}/facts")
    @requires_auth
    @require_permission("device.read")
    async def facts(device: DeviceParameter, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
        """The device's timeline, newest first."""
        before = decode_cursor(cursor)
        found = await api.log.read(
            subject=f"device/{device_id(device)}",
            before=int(before) if before and before.isdigit() else None,
            limit=limit + 1,
            newest_first=True,
        )
        return page(found, limit, lambda f: str(f.seq), show_fact)

    @router.post("/devices/{device}/quarantine")
    @requires_auth
    @require_permission("device.contain")
    async def quarantine(device: DeviceParameter, body: WantedQuarantine) -> dict[str, Any]:
        """Close every door but the device's own status."""
        expires_at: datetime | None = clock.now() + duration(body.expires) if body.expires else None
        await trust.quarantine(device_id(device), body.reason, current_principal().actor, expires_at)
        return await api.describe(device_id(device))

    @router.post("/devices/{device}/release")
    @requires_auth
    @require_permission("device.contain")
    async def release(device: DeviceParameter, body: WithReason) -> dict[str, Any]:
        """End the quarantine."""
        await trust.release(device_id(device), body.reason, current_principal().actor)
        return await api.describe(device_id(device))

    @router.post("/devices/{device}/revoke")
    @requires_auth
    @require_permission("certificate.revoke")
    async def revoke(device: DeviceParameter, body: WantedRevocation) -> dict[str, Any]:
        """Revoke every certificate of the device: it is cut off at once."""
        known = await api.inventory.device(device_id(device))
        actor = current_principal().actor
        await api.certificates.revoke_device(known.id, body.reason, actor, body.comment)
        return await api.describe(known.id)

    @router.post("/devices/{device}/retire")
    @requires_auth
    @require_permission("device.write")
    async def retire(device: DeviceParameter, body: WithReason) -> dict[str, Any]:
        """End the device's life, for good: its certificates are revoked with it."""
        known = await api.inventory.device(device_id(device))
        actor = current_principal().actor
        await api.inventory.retire(known.id, body.reason, actor)
        await api.certificates.revoke_device(known.id, "cessationOfOperation", actor, body.reason)
        return await api.describe(known.id)

    return router
