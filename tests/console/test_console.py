"""The console as people use it: a real browser, a real platform, real devices. What it does is checked from outside."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.console.conftest import Console, Host, sign_in
from tests.support.browser import COLOURS, opened
from tests.support.platform import IRONROOT, Device, Platform, eventually, https

HOSTILE = "<img src=x onerror=\"window.__ran='label'\"></script><script>window.__ran='script'</script>"
FLEET = ("camera-01", "meter-01", "meter-02", "robot-01")
PAGED = 120


# --- what several tests need ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
async def paged(host: Host) -> list[str]:
    """More devices than a page of the list holds; they never enrol."""
    names = [f"paged-{i:03}" for i in range(PAGED)]
    for name in names:
        await host.call("POST", "/devices", {"id": name, "type": "paged", "labels": {"hall": name[-1]}})
    return names


@contextmanager
def connected(platform: Platform, device: Device) -> Iterator[None]:
    """It holds a connection, as mosquitto does: cut off, it tries again."""
    argv = ["mosquitto_sub", "-h", "localhost", "-p", str(platform.base + 2), *device.mosquitto, "-i", device.id]
    live = subprocess.Popen([*argv, "-t", f"d/{device.id}/down/#"], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: platform.show(device.id)["connected"], f"{device.id} is connected")
        yield
    finally:
        live.kill()
        live.wait()


@asynccontextmanager
async def kept(page: Page) -> AsyncIterator[None]:
    """What is seen inside came without the page being loaded again."""
    await page.evaluate("window.__kept = true")
    yield
    assert await page.evaluate("window.__kept === true"), "the page was loaded again"


def panel(page: Page, title: str) -> Locator:
    return page.locator("section.panel").filter(has=page.get_by_role("heading", name=title, exact=True))


def act(page: Page, name: str) -> Locator:
    """The button of an act on the page, not that of a dialog."""
    return page.locator(".page-acts").get_by_role("button", name=name, exact=True)


def state(page: Page) -> Locator:
    """The verdict on the device's page."""
    return page.locator(".verdict .trust")


async def tab_to(page: Page, target: Locator) -> None:
    """Reach an element with the Tab key alone."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        if await target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"the Tab key never reaches {target}")


async def copied(page: Page) -> str:
    """The text that a Copy as CLI button has put on the clipboard; it is the text shown beside it."""
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    line = page.locator("dialog .cli")
    await line.get_by_role("button", name="Copy as CLI").click()
    await expect(line.get_by_role("status")).to_have_text("Copied")
    text = str(await page.evaluate("navigator.clipboard.readText()"))
    assert text == await line.locator("code").inner_text()
    return text


def paste(platform: Platform, command: str) -> None:
    """Run a command as somebody who pasted it into a shell on the platform's host."""
    env = {"PATH": f"{IRONROOT.parent}:/usr/bin:/bin", "IRONROOT_DATA_DIR": str(platform.data)}
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"


async def ask(page: Page, method: str, path: str, body: Any) -> tuple[int, Any]:
    """What the API answers to the page's own session."""
    answer: list[Any] = await page.evaluate(
        """async ([method, path, body]) => {
          const headers = { "X-Ironroot": "console", "Content-Type": "application/json" };
          const answer = await fetch(path, { method, headers, body: JSON.stringify(body) });
          return [answer.status, await answer.json()];
        }""",
        [method, f"/api/v1{path}", body],
    )
    return answer[0], answer[1]


# --- signing in ----------------------------------------------------------------------------------------


async def test_one_time_link_signs_in_once(console: Console, platform: Platform) -> None:
    link = platform.cli("user", "link")["link"]
    token = link.partition("#")[2]
    async with opened(console.browser) as first:
        asked: list[str] = []
        first.page.on("request", lambda request: asked.append(f"{request.method} {request.url} {request.post_data}"))
        await first.page.goto(link)
        await expect(first.page).to_have_url(console.url("/sign-in"))
        await expect(first.page.get_by_role("button", name="Sign in")).to_be_visible()
        assert not any(token in each for each in asked), "a mail scanner that follows the link must not use it up"
        await sign_in(first)
        await expect(first.page).to_have_url(console.url("/"))
        await expect(first.page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
        assert [each.split()[:2] for each in asked if token in each] == [
            ["POST", console.url("/api/v1/session/link")]
        ], "the token leaves in one body, never in an address"
        (cookie,) = await first.page.context.cookies()
        assert (cookie["name"], cookie["sameSite"]) == ("__Host-ironroot", "Strict")
        assert (cookie["httpOnly"], cookie["secure"], cookie["path"]) == (True, True, "/")
        assert await first.page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
        await first.assert_sound("signed in")
    async with opened(console.browser) as second:
        await second.page.goto(link)
        await second.page.get_by_role("button", name="Sign in").click()
        alert = second.page.get_by_role("alert")
        await expect(alert).to_contain_text("used")
        await expect(alert.locator(".remedy")).to_contain_text("ironroot user link")
        await expect(second.page.get_by_role("heading", level=1)).to_have_text("This link does not work")
        await second.assert_sound("a link used already")
        assert await second.page.context.cookies() == []


async def test_without_a_session_the_page_says_how_to_come_in_and_leads_back(console: Console) -> None:
    async with console.at("/devices?q=meter", role=None) as seen:
        await expect(seen.page).to_have_url(re.compile(r"/sign-in\?from="))
        await expect(seen.page.locator("main")).to_contain_text("Make a link on the platform's host")
        await expect(seen.page.locator(".cli code")).to_have_text("ironroot user link")
        await expect(seen.page.get_by_role("button", name="Sign in")).to_have_count(0)
        await seen.assert_sound("without a token")
        token = (await console.link()).partition("#")[2]
        await seen.page.goto(f"{seen.page.url}#{token}")
        await sign_in(seen)
        await expect(seen.page).to_have_url(console.url("/devices?q=meter"))


async def test_an_address_cannot_send_a_person_elsewhere_after_signing_in(console: Console) -> None:
    link = (await console.link()).replace("#", "?from=//evil.example/#")
    async with opened(console.browser) as seen:
        await seen.page.goto(link)
        await sign_in(seen)
        await expect(seen.page).to_have_url(console.url("/"))


async def test_a_session_ended_elsewhere_leads_to_sign_in(console: Console, host: Host) -> None:
    async with opened(console.browser) as seen:
        await seen.page.goto(await console.link("visitor", "read-only"))
        await sign_in(seen)
        await seen.page.locator("#areas").get_by_role("link", name="Devices").click()
        await expect(seen.page).to_have_url(console.url("/devices"))
        sessions = (await host.call("GET", "/sessions"))["items"]
        (own,) = [each["id"] for each in sessions if each["user"]["name"] == "visitor"]
        await host.call("DELETE", f"/sessions/{own}")
        await expect(seen.page).to_have_url(re.compile(r"/sign-in"), timeout=10_000)
        await expect(seen.page.get_by_role("heading", level=1)).to_have_text("Sign in with a one-time link")
        assert await seen.violations() == []


# --- overview ------------------------------------------------------------------------------------------


async def test_overview_says_what_status_says(console: Console, platform: Platform) -> None:
    async with console.at("/") as seen:
        status = platform.cli("status")
        devices = status["devices"]
        assert devices["connected"] >= len(FLEET)
        readouts = seen.page.locator(".readouts")
        await expect(readouts).to_contain_text(f"{devices['connected']}/{devices['total']}")
        await expect(readouts).to_contain_text("chain verified")
        strip = seen.page.get_by_role("contentinfo", name="Platform")
        await expect(strip).to_contain_text("Live")
        await expect(strip).to_contain_text(re.compile(r"log #\d+ verified"))
        shown = int((await strip.locator(".strip-log b").inner_text()).lstrip("#"))
        assert shown >= status["log"]["head"]
        trust = seen.page.get_by_role("list", name="Devices by trust state")
        for word, n in devices["by_trust"].items():
            await expect(trust.get_by_role("link", name=re.compile(rf"^{word}\s*{n}$", re.IGNORECASE))).to_be_visible()
        await expect(seen.page.locator(".trustbar .segment.trusted")).to_be_visible()
        await expect(seen.page.get_by_role("list", name="Families of facts, last 24 hours")).to_contain_text("Identity")
        await expect(panel(seen.page, "Device types")).to_contain_text("meter")
        await expect(panel(seen.page, "Messages per minute").locator("canvas")).to_be_visible()


async def test_what_is_refused_again_and_again_is_one_line(console: Console, platform: Platform) -> None:
    ca = platform.ca(platform.data.parent)
    body = ("-H", "X-Ironroot: console", "-H", "Content-Type: application/json", "-d", '{"token": "irl_guess"}')
    for _ in range(3):
        assert https(platform, 0, "/api/v1/session/link", "--cacert", str(ca), *body)[0] == 401
    async with console.at("/") as seen:
        line = panel(seen.page, "Needs attention").get_by_role("listitem").filter(has_text="sign-in by")
        await expect(line).to_have_count(1)
        await expect(line).to_contain_text(re.compile(r"\d+ times"))


async def test_overview_is_live(console: Console, host: Host, platform: Platform) -> None:
    async with console.at("/") as seen, kept(seen.page):
        total = seen.page.locator(".readouts .reading-of").first
        before = int((await total.inner_text()).lstrip("/"))
        await host.call("POST", "/devices", {"id": "newcomer", "type": "newcomer"})
        await expect(total).to_have_text(f"/{before + 1}")
        attention = panel(seen.page, "Needs attention")
        await asyncio.to_thread(platform.cli, "device", "quarantine", "newcomer", "--reason", "odd traffic at night")
        await expect(attention.get_by_role("listitem").filter(has_text="newcomer")).to_contain_text("odd traffic")
        quarantined = seen.page.get_by_role("list", name="Devices by trust state").get_by_role("link")
        await expect(quarantined.filter(has_text="Quarantined")).to_contain_text(re.compile(r"[1-9]"))
        await asyncio.to_thread(platform.cli, "device", "release", "newcomer", "--reason", "a backup")
        await expect(attention.get_by_role("listitem").filter(has_text="newcomer")).to_have_count(0)


# --- list of devices -----------------------------------------------------------------------------------


async def test_search_and_filters_stand_in_the_address(console: Console, paged: list[str]) -> None:
    async with console.at("/devices") as seen:
        page, rows = seen.page, seen.page.locator("table.devices tbody tr")
        await page.get_by_role("searchbox").fill("paged-07")
        await expect(page).to_have_url(console.url("/devices?q=paged-07"))
        await expect(rows).to_have_count(10)
        await page.get_by_label("Trust", exact=True).select_option("trusted")
        await expect(page).to_have_url(re.compile(r"trust=trusted"))
        await expect(page.get_by_text("No device matches")).to_be_visible()
        await page.get_by_role("searchbox").fill("")
        await expect(rows.filter(has_text="meter-01")).to_be_visible()
        await expect(rows.locator(".trust:not(.trusted)")).to_have_count(0)
        await page.get_by_role("button", name="Clear", exact=True).click()
        await expect(page).to_have_url(console.url("/devices"))
        await page.goto(console.url("/devices?q=paged-11&type=paged&connected=no"))
        await expect(page.get_by_role("searchbox")).to_have_value("paged-11")
        await expect(rows).to_have_count(10)


async def test_pages_of_devices(console: Console, paged: list[str]) -> None:
    async with console.at("/devices?type=paged") as seen:
        page = seen.page
        first, at = (
            page.locator("table.devices a.row-link").first,
            page.get_by_role("navigation", name="Pages of devices"),
        )
        following, previous = at.get_by_role("button", name="Next"), at.get_by_role("button", name="Previous")
        await expect(previous).to_have_attribute("aria-disabled", "true")
        await following.click()
        await expect(first).to_have_text(paged[50])
        await page.keyboard.press("]")
        await expect(first).to_have_text(paged[100])
        await expect(page.locator("table.devices tbody tr")).to_have_count(PAGED - 100)
        await expect(following).to_have_attribute("aria-disabled", "true")
        await page.go_back()
        await expect(first).to_have_text(paged[50])
        await previous.click()
        await expect(first).to_have_text(paged[0])
        await following.click()
        await expect(first).to_have_text(paged[50])
        await page.keyboard.press("[")
        await expect(first).to_have_text(paged[0])
        await expect(previous).to_have_attribute("aria-disabled", "true")


async def test_list_by_keyboard(console: Console, paged: list[str]) -> None:
    async with console.at("/") as seen:
        page = seen.page
        await page.keyboard.press("g")
        await page.keyboard.press("d")
        await expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type("paged-00j")
        await expect(page.get_by_text("No device matches")).to_be_visible()
        await page.keyboard.press("Backspace")
        await expect(page.locator("table.devices tbody tr")).to_have_count(10)
        await page.keyboard.press("Escape")
        rows = page.locator("table.devices a.row-link")
        for key, focused in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
            await page.keyboard.press(key)
            await expect(rows.nth(focused)).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(console.url("/devices/paged-001"))
        await expect(page.get_by_role("heading", level=1)).to_have_text("paged-001")


async def test_a_click_on_a_row_opens_the_device(console: Console) -> None:
    async with console.at("/devices?q=meter-01") as seen:
        await seen.page.locator("table.devices tbody tr").first.locator("td").nth(1).click()
        await expect(seen.page).to_have_url(console.url("/devices/meter-01"))


# --- a device ------------------------------------------------------------------------------------------


async def test_device_page_says_why_and_what_it_measured(console: Console, platform: Platform) -> None:
    async with console.at("/devices/meter-01") as seen:
        page, shown = seen.page, platform.show("meter-01")
        await expect(state(page)).to_have_text("Trusted")
        reasons = page.locator("ol.reasons li")
        await expect(reasons).to_have_count(len(shown["trust"]["reasons"]))
        for i, reason in enumerate(shown["trust"]["reasons"]):
            await expect(reasons.nth(i)).to_contain_text(reason["code"])
            await expect(reasons.nth(i).locator(".fact-no")).to_have_text(f"Fact #{reason['fact']}")
            assert len(await reasons.nth(i).locator("span").first.inner_text()) > 10
        measured = panel(page, "Telemetry")
        assert len(shown["telemetry"]) >= 3
        for name in shown["telemetry"]:
            line = measured.locator("li").filter(has_text=name).first
            await expect(line.locator(".measured-value")).to_have_text(re.compile(r"\S"))
        timeline = page.get_by_role("list", name="Facts about meter-01, newest first")
        for kind in ("Device registered", "Claim created", "Claim used", "Certificate issued", "Trust decided"):
            await expect(timeline).to_contain_text(kind)
        await expect(panel(page, "Certificate").get_by_role("button", name="Copy serial")).to_be_visible()
        serial = await panel(page, "Certificate").locator("dd .mono").first.inner_text()
        assert serial.replace(" ", "") == shown["certificate"]["serial"]
        await reasons.first.locator("a.fact-no").click()
        marked = page.locator(f"#fact-{shown['trust']['reasons'][0]['fact']}")
        await expect(marked).to_be_in_viewport()
        await expect(marked.get_by_role("button", expanded=True)).to_be_focused()


async def test_telemetry_moves_without_a_reload(console: Console, host: Host) -> None:
    async with console.at("/devices/meter-02") as seen, kept(seen.page):
        value = panel(seen.page, "Telemetry").locator("li").filter(has_text="energy").first.locator("time")
        before = await value.get_attribute("datetime")
        assert before
        await expect(value).not_to_have_attribute("datetime", before, timeout=12_000)


async def test_quarantine_and_release_by_keyboard_alone(console: Console, host: Host) -> None:
    async with console.at("/devices/robot-01") as seen, kept(seen.page):
        page = seen.page
        try:
            await expect(page.locator(".connected.yes").first).to_be_visible()
            await tab_to(page, act(page, "Quarantine"))
            await page.keyboard.press("Enter")
            dialog = page.get_by_role("dialog", name="Quarantine robot-01")
            await expect(dialog.get_by_label("Reason")).to_be_focused()
            await expect(dialog).to_contain_text("Its live connections are cut within a second.")
            await page.keyboard.press("Enter")
            await expect(dialog).to_be_visible()  # no reason, no act
            await page.keyboard.type("arm moved on its own")
            await expect(dialog.locator(".cli code")).to_have_text(
                "ironroot device quarantine robot-01 --reason 'arm moved on its own'"
            )
            await page.keyboard.press("Enter")
            await expect(dialog).to_have_count(0)
            await expect(state(page)).to_have_text("Quarantined")
            await expect(page.locator(".connected.no").first).to_be_visible()
            await expect(page.locator("ol.reasons")).to_contain_text("arm moved on its own")
            await expect(page.locator(".capabilities .may")).to_have_text(["read its status"])
            await expect(page.get_by_role("list", name=re.compile("^Facts about"))).to_contain_text("Quarantine placed")
            held = (await host.call("GET", "/facts", kind="hold.placed", subject="device/robot-01", limit=1))["items"]
            assert held[0]["body"]["reason"] == "arm moved on its own"
            assert held[0]["actor"].startswith("user/")
            await expect(act(page, "Release")).to_be_focused()  # the focus comes back to where it was
            await page.keyboard.press("Enter")
            await page.keyboard.type("a colleague was testing")
            await page.keyboard.press("Enter")
            await expect(state(page)).to_have_text("Trusted")
            await expect(page.locator(".connected.yes").first).to_be_visible(timeout=40_000)
        finally:
            await host.client.post("/api/v1/devices/robot-01/release", json={"reason": "the test is over"})


async def test_what_copy_as_cli_gives_runs(console: Console, platform: Platform, host: Host) -> None:
    await host.call("POST", "/devices", {"id": "copied"})
    async with console.at("/devices/copied") as seen, kept(seen.page):
        page = seen.page
        await act(page, "Quarantine").click()
        await page.get_by_label("Reason").fill(reason := 'it\'s $(id) & "odd"; `ls`')
        await page.get_by_label("Ends by itself after").fill("12h")
        await asyncio.to_thread(paste, platform, await copied(page))
        await page.keyboard.press("Escape")
        await expect(state(page)).to_have_text("Quarantined")
        await expect(page.locator("ol.reasons")).to_contain_text(reason)
        await expect(page.locator(".review")).to_contain_text("Decided again")
        await act(page, "Release").click()
        await page.get_by_label("Reason").fill("it's --fine")
        await asyncio.to_thread(paste, platform, await copied(page))
        await page.keyboard.press("Escape")
        await expect(state(page)).to_have_text("Unknown")
        (released,) = (await host.call("GET", "/facts", kind="hold.released", subject="device/copied"))["items"]
        assert released["body"]["reason"] == "it's --fine"


async def test_revoked_for_a_stolen_key_is_cut_off(
    console: Console, platform: Platform, host: Host, tmp_path: Path
) -> None:
    device = platform.enrol("boiler-1", tmp_path)
    with connected(platform, device):
        async with console.at("/devices/boiler-1") as seen, kept(seen.page):
            page = seen.page
            await expect(page.locator(".connected.yes").first).to_be_visible()
            await act(page, "Revoke").click()
            dialog = page.get_by_role("dialog", name="Revoke boiler-1")
            await expect(dialog.get_by_label("Reason, as RFC 5280 names it")).to_have_value("keyCompromise")
            await dialog.get_by_label("Type the device id to confirm").fill("boiler")
            await dialog.get_by_role("button", name="Revoke for good").click(force=True)
            await expect(dialog).to_be_visible()  # the wrong name, no act
            await dialog.get_by_label("Type the device id to confirm").fill("boiler-1")
            await dialog.get_by_role("button", name="Revoke for good").click()
            await expect(state(page)).to_have_text("Revoked")
            await expect(page.locator(".connected.no").first).to_be_visible()
            await expect(panel(page, "Certificate")).to_contain_text("revoked: keyCompromise")
            await expect(page.locator(".capabilities .may")).to_have_count(0)
            await expect(act(page, "Quarantine")).to_have_accessible_description(re.compile("revoked already"))
            await expect(page.get_by_role("button", name="Make a claim")).to_be_visible()
            shown = platform.show("boiler-1")
            assert (shown["trust"]["state"], shown["connected"]) == ("revoked", False)
            await seen.assert_sound("a revoked device")


# --- roles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["operator", "read-only"])
async def test_a_role_without_a_permission_is_told_why_and_refused(console: Console, role: str) -> None:
    async with console.at("/devices/meter-01", role=role) as seen:
        page = seen.page
        for name, permission in (
            ("Quarantine", "device.contain"),
            ("Revoke", "certificate.revoke"),
            ("Retire", "device.write"),
        ):
            await expect(act(page, name)).to_have_attribute("aria-disabled", "true")
            await expect(act(page, name)).to_have_accessible_description(
                f"Your role, {role}, does not include {permission}. An administrator can give it to you."
            )
            await act(page, name).click(force=True)
        await expect(page.locator("dialog")).to_have_count(0)
        await expect(panel(page, "Commands").get_by_role("button", name="Send")).to_have_attribute(
            "aria-disabled", "true"
        )
        for path, body in (
            ("/devices/meter-01/quarantine", {"reason": "x"}),
            ("/devices/meter-01/revoke", {"reason": "keyCompromise"}),
            ("/devices/meter-01/commands", {"name": "reboot"}),
            ("/claims", {"device": "meter-01"}),
            ("/users/link", {"role": "administrator"}),
        ):
            status, problem = await ask(page, "POST", path, body)
            assert (status, problem["status"]) == (403, 403), path
            assert role in str(problem), problem
        await expect(state(page)).to_have_text("Trusted")
        areas = page.get_by_role("navigation", name="Areas")
        await expect(areas.get_by_role("link", name="Access")).to_have_count(0)
        await expect(areas.get_by_role("link", name="Fact log")).to_have_count(1 if role == "operator" else 0)
        if role == "read-only":
            await expect(panel(page, "Timeline")).to_contain_text("does not include fact.read")
        await seen.assert_sound(role)


# --- every page, every look ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/devices",
        "/devices?q=nothing-like-it",
        "/devices/meter-01",
        "/devices/absent",
        "/log",
        "/access",
        "/no/such/page",
    ],
)
async def test_every_page_is_sound_light_dark_and_narrow(console: Console, path: str) -> None:
    async with console.at(path) as seen:
        await expect(seen.page.locator(".skeleton")).to_have_count(0)
        assert await seen.layout_shift() < 0.05, "the page moves after it stands"
        await seen.assert_sound(f"{path}, light")
        await seen.page.emulate_media(color_scheme="dark")
        await seen.assert_sound(f"{path}, dark", COLOURS)
        await seen.page.set_viewport_size({"width": 360, "height": 740})
        await seen.assert_sound(f"{path}, at 360 px")


async def test_dialogs_are_sound_at_360_px(console: Console) -> None:
    async with console.at("/devices/meter-01", width=360) as seen:
        for name in ("Quarantine", "Revoke", "Retire"):
            await act(seen.page, name).click()
            await expect(seen.page.get_by_role("dialog")).to_be_visible()
            await seen.assert_sound(name)
            await seen.page.keyboard.press("Escape")
            await expect(act(seen.page, name)).to_be_focused()
        await seen.page.keyboard.press("Control+k")
        await expect(seen.page.get_by_role("combobox")).to_be_focused()
        await seen.page.keyboard.type("meter-0")
        await expect(seen.page.get_by_role("option", name="meter-02")).to_be_visible()
        await seen.assert_sound("palette")
        await seen.page.keyboard.press("Escape")
        await seen.page.keyboard.press("?")
        await expect(seen.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        await seen.assert_sound("shortcuts")


# --- text from devices and people ----------------------------------------------------------------------


async def test_stored_xss_is_text(console: Console, platform: Platform, host: Host) -> None:
    await host.call("POST", "/devices", {"id": "hostile", "labels": {"site": HOSTILE}})
    await host.call("POST", "/devices/hostile/quarantine", {"reason": HOSTILE})
    await host.call("POST", "/devices/hostile/commands", {"name": "identify", "args": {"who": HOSTILE}})
    await host.call("PUT", "/devices/hostile/config", {"config": {"motd": HOSTILE}})
    await host.call("POST", "/users/link", {"name": HOSTILE, "role": "read-only"})
    await host.call("POST", "/apikeys", {"name": HOSTILE, "role": "read-only"})
    refused = await host.client.post("/api/v1/devices/hostile/commands", json={"name": HOSTILE[:60]})
    assert refused.status_code in {400, 422}
    places: dict[str, list[str]] = {
        "/devices/hostile": ["ol.reasons", ".facts", ".commands-panel", ".column .pairs >> text=onerror"],
        "/": [".attention"],
        "/log?subject=device/hostile": [".facts"],
        "/access": ["table >> text=onerror"],
    }
    for path, selectors in places.items():
        async with console.at(path) as seen:
            for selector in selectors:
                await expect(seen.page.locator(selector).first).to_contain_text("<img src=x onerror=")
            if path == "/devices/hostile":
                await expect(seen.page.get_by_label("Configuration as JSON")).to_have_value(re.compile("<img src=x"))
            if path.startswith("/log"):
                await seen.page.get_by_role("button", name=re.compile("Quarantine placed: details")).click()
                await expect(seen.page.get_by_role("region", name="Body as recorded")).to_contain_text("</script>")
            assert await seen.page.evaluate("window.__ran") is None
            assert await seen.page.locator("main img, main script").count() == 0


async def test_xss_from_an_address_is_text(console: Console) -> None:
    for path in ("/devices?q=%3Cimg%20src=x%20onerror=alert(1)%3E", "/devices/%3Cimg%20src=x%3E"):
        async with console.at(path) as seen:
            assert await seen.page.locator("main img, main script").count() == 0
