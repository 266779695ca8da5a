"""The HTTP routes of groups and of a device's place among them; a device's page is composed in `app`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict

from ironroot.core.clock import rfc3339
from ironroot.core.ids import device_id, plain_name
from ironroot.domains.inventory.model import Device, Group
from ironroot.domains.inventory.service import Inventory
from ironroot.edge.authorize import current_principal, require_permission, requires_auth
from ironroot.edge.paging import Cursor, Limit, decode_cursor, page

DeviceParameter = Annotated[str, Path(max_length=63, description="device id")]
GroupParameter = Annotated[str, Path(max_length=63, description="group name")]


class NewGroup(BaseModel):
    """A group to make."""

    model_config = ConfigDict(extra="forbid")
    name: str


def show_group(group: Group) -> dict[str, Any]:
    """A group as the API shows it."""
    return {"name": group.name, "devices": group.devices, "created_at": rfc3339(group.created_at)}


def show_membership(device: Device) -> dict[str, Any]:
    """A device's groups as the API shows them."""
    return {"id": device.id, "groups": list(device.groups)}


def api_router(inventory: Inventory) -> APIRouter:
    """`/groups` and `/groups/{name}/devices/{id}`."""
    router = APIRouter(tags=["groups"])

    @router.get("/groups")
    @requires_auth
    @require_permission("device.read")
    async def list_groups(limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
        """Groups by name, with the number of devices in each."""
        found = await inventory.groups(decode_cursor(cursor), limit + 1)
        return page(found, limit, lambda g: g.name, show_group)

    @router.post("/groups", status_code=201)
    @requires_auth
    @require_permission("group.write")
    async def create_group(body: NewGroup) -> dict[str, Any]:
        """Make a group."""
        return show_group(await inventory.create_group(body.name))

    @router.put("/groups/{name}/devices/{device}")
    @requires_auth
    @require_permission("group.write")
    async def join(name: GroupParameter, device: DeviceParameter) -> dict[str, Any]:
        """Put a device into a group."""
        actor = current_principal().actor
        return show_membership(await inventory.join(device_id(device), plain_name(name, "group"), actor))

    @router.delete("/groups/{name}/devices/{device}")
    @requires_auth
    @require_permission("group.write")
    async def leave(name: GroupParameter, device: DeviceParameter) -> dict[str, Any]:
        """Take a device out of a group."""
        actor = current_principal().actor
        return show_membership(await inventory.leave(device_id(device), plain_name(name, "group"), actor))

    return router
