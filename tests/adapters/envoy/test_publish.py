"""Swapping the certificates of a running front door."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ironroot.adapters.envoy import publish as publishing
from ironroot.adapters.envoy.material import Checked, KeyPair, Material
from ironroot.adapters.envoy.publish import NotTaken, Published, Publisher
from ironroot.core.errors import Misconfigured
from ironroot.core.ids import Fingerprint
from ironroot.core.secret import Secret
from tests.adapters.envoy.front import Front, request
from tests.support import tls
from tests.support.clock import ManualClock

GET = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def pair(issued: tls.Issued) -> KeyPair:
    return KeyPair(issued.chain_pem, Secret(issued.key_pem))


def publisher(door: Front, confirm_s: float = 5.0) -> Publisher:
    return Publisher(door.settings, ManualClock(tls.NOW), confirm_s=confirm_s)


def versions(door: Front) -> list[str]:
    return sorted(path.name for path in door.settings.tls_directory.iterdir())


async def test_rotation_shows_the_new_certificates_and_drops_no_connection(own_door: Front) -> None:
    door = own_door
    console, devices = tls.server("console-2", door.server_ca), tls.server("devices-2", door.server_ca)
    with door.connect("console") as at_console, door.connect("devices", "dev-1") as at_devices:
        assert request(at_console, GET)[0] == request(at_devices, GET)[0] == 200
        done = await publisher(door).publish(door.material(console=pair(console), devices=pair(devices)))
        assert (done.changed, done.confirmed) == (True, True)
        assert door.shown("console") == console.fingerprint
        assert door.shown("devices") == devices.fingerprint
        assert request(at_console, GET)[0] == request(at_devices, GET)[0] == 200
    assert versions(door) == ["live", done.version]


async def test_publishing_what_is_live_changes_nothing(own_door: Front) -> None:
    assert await publisher(own_door).publish(own_door.material()) == Published("v-first", changed=False, confirmed=True)


async def test_a_new_device_ca_is_accepted_and_an_old_one_refused_after_the_swap(own_door: Front) -> None:
    door = own_door
    other = tls.authority("Device CA 2", door.ca)
    tls.client("dev-9", other).write(door.root / "pki", "dev-9")
    assert door.curl_raw("devices", "/d", cert="dev-9").returncode != 0
    await publisher(door).publish(door.material(device_bundle_pem=other.pem + door.device_ca.pem + door.ca.pem))
    assert door.curl("devices", "/d", cert="dev-9").status == 200
    assert door.curl("devices", "/d", cert="dev-1").status == 200
    await publisher(door).publish(door.material(device_bundle_pem=other.pem + door.ca.pem))
    assert door.curl_raw("devices", "/d", cert="dev-1").returncode != 0


async def test_key_of_another_certificate_is_refused_before_the_swap_and_later_swaps_work(own_door: Front) -> None:
    """Envoy's own refusal would stop every later update of the listener."""
    door = own_door
    new = tls.server("devices-2", door.server_ca)
    bad = KeyPair(new.chain_pem, Secret(door.devices.key_pem))
    with pytest.raises(Misconfigured, match="devices: the private key does not belong"):
        await publisher(door).publish(door.material(devices=bad))
    assert versions(door) == ["live", "v-first"]
    assert door.shown("devices") == door.devices.fingerprint
    assert (await publisher(door).publish(door.material(devices=pair(new)))).confirmed
    assert door.shown("devices") == new.fingerprint


async def test_material_that_envoy_rejects_is_reported_and_another_pair_cures_it(
    own_door: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = own_door
    bad = KeyPair(tls.server("devices-2", door.server_ca).chain_pem, Secret(door.devices.key_pem))

    def unchecked(material: Material, now: Any) -> Checked:
        return Checked(material, Fingerprint(""), Fingerprint(""))

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "check", unchecked)
        with pytest.raises(NotTaken):
            await publisher(door).publish(door.material(devices=bad))
    good = tls.server("devices-3", door.server_ca)
    await publisher(door).publish(door.material(devices=pair(good)))
    assert door.shown("devices") == good.fingerprint


async def test_a_door_that_shows_another_certificate_is_reported(
    own_door: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stranger(listen: str, port: int) -> str:
        return "0" * 64

    monkeypatch.setattr(publishing, "shown", stranger)
    new = tls.server("console-2", own_door.server_ca)
    with pytest.raises(NotTaken, match="did not take"):
        await publisher(own_door, confirm_s=0.2).publish(own_door.material(console=pair(new)))


async def test_disk_full_leaves_the_live_version_alone(own_door: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    new = own_door.material(console=pair(tls.server("console-2", own_door.server_ca)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            await publisher(own_door).publish(new)
    assert versions(own_door) == ["live", "v-first"]
    assert (await publisher(own_door).publish(new)).confirmed


async def test_without_a_running_door_the_material_waits_for_its_start(tmp_path: Path, own_door: Front) -> None:
    settings = replace(own_door.settings, runtime=tmp_path)
    done = await Publisher(settings, ManualClock(tls.NOW)).publish(own_door.material())
    assert (done.changed, done.confirmed) == (True, False)
    assert (settings.tls_directory / "live" / "console.key").stat().st_mode & 0o777 == 0o600


async def test_many_publishers_at_once_end_with_one_version(own_door: Front) -> None:
    door = own_door
    one = publisher(door)
    new = [tls.server(f"console-{n}", door.server_ca) for n in range(4)]
    await asyncio.gather(*(one.publish(door.material(console=pair(issued))) for issued in new))
    assert len(versions(door)) == 2
    assert door.shown("console") in {issued.fingerprint for issued in new}


async def test_expired_material_is_refused_at_publication(own_door: Front) -> None:
    late = Publisher(own_door.settings, ManualClock(tls.NOW + timedelta(days=40)))
    with pytest.raises(Misconfigured, match="expired"):
        await late.publish(own_door.material(console=pair(tls.server("console-2", own_door.server_ca))))


def test_the_platform_s_event_loop_can_publish_too(own_door: Front) -> None:
    """The platform runs on uvloop, whose transports differ."""
    new = tls.server("console-2", own_door.server_ca)

    async def run() -> Published:
        return await publisher(own_door).publish(own_door.material(console=pair(new)))

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: uvloop.run(run())).result()
    assert done.confirmed
    assert own_door.shown("console") == new.fingerprint
