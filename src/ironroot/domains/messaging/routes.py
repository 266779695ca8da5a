"""The HTTP routes of what devices are told and what they report."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ironroot.core.clock import duration, instant, rfc3339
from ironroot.core.errors import Malformed, NotFound
from ironroot.core.ids import device_id
from ironroot.domains.messaging.model import Command, DesiredConfig, Point
from ironroot.domains.messaging.ports import Devices
from ironroot.domains.messaging.service import LIFETIME, Messaging
from ironroot.domains.messaging.telemetry import Telemetry
from ironroot.edge.authorize import current_principal, require_permission, requires_auth
from ironroot.edge.paging import Cursor, Limit, decode_cursor, page
from ironroot.wire.topics import TELEMETRY_NAME

DeviceParameter = Annotated[str, Path(max_length=63, description="device id")]
NameParameter = Annotated[str, Path(max_length=64, description="telemetry name")]
Minutes = Annotated[int, Query(ge=5, le=10_080, description="how far back")]


class ConfigBody(BaseModel):
    """A configuration to have."""

    model_config = ConfigDict(extra="forbid")
    config: dict[str, Any]


class CommandBody(BaseModel):
    """Something to do once."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=63)
    args: dict[str, Any] = Field(default_factory=dict)
    expires: str | None = Field(default=None, max_length=16, description="how long to try, such as 1h")


def show_config(config: DesiredConfig) -> dict[str, Any]:
    """A desired configuration as the API shows it."""
    return {
        "version": config.version,
        "config": dict(config.config),
        "applied_version": config.applied_version,
        "status": config.status,
        "detail": config.detail,
        "updated_at": rfc3339(config.updated_at),
    }


def show_command(command: Command) -> dict[str, Any]:
    """A command as the API shows it."""
    return {
        "id": command.id,
        "device": command.device,
        "name": command.name,
        "args": dict(command.args),
        "state": command.state,
        "created_at": rfc3339(command.created_at),
        "expires_at": rfc3339(command.expires_at),
        "ended_at": rfc3339(command.ended_at) if command.ended_at else None,
        "result": None if command.result is None else dict(command.result),
    }


def show_point(point: Point) -> dict[str, Any]:
    """A point of a chart as the API shows it."""
    mean = point.mean if math.isfinite(point.mean) else point.last
    return {
        "at": rfc3339(point.at),
        "count": point.count,
        "min": point.min,
        "max": point.max,
        "mean": mean,
        "last": point.last,
    }


def _key(command: Command) -> str:
    return f"{rfc3339(command.created_at)} {command.id}"


def _before(cursor: str | None) -> tuple[datetime, str] | None:
    key = decode_cursor(cursor)
    if key is None:
        return None
    at, space, id_ = key.partition(" ")
    if not space:
        raise Malformed("not a cursor", remedy="pass on `next` of the page before, unchanged")
    return instant(at), id_


def api_router(messaging: Messaging, telemetry: Telemetry, devices: Devices) -> APIRouter:
    """`/devices/{id}/config`, `/commands`, `/telemetry/{name}` and `/report`."""
    router = APIRouter(prefix="/devices/{device}", tags=["messaging"])

    @router.get("/config")
    @requires_auth
    @require_permission("device.read")
    async def get_config(device: DeviceParameter) -> dict[str, Any]:
        """The desired configuration."""
        id_ = device_id(device)
        await devices.device(id_)
        found = await messaging.config(id_)
        if found is None:
            raise NotFound(f"{device} has no desired configuration", remedy="set one", code="no-config")
        return show_config(found)

    @router.put("/config")
    @requires_auth
    @require_permission("device.write")
    async def put_config(device: DeviceParameter, body: ConfigBody) -> dict[str, Any]:
        """Set the desired configuration: a new version, said to the device until it answers."""
        return show_config(await messaging.set_config(device_id(device), body.config, current_principal().actor))

    @router.post("/commands", status_code=201)
    @requires_auth
    @require_permission("command.send")
    async def post_command(device: DeviceParameter, body: CommandBody) -> dict[str, Any]:
        """Tell the device to do something, until it answers or the time is over."""
        lifetime = LIFETIME if body.expires is None else duration(body.expires)
        actor = current_principal().actor
        return show_command(await messaging.send_command(device_id(device), body.name, body.args, actor, lifetime))

    @router.get("/commands")
    @requires_auth
    @require_permission("device.read")
    async def list_commands(device: DeviceParameter, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
        """Commands to the device, newest first."""
        found = await messaging.commands(device_id(device), _before(cursor), limit + 1)
        return page(found, limit, _key, show_command)

    @router.get("/telemetry/{name}")
    @requires_auth
    @require_permission("telemetry.read")
    async def get_points(device: DeviceParameter, name: NameParameter, minutes: Minutes = 180) -> dict[str, Any]:
        """A numeric telemetry name over time, a point per five minutes."""
        id_ = device_id(device)
        await devices.device(id_)
        if TELEMETRY_NAME.fullmatch(name) is None:
            raise Malformed("not a telemetry name", remedy="letters, digits, - and _")
        points = await telemetry.points(id_, name, telemetry.since(minutes))
        return {"name": name, "points": [show_point(p) for p in points]}

    @router.get("/report")
    @requires_auth
    @require_permission("telemetry.read")
    async def get_report(device: DeviceParameter) -> dict[str, Any]:
        """The newest report of the device."""
        id_ = device_id(device)
        await devices.device(id_)
        found = await telemetry.report(id_)
        if found is None:
            raise NotFound(f"{device} has not sent a report", remedy="wait for its next one", code="no-report")
        return {"at": rfc3339(found.at), "report": dict(found.body)}

    return router
