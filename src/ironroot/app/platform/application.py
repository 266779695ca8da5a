"""The applications behind the doors and behind the host's socket, from the core's services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import APIRouter
from starlette.types import ASGIApp

from ironroot.adapters.envoy.settings import DOOR_HEADER
from ironroot.app.api import devices as device_api
from ironroot.app.api import facts as facts_api
from ironroot.app.api import status as status_api
from ironroot.app.api import stream as stream_api
from ironroot.app.api.console import console_app
from ironroot.app.api.devices import DeviceAPI
from ironroot.app.api.dispatch import Doors
from ironroot.app.api.doors import devices_app, peer_fingerprint, plain_app
from ironroot.app.api.security import SecurityHeaders
from ironroot.app.api.status import Figures, Health, Status
from ironroot.app.api.stream import DeviceNews, Stream
from ironroot.app.platform.core import Core
from ironroot.app.platform.pages import DeviceCertificates, DeviceMessages
from ironroot.core.clock import rfc3339
from ironroot.core.ids import DeviceId
from ironroot.domains.access import routes as access_routes
from ironroot.domains.inventory import routes as inventory_routes
from ironroot.domains.messaging import routes as messaging_routes
from ironroot.domains.pki import routes as pki_routes
from ironroot.edge.authentication import Authentication
from ironroot.edge.authorize import Principal
from ironroot.edge.peer import address
from ironroot.edge.permissions import Permission

HISTORY_MINUTES = 60


class LiveHealth(Health, Protocol):
    """Health, and each device's connection."""

    def connection(self, device: DeviceId) -> Mapping[str, Any] | None:
        """The device's live connection."""
        ...


@dataclass(frozen=True, slots=True)
class Applications:
    """`doors` for the front door's socket, `host` for the host's own; `news` is where connections are told, `routers` the API's
    routes.
    """

    doors: ASGIApp
    host: ASGIApp
    news: DeviceNews
    status: Status
    device_api: DeviceAPI
    routers: Sequence[APIRouter]


def host_principal(name: str) -> Principal:
    """The administrator of this host: may do everything, and the record says who it was."""
    return Principal("host", name, f"{name} on this host", "host", frozenset(Permission))


def applications(core: Core, health: LiveHealth, host: str) -> Applications:
    """Put everything together; `host` is the system user behind the host's socket."""
    messages = DeviceMessages(core.messaging, core.telemetry)
    api = DeviceAPI(
        core.inventory, core.trust, DeviceCertificates(core.authority, core.clock), messages, health, core.log
    )
    status = Status(health, core.inventory, core.trust, core.log, core.activity, _figures(core), core.clock)
    news = DeviceNews()
    stream = Stream(core.log, news, lambda: _pulse(core, health), lambda who: _still_good(core, who))

    async def ready() -> bool:
        return bool((await status.status())["ready"])

    routers = [
        access_routes.api_router(core.access, lambda token: f"{core.config.console_url()}/sign-in#{token}"),
        device_api.api_router(api, core.clock),
        inventory_routes.api_router(core.inventory),
        messaging_routes.api_router(core.messaging, core.telemetry, core.inventory),
        pki_routes.api_router(core.authority, core.clock),
        facts_api.api_router(core.log),
        status_api.api_router(status),
        stream_api.api_router(stream),
    ]
    console = console_app(routers, ready)
    enrolment = pki_routes.est_routes(core.authority, peer=peer_fingerprint, source=lambda r: address(r.headers))
    doors = Doors(
        DOOR_HEADER,
        {
            "console": SecurityHeaders(Authentication(console, core.access)),
            "devices": devices_app(core.admission, messages, core.clock, enrolment),
            "plain": plain_app(pki_routes.plain_routes(core.authority)),
        },
    )
    return Applications(doors, Authentication(console, core.access, host_principal(host)), news, status, api, routers)


def _figures(core: Core) -> Figures:
    async def certificates() -> Mapping[str, int]:
        counts = await core.authority.counts()
        return {
            "valid": counts.valid,
            "expiring_7d": counts.expiring_7d,
            "expiring_30d": counts.expiring_30d,
            "revoked": counts.revoked,
        }

    async def messages() -> Mapping[str, Any]:
        history = await core.telemetry.per_minute(HISTORY_MINUTES)
        return {
            "per_second": round(await core.telemetry.per_second(), 1),
            "history": [{"at": rfc3339(at), "messages": count} for at, count, _ in history],
        }

    return Figures(certificates, messages)


async def _pulse(core: Core, health: Health) -> Mapping[str, Any]:
    return {
        "connected": len(health.connected()),
        "messages_per_second": round(await core.telemetry.per_second(), 1),
        "head": (await core.log.head()).seq,
    }


async def _still_good(core: Core, principal: Principal) -> bool:
    """Whether the credential behind a live page still is one."""
    if principal.kind == "user" and principal.session is not None:
        return await core.access.session_works(principal.session)
    if principal.kind == "apikey":
        return await core.access.api_key_works(principal.id)
    return True
