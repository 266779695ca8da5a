"""The route table: no route without a permission or a stated reason, and each role replayed against every route."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from ironroot.app import config
from ironroot.app.api.console import PREFIX
from ironroot.app.datadir import prepare
from ironroot.app.offline import NoDownlink
from ironroot.app.platform.application import Applications, applications
from ironroot.app.platform.core import Core, open_core
from ironroot.app.platform.health import Stopped
from ironroot.core.clock import duration
from ironroot.core.ids import DeviceId
from ironroot.domains.access.model import ROLES, Role
from ironroot.edge.authorize import Principal
from ironroot.edge.permissions import Permission

HOST = Principal("host", "root", "root on this host", "host", frozenset(Permission))
NEEDS_ONLY_SOMEBODY = {
    ("DELETE", "/api/v1/session"): "ends one's own session",
    ("GET", "/api/v1/me"): "says who one is",
    ("GET", "/api/v1/ca/roots.pem"): "roots are public",
}
NEEDS_NOBODY = {("POST", "/api/v1/session/link"): "a one-time link is what signs in"}
STREAMS = {"/api/v1/stream"}


@dataclass
class World:
    core: Core
    served: Applications

    def client(self, **headers: str) -> httpx.AsyncClient:
        """At the console's door, as Envoy hands requests over."""
        transport = httpx.ASGITransport(app=self.served.doors, raise_app_exceptions=False)
        return httpx.AsyncClient(
            transport=transport, base_url="https://localhost", headers={"x-ironroot-door": "console"} | headers
        )

    async def key(self, role: Role) -> str:
        made = await self.core.access.create_api_key("test", role, duration("1d"), HOST)
        return made.key.reveal().decode()


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    root = tmp_path_factory.mktemp("routes") / "data"
    data = prepare(root)
    async with open_core(data, config.load(root), NoDownlink()) as core:
        await core.inventory.register(DeviceId("meter-1"), "host/root")
        yield World(core, applications(core, Stopped(), "root"))


def routes(world: World) -> list[tuple[str, str, Any]]:
    """(method, path, endpoint) of the whole API."""
    found = [
        (method, f"{PREFIX}{route.path}", route.endpoint)
        for router in world.served.routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    ]
    assert len(found) > 30
    return found


async def test_every_route_has_a_permission_or_a_stated_reason(world: World) -> None:
    for method, path, endpoint in routes(world):
        asks = getattr(endpoint, "required_permission", None)
        somebody = getattr(endpoint, "requires_authentication", False)
        if (method, path) in NEEDS_NOBODY:
            assert not somebody
            continue
        assert somebody, f"{method} {path} asks nobody who they are"
        assert asks is not None or (method, path) in NEEDS_ONLY_SOMEBODY, f"{method} {path} needs no permission"


async def test_nobody_gets_nothing(world: World) -> None:
    async with world.client() as client:
        for method, path, _ in routes(world):
            if (method, path) not in NEEDS_NOBODY:
                answer = await client.request(method, fill(path), json={})
                assert answer.status_code in {401, 422}, f"{method} {path}: {answer.status_code}"
                if method in {"GET", "DELETE"}:
                    assert answer.status_code == 401, f"{method} {path}"


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_against_every_route(world: World, role: Role) -> None:
    async with world.client(authorization=f"Bearer {await world.key(role)}") as client:
        for method, path, endpoint in routes(world):
            wanted = getattr(endpoint, "required_permission", None)
            if wanted is None or path in STREAMS or (method == "GET" and wanted in ROLES[role] and "export" in path):
                continue
            body = BODIES.get((method, path), {})
            answer = await client.request(method, fill(path), json=body if method in {"POST", "PUT"} else None)
            if wanted in ROLES[role]:
                assert answer.status_code not in {401, 403}, f"{role} {method} {path}: {answer.text}"
            else:
                assert answer.status_code == 403, f"{role} {method} {path}: {answer.status_code} {answer.text}"


def fill(path: str) -> str:
    """A path with values for its parameters."""
    values = {
        "device": "meter-1",
        "name": "plant-a",
        "serial": "1f",
        "session": "ses_x",
        "user": "usr_x",
        "key": "apk_x",
    }
    return re.sub(r"{(\w+)}", lambda m: values[m[1]], path)


DEVICE = "/api/v1/devices/{device}"
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/devices"): {"id": "meter-1"},
    ("PUT", f"{DEVICE}/config"): {"config": {}},
    ("POST", f"{DEVICE}/commands"): {"name": "identify"},
    ("POST", f"{DEVICE}/quarantine"): {"reason": "test"},
    ("POST", f"{DEVICE}/release"): {"reason": "test"},
    ("POST", f"{DEVICE}/revoke"): {"reason": "unspecified"},
    ("POST", f"{DEVICE}/retire"): {"reason": "test"},
    ("POST", "/api/v1/groups"): {"name": "plant-a"},
    ("POST", "/api/v1/claims"): {"device": "meter-2"},
    ("POST", "/api/v1/certificates/{serial}/revoke"): {"reason": "unspecified"},
    ("POST", "/api/v1/apikeys"): {"name": "x", "role": "read-only", "expires": "1d"},
    ("POST", "/api/v1/users/link"): {"name": "somebody", "role": "read-only"},
}


async def test_a_request_that_came_through_no_door_is_refused(world: World) -> None:
    transport = httpx.ASGITransport(app=world.served.doors)
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
        assert (await client.get("/api/v1/me")).status_code == 403
        both = httpx.Headers([("x-ironroot-door", "console"), ("x-ironroot-door", "devices")])
        assert (await client.get("/healthz", headers=both)).status_code == 403


async def test_errors_are_problem_documents_that_say_what_to_do(world: World) -> None:
    async with world.client(authorization=f"Bearer {await world.key(Role.ADMINISTRATOR)}") as client:
        for method, path, body, status in (
            ("GET", "/api/v1/devices/nobody", None, 404),
            ("GET", "/api/v1/devices/NO", None, 400),
            ("GET", "/api/v1/devices?limit=0", None, 422),
            ("GET", "/api/v1/devices?cursor=***", None, 400),
            ("POST", "/api/v1/devices", {"id": "x", "admin": True}, 422),
            ("POST", "/api/v1/claims", {"device": "x", "expires": "soon"}, 400),
            ("GET", "/api/v1/nothing", None, 404),
        ):
            answer = await client.request(method, path, json=body)
            assert answer.status_code == status, (path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
            assert answer.json()["detail"]


async def test_console_answers_carry_the_strict_policy(world: World) -> None:
    async with world.client() as client:
        for path in ("/", "/devices/meter-1", "/api/v1/me", "/healthz"):
            policy = (await client.get(path)).headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "require-trusted-types-for 'script'" in policy


async def test_the_document_describes_every_route(world: World) -> None:
    async with world.client() as client:
        document = (await client.get("/api/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for method, path, _ in routes(world):
        assert method.lower() in document["paths"][path], path
