"""Registering, grouping, listing, retiring."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ironroot.core.errors import Conflict, Malformed, NotFound
from ironroot.core.ids import DeviceId
from ironroot.domains.inventory import tables
from ironroot.domains.inventory.model import Filter, Lifecycle
from ironroot.domains.inventory.service import Inventory
from ironroot.eventlog.log import EventLog
from ironroot.store.engine import Store
from tests.support.clock import ManualClock

HOST = "host/root"


@pytest.fixture
def inventory(store: Store) -> Inventory:
    clock = ManualClock()
    return Inventory(store, EventLog(store, clock), clock)


async def fill(inventory: Inventory, count: int = 7) -> None:
    for n in range(count):
        kind = "camera" if n % 2 else "meter"
        await inventory.register(DeviceId(f"{kind}-{n}"), HOST, type_=kind, groups=("plant-a",) if n < 3 else ())


def ids(devices: list) -> list[str]:  # type: ignore[type-arg]
    return [d.id for d in devices]


async def test_register_and_show(inventory: Inventory) -> None:
    made = await inventory.register(
        DeviceId("meter-1"), HOST, type_="meter", given_labels={"site": "north hall"}, groups=("plant-a", "plant-b")
    )
    assert (made.type, made.lifecycle, made.groups) == ("meter", Lifecycle.REGISTERED, ("plant-a", "plant-b"))
    assert made.labels == {"site": "north hall"}
    with pytest.raises(Conflict):
        await inventory.register(DeviceId("meter-1"), HOST)


async def test_paging_skips_and_repeats_nothing(inventory: Inventory) -> None:
    await fill(inventory)
    seen: list[str] = []
    after = None
    while found := await inventory.devices(Filter(), after, 2):
        seen += ids(found)
        after = found[-1].id
    assert seen == sorted(seen)
    assert len(set(seen)) == 7


async def test_filters(inventory: Inventory) -> None:
    await fill(inventory)
    assert ids(await inventory.devices(Filter(type="camera"), None, 9)) == ["camera-1", "camera-3", "camera-5"]
    assert ids(await inventory.devices(Filter(q="-5"), None, 9)) == ["camera-5"]
    assert ids(await inventory.devices(Filter(group="plant-a"), None, 9)) == ["camera-1", "meter-0", "meter-2"]
    only = frozenset({DeviceId("meter-0"), DeviceId("meter-4"), DeviceId("gone")})
    assert ids(await inventory.devices(Filter(only=only), None, 1)) == ["meter-0"]
    assert ids(await inventory.devices(Filter(only=only), "meter-0", 9)) == ["meter-4"]
    assert ids(await inventory.devices(Filter(without=only, type="meter"), None, 2)) == ["meter-2", "meter-6"]
    within = select(tables.device.c.id).where(tables.device.c.id.like("meter-%"))
    assert ids(await inventory.devices(Filter(q="-2"), None, 9, within)) == ["meter-2"]


async def test_a_percent_sign_in_a_search_is_a_percent_sign(inventory: Inventory) -> None:
    await fill(inventory, 2)
    assert await inventory.devices(Filter(q="%"), None, 9) == []


async def test_groups(inventory: Inventory) -> None:
    await fill(inventory)
    (group,) = await inventory.groups(None, 9)
    assert (group.name, group.devices) == ("plant-a", 3)
    await inventory.leave(DeviceId("meter-0"), "plant-a", HOST)
    await inventory.join(DeviceId("meter-4"), "new", HOST)
    assert [(g.name, g.devices) for g in await inventory.groups(None, 9)] == [("new", 1), ("plant-a", 2)]
    with pytest.raises(NotFound):
        await inventory.join(DeviceId("nobody"), "new", HOST)
    with pytest.raises(Malformed):
        await inventory.create_group("no spaces please")


async def test_retired_is_for_good(inventory: Inventory, store: Store) -> None:
    await fill(inventory, 1)
    device = DeviceId("meter-0")
    assert (await inventory.retire(device, "scrapped", HOST)).lifecycle is Lifecycle.RETIRED
    await inventory.retire(device, "again", HOST)
    async with store.write() as tx:
        with pytest.raises(Conflict):
            await inventory.ensure(tx, device, HOST)
