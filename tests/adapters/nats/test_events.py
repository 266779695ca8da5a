"""What devices say on `up/event` reaches its handler, at least once, and the server's certificate can be replaced."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography import x509

from ironroot.adapters.nats import config
from ironroot.adapters.nats.events import Events
from ironroot.core.errors import Unavailable
from ironroot.core.ids import DeviceId
from tests.support.mqtt import Client
from tests.support.nats import Hall, Platform, until


class Desk:
    """A handler that fails as told."""

    def __init__(self) -> None:
        self.got: list[tuple[DeviceId, bytes]] = []
        self.failures: list[Exception] = []

    async def handle(self, device: DeviceId, payload: bytes) -> None:
        if self.failures:
            raise self.failures.pop()
        self.got.append((device, payload))


@asynccontextmanager
async def events(place: Hall, desk: Desk) -> AsyncIterator[None]:
    task = asyncio.create_task(Events(place.credentials, desk.handle).run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def client(door: Platform, name: str) -> Client:
    return Client(door.hall.directory, door.hall.port, name, name)


async def test_an_event_is_handled_once_at_every_qos(door: Platform) -> None:
    device, desk = door.device("teller-1"), Desk()
    async with events(door.hall, desk):
        await asyncio.sleep(0.2)
        teller = client(door, "teller-1")
        await teller.connect()
        for qos in (0, 1, 2):
            teller.publish("d/teller-1/up/event", f"q{qos}", qos)
        await until(lambda: len(desk.got) == 3)
        await asyncio.sleep(0.3)
        assert sorted(desk.got) == [(device, b"q0"), (device, b"q1"), (device, b"q2")]
        await teller.close()


async def test_an_event_waits_for_the_platform(door: Platform) -> None:
    device, desk = door.device("teller-2"), Desk()
    teller = client(door, "teller-2")
    await teller.connect()
    teller.publish("d/teller-2/up/event", "early", 1)
    await until(lambda: teller.acked)
    async with events(door.hall, desk):
        await until(lambda: (device, b"early") in desk.got)
    desk.got.clear()
    async with events(door.hall, desk):
        await asyncio.sleep(0.3)
        assert desk.got == []
    await teller.close()


async def test_an_event_that_could_not_be_handled_is_handled_later_and_a_bug_stops_nobody(door: Platform) -> None:
    device, desk = door.device("teller-3"), Desk()
    teller = client(door, "teller-3")
    await teller.connect()
    desk.failures = [RuntimeError("a bug"), Unavailable("no store"), Unavailable("no store")]
    async with events(door.hall, desk):
        for number in range(3):
            teller.publish("d/teller-3/up/event", str(number), 1)
        await until(lambda: len(desk.got) == 2)
    assert desk.got == [(device, b"1"), (device, b"2")]
    await teller.close()


async def test_a_new_server_certificate_is_taken_and_devices_come_back(own_door: Platform) -> None:
    own_door.device("steady-1")
    steady = client(own_door, "steady-1")
    await steady.connect()
    issued = own_door.hall.server_certificate()
    config.reload(own_door.hall.settings.pid_file)
    await steady.ended()  # measured: whoever a callout let in has to ask again
    assert await served(own_door) == issued.certificate.serial_number
    again = client(own_door, "steady-1")
    assert await again.connect() == "Success"
    again.publish("d/steady-1/up/event", b"{}")
    await until(lambda: again.acked)
    await until(lambda: len(own_door.presence) == 1)
    await again.close()


async def served(door: Platform) -> int:
    context = ssl.create_default_context(cafile=str(door.hall.directory / "root.pem"))
    context.load_cert_chain(door.hall.directory / "steady-1.pem", door.hall.directory / "steady-1.key")
    _, writer = await asyncio.open_connection("localhost", door.hall.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der).serial_number
