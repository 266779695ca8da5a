"""From revocation to disconnect: devices connected over MQTT, some of them revoked one after the other.

Revoked through the API on the host's socket, the way `ironroot device revoke` goes. Both ends are read on the same clock
(CLOCK_MONOTONIC): the moment the request is sent, and the moment the device's socket is closed, in another process. The
second measure is the HTTPS door: a device asks on a kept-alive connection until it is refused.
"""

from __future__ import annotations

import asyncio
import threading
import time
from statistics import median

import httpx

from bench.support import fleet as fleets
from bench.support import https, load
from bench.support.figures import Bench, number, percentile
from bench.support.fleet import Device, Fleet
from bench.support.platform import Platform, up
from bench.support.processes import wait_for

MOST_S = 10.0


def revoke(bench: Bench) -> None:
    """Measure it."""
    fleet = fleets.shared(bench)
    over_mqtt, over_https = bench.pick(200, 10), bench.pick(100, 5)
    connected = fleet.devices[: len(fleet.devices) - over_https]
    with up(fleet.copy(bench.scratch / "revoke")) as platform, platform.host_api() as api:
        order = load.load("hold", platform.mqtt_port, fleet.roots, fleets.names(connected), parallel=20, limit_s=300)
        with order as generator:
            ready = generator.answer()["ready"]
            bench.say(f"{ready} devices connected")
            closed = _Closings(generator)
            wait_for(lambda: _connected(api) == ready, "the platform knows them all", 30, every_s=0.2)
            answered, cut = _cut_off(api, closed, connected[:over_mqtt])
            bench.say(f"{len(cut)} revoked: p50 {1e3 * median(cut):.1f} ms")
            refused = asyncio.run(_https(api, platform, fleet, fleet.devices[-over_https:]))
            left = _connected(api)
    if left != ready - over_mqtt:
        raise RuntimeError(f"{left} are connected, {ready - over_mqtt} should be")
    rows = [
        [f"MQTT: socket closed ({len(cut)} of {ready} connected)", *_row(cut)],
        [f"HTTPS: refused on the kept-alive connection ({len(refused)})", *_row(refused)],
        ["the API's own answer, page of the device included", *_row(answered)],
    ]
    bench.table(
        "Revocation, from the request sent (ms)",
        ["", "p50", "p90", "p99", "max"],
        rows,
        "through the API on the host's socket, one after the other; the other devices stayed connected",
    )
    bench.keep(mqtt_ms=[1e3 * s for s in cut], https_ms=[1e3 * s for s in refused], api_ms=[1e3 * s for s in answered])


class _Closings:
    """What the generator tells of ended connections."""

    def __init__(self, generator: load.Load) -> None:
        self._at: dict[str, float] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._read, args=(generator,), daemon=True).start()

    def _read(self, generator: load.Load) -> None:
        while True:
            try:
                found = generator.answer()
            except (RuntimeError, ValueError):
                return
            with self._news:
                self._at[found["closed"]] = found["at"]
                self._news.notify_all()

    def wait(self, device: str) -> float:
        """When the device's connection ended. Raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: device in self._at, MOST_S):
                raise TimeoutError(f"{device} is still connected after {MOST_S} s")
            return self._at[device]


def _connected(api: httpx.Client) -> int:
    return int(api.get("/status").raise_for_status().json()["devices"]["connected"])


def _revoke(api: httpx.Client, device: Device) -> tuple[float, float]:
    began = time.monotonic()
    answer = api.post(f"/devices/{device.id}/revoke", json={"reason": "keyCompromise"}).raise_for_status()
    if answer.json()["trust"]["state"] != "revoked":
        raise RuntimeError(answer.text)
    return began, time.monotonic()


def _cut_off(api: httpx.Client, closed: _Closings, devices: tuple[Device, ...]) -> tuple[list[float], list[float]]:
    answered, cut = [], []
    for device in devices:
        began, done = _revoke(api, device)
        answered.append(done - began)
        cut.append(closed.wait(device.id) - began)
        time.sleep(0.02)
    return answered, cut


async def _https(api: httpx.Client, platform: Platform, fleet: Fleet, devices: tuple[Device, ...]) -> list[float]:
    """Ask without pause; from the revocation sent to the first answer that is a refusal. Later ones are refused too."""
    took = []
    for device in devices:
        tls = https.of_device(fleet.roots, device.certificate, device.key)
        asking = await https.Connection.open(platform.devices_port, tls)
        if await _status(asking) != 200:
            raise RuntimeError(f"{device.id} is refused before its revocation")
        refused = asyncio.create_task(_until_refused(asking))
        began, _ = await asyncio.to_thread(_revoke, api, device)
        took.append(await refused - began)
        if await _status(asking) != 403:
            raise RuntimeError(f"{device.id} is admitted after its revocation")
        asking.close()
    return took


async def _status(asking: https.Connection) -> int:
    return (await asking.request("GET", "/device/v1/status"))[0]


async def _until_refused(asking: https.Connection) -> float:
    async with asyncio.timeout(MOST_S):
        while await _status(asking) == 200:
            pass
    return time.monotonic()


def _row(seconds: list[float]) -> list[str]:
    return [number(1e3 * percentile(seconds, percent)) for percent in (50, 90, 99, 100)]
