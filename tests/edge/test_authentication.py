"""Credentials in requests: sessions another site rides on, cookies tossed in, keys of the wrong kind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ironroot.core.errors import IronrootError, Unauthenticated
from ironroot.edge.authentication import SESSION_COOKIE, Authentication
from ironroot.edge.authorize import Principal, current_principal
from ironroot.edge.permissions import Permission
from ironroot.edge.responses import on_ironroot_error

USER = Principal("user", "usr_x", "somebody", "administrator", frozenset(Permission), session="ses_1")


class Known:
    async def by_api_key(self, key: str, source: str) -> Principal:
        if key != "irk_good":
            raise Unauthenticated("no such key")
        return Principal("apikey", "apk_1", "program", "read-only", frozenset())

    async def by_session(self, token: str) -> Principal | None:
        return USER if token == "irs_good" else None


async def who(_: Request) -> Response:
    return JSONResponse({"id": current_principal().id})


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    routes = [Route("/api/who", who, methods=["GET", "POST"])]
    app = Starlette(routes=routes, exception_handlers={IronrootError: on_ironroot_error})
    transport = httpx.ASGITransport(app=Authentication(app, Known()))
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as made:
        yield made


GOOD = {"cookie": f"{SESSION_COOKIE}=irs_good"}
OWN = {"x-ironroot": "console", "origin": "https://localhost", "sec-fetch-site": "same-origin"}


async def test_session_reads(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/who", headers=GOOD)).json() == {"id": "usr_x"}


async def test_api_key(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/who", headers={"authorization": "Bearer irk_good"})).json() == {"id": "apk_1"}
    refused = await client.get("/api/who", headers={"authorization": "Bearer irk_bad"})
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


async def test_cross_site_request_forgery_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/who", headers=GOOD | OWN)).status_code == 200
    for forged in (
        {},
        {"origin": "https://evil.example", "x-ironroot": "console"},
        {"origin": "null", "x-ironroot": "console"},
        OWN | {"sec-fetch-site": "cross-site"},
        {k: v for k, v in OWN.items() if k != "x-ironroot"},
    ):
        refused = await client.post("/api/who", headers=GOOD | forged)
        assert refused.status_code == 403, forged


async def test_tossed_cookie_beside_the_real_one_signs_nobody_in(client: httpx.AsyncClient) -> None:
    both = {"cookie": f"{SESSION_COOKIE}=irs_evil; {SESSION_COOKIE}=irs_good"}
    assert (await client.get("/api/who", headers=both)).status_code == 401


async def test_basic_credentials_are_no_bearer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/who", headers={"authorization": "Basic eDp5"})).status_code == 400


async def test_a_bad_key_does_not_fall_back_to_the_session(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/who", headers=GOOD | {"authorization": "Bearer irk_bad"})).status_code == 401
