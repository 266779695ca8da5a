"""The pictures of the documentation, taken on every run; kept in `docs/assets` only where it is asked for:
`IRONROOT_SCREENSHOTS=1 make test ARGS=tests/console`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.console.conftest import Console, console_of, sign_in
from tests.console.day import live
from tests.support.browser import opened
from tests.support.platform import Platform, eventually, sh

ASSETS = Path(__file__).parents[2] / "docs/assets"
PICTURES = tuple(ASSETS / f"console-{name}.png" for name in ("overview", "device"))
WANTED = bool(os.environ.get("IRONROOT_SCREENSHOTS")) or not all(picture.is_file() for picture in PICTURES)
LARGEST_BYTES = 300_000
FLEET = 25
SAMPLED_S = 45.0
"""How long the platform runs before its picture is kept."""
LOOKED_AT_S = 3.0


@pytest.mark.timeout(240)
async def test_screenshots(fresh_platform: Callable[..., Platform], tmp_path: Path) -> None:
    overview, device = PICTURES if WANTED else (tmp_path / picture.name for picture in PICTURES)
    platform = fresh_platform(demo=FLEET)
    await live(platform.data, platform.base, FLEET)
    platform.start()
    eventually(lambda: platform.cli("status")["devices"]["connected"] >= FLEET, "the fleet is connected", 30.0)
    spy(platform)
    async with console_of(platform) as console:
        await console.host.call("POST", "/devices/robot-02/commands", {"name": "identify", "args": {"seconds": 3}})
        await console.host.call("POST", "/devices/robot-02/commands", {"name": "ping"})
        async with opened(console.browser, width=1440, height=900) as seen:
            page = seen.page
            await page.goto(await console.link())
            await sign_in(seen)
            await asyncio.sleep(SAMPLED_S if WANTED else LOOKED_AT_S)  # the line of messages per second has a sample for each second
            await _take(page, overview)
            await _to_device(console, page)
            await _take(page, device)
            await seen.assert_sound("the pages of the pictures")


def spy(platform: Platform) -> None:
    """A device speaks for another one, and takes its name; the broker says no."""
    identity = platform.data / "demo/camera-02"
    argv = ["mosquitto_pub", "-h", "localhost", "-p", str(platform.base + 2), "--cafile", str(identity / "roots.pem")]
    argv += ["--cert", str(identity / "certificate.pem"), "--key", str(identity / "key.pem"), "-m", "open", "-q", "1"]
    sh(*argv, "-i", "camera-02:a", "-t", "d/robot-01/up/telemetry/gripper", ok=False)
    sh(*argv, "-i", "robot-01", "-t", "d/robot-01/up/telemetry/gripper", ok=False)


async def _to_device(console: Console, page: Page) -> None:
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox")).to_be_focused()
    await page.keyboard.type("robot-02")
    await page.get_by_role("option", name="robot-02").click()
    await expect(page).to_have_url(console.url("/devices/robot-02"))
    await page.get_by_role("button", name="joint1_temperature_c").click()
    await expect(page.locator(".measured canvas")).to_be_visible()
    await expect(page.locator(".measured .spark path").first).to_be_visible()


async def _take(page: Page, into: Path) -> None:
    await page.mouse.move(0, 0)
    await page.evaluate("document.activeElement?.blur()")
    await page.screenshot(path=into, animations="disabled", caret="hide")
    assert into.stat().st_size <= LARGEST_BYTES, f"{into.name} is large for a page of documentation"
