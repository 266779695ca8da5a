"""The console of the session's platform, open in Chromium as whoever a test wants to be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, expect

from ironroot.app.datadir import locate
from tests.support.browser import AXE, CHROMIUM, Scheme, Watched, chromium, opened, verified_key
from tests.support.platform import Platform

ROLES = ("administrator", "operator", "read-only")


@dataclass(frozen=True, slots=True)
class Host:
    """The API as the host's administrator, through the platform's own socket."""

    client: httpx.AsyncClient

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The answer's JSON; fails unless the platform did what was asked."""
        answer = await self.client.request(method, f"/api/v1{path}", json=body, params=query)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None


@dataclass(frozen=True, slots=True)
class Console:
    """A platform's console, the browser it is seen with, and a session for each role."""

    platform: Platform
    host: Host
    browser: Browser
    sessions: dict[str, Any] = field(default_factory=dict)

    def url(self, path: str) -> str:
        return self.platform.url(0, path)

    async def link(self, name: str = "administrator", role: str = "administrator") -> str:
        """A one-time link."""
        return str((await self.host.call("POST", "/users/link", {"name": name, "role": role}))["link"])

    @asynccontextmanager
    async def at(
        self, path: str, *, role: str | None = "administrator", width: int = 1360, scheme: Scheme = "light"
    ) -> AsyncIterator[Watched]:
        """A page at `path`, signed in unless `role` is None; it must end without a fault or a violation."""
        state = await self._session(role) if role else None
        async with opened(self.browser, width=width, scheme=scheme, state=state) as watched:
            await watched.page.goto(self.url(path))
            await expect(watched.page.locator("h1")).to_be_visible()
            yield watched
            assert await watched.violations() == []
            assert watched.errors == []

    async def _session(self, role: str) -> Any:
        if role not in self.sessions:
            async with opened(self.browser) as watched:
                await watched.page.goto(await self.link(role, role))
                await sign_in(watched)
                self.sessions[role] = await watched.page.context.storage_state()
        return self.sessions[role]


async def sign_in(watched: Watched) -> None:
    """Press the button behind a one-time link, and be in."""
    await watched.page.get_by_role("button", name="Sign in").click()
    await expect(watched.page.locator(".shell")).to_be_visible()


@asynccontextmanager
async def console_of(platform: Platform) -> AsyncIterator[Console]:
    """The console of a running platform."""
    if CHROMIUM is None:
        pytest.skip("no chromium")
    if not AXE.is_file():
        pytest.skip("no axe-core: `npm ci` in console/")
    running = locate(platform.data)
    assert running is not None
    transport = httpx.AsyncHTTPTransport(uds=str(running.host_socket))
    key = verified_key(platform.base, platform.ca(platform.data.parent))
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client, chromium([key]) as browser:
        yield Console(platform, Host(client), browser)


@pytest.fixture(scope="session")
async def console(platform: Platform) -> AsyncIterator[Console]:
    async with console_of(platform) as found:
        yield found


@pytest.fixture(scope="session")
async def host(console: Console) -> Host:
    return console.host
