"""The API's shapes, and who may call it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import MetaData
from starlette.requests import Request
from starlette.responses import JSONResponse

from ironroot.core.errors import Forbidden, IronrootError, Unauthenticated
from ironroot.domains.messaging.fold import Fold
from ironroot.domains.messaging.recorder import Recorder
from ironroot.domains.messaging.routes import api_router
from ironroot.domains.messaging.telemetry import Telemetry
from ironroot.edge.authorize import Principal, acting_as
from ironroot.edge.permissions import Permission
from ironroot.edge.problems import status_of
from ironroot.store.engine import Store
from ironroot.store.tables import telemetry_metadata
from ironroot.wire.topics import Up, UpTopic
from tests.domains.messaging.world import METER, Register, World

EVERYTHING = Principal("host", "root", "root", "administrator", frozenset(Permission))
NOTHING = Principal("apikey", "k", "k", "none", frozenset())


@pytest.fixture
async def world(sqlite_store: Store) -> World:
    await _tables(sqlite_store, telemetry_metadata)
    return World(sqlite_store)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, IronrootError)
    return JSONResponse({"detail": error.message}, status_of(error))


async def _tables(store: Store, tables: MetaData) -> None:
    async with store.write() as tx:
        await tx.conn.run_sync(tables.create_all)


@pytest.fixture
async def api(world: World, sqlite_store: Store) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.add_exception_handler(IronrootError, _refused)
    telemetry = Telemetry(sqlite_store, world.clock)
    app.include_router(api_router(world.messaging, telemetry, Register([METER])), prefix="/api/v1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/api/v1") as client:
        yield client


async def test_configuration(api: httpx.AsyncClient) -> None:
    with acting_as(EVERYTHING):
        assert (await api.get("/devices/meter-1/config")).status_code == 404
        made = (await api.put("/devices/meter-1/config", json={"config": {"interval": 5}})).json()
        assert made == (await api.get("/devices/meter-1/config")).json()
        assert (made["version"], made["config"], made["status"]) == (1, {"interval": 5}, "pending")
        assert (await api.put("/devices/meter-1/config", json={"config": 3})).status_code == 422
        assert (await api.put("/devices/ghost/config", json={"config": {}})).status_code == 404


async def test_commands_page_by_page(api: httpx.AsyncClient) -> None:
    with acting_as(EVERYTHING):
        for name in ("one", "two", "three"):
            made = await api.post("/devices/meter-1/commands", json={"name": name, "expires": "5m"})
            assert made.status_code == 201
        first = (await api.get("/devices/meter-1/commands?limit=2")).json()
        rest = (await api.get(f"/devices/meter-1/commands?limit=2&cursor={first['next']}")).json()
        assert sorted(c["name"] for c in first["items"] + rest["items"]) == ["one", "three", "two"]
        assert rest["next"] is None
        assert (await api.get("/devices/meter-1/commands?cursor=AAAA")).status_code == 400
        assert (await api.post("/devices/meter-1/commands", json={"name": "x", "expires": "soon"})).status_code == 400


async def test_telemetry_and_report(api: httpx.AsyncClient, world: World, sqlite_store: Store) -> None:
    fold = Fold()
    for value in (b"1", b"3"):
        fold.add(METER, UpTopic(METER, Up.TELEMETRY, "power"), value, world.clock.now(), set())
    fold.add(METER, UpTopic(METER, Up.REPORT), b'{"metrics":{}}', world.clock.now(), set())
    await Recorder(sqlite_store).flush(fold, None)
    with acting_as(EVERYTHING):
        found = (await api.get("/devices/meter-1/telemetry/power")).json()
        assert found["name"] == "power"
        assert [(p["count"], p["min"], p["max"], p["mean"], p["last"]) for p in found["points"]] == [(2, 1, 3, 2, 3)]
        assert (await api.get("/devices/meter-1/report")).json()["report"] == {"metrics": {}}
        assert (await api.get("/devices/meter-1/telemetry/a.b")).status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "config"),
        ("PUT", "config"),
        ("GET", "commands"),
        ("POST", "commands"),
        ("GET", "telemetry/power"),
        ("GET", "report"),
    ],
)
async def test_nobody_gets_nothing_and_a_principal_only_what_it_may(
    api: httpx.AsyncClient, method: str, path: str
) -> None:
    body = {"PUT": {"config": {}}, "POST": {"name": "reboot"}}.get(method)
    for principal, wanted in ((None, Unauthenticated), (NOTHING, Forbidden)):
        with acting_as(principal):
            answer = await api.request(method, f"/devices/meter-1/{path}", json=body)
            assert answer.status_code == {Unauthenticated: 401, Forbidden: 403}[wanted]
