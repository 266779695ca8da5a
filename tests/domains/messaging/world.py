"""An in-memory broker and register around the real services."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal

from ironroot.core.errors import NotFound, Unavailable
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.courier import Courier
from ironroot.domains.messaging.service import Messaging
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import NewFact, PendingFact
from ironroot.store.engine import Store, Tx
from tests.support.clock import ManualClock

METER, CAMERA = DeviceId("meter-1"), DeviceId("camera-1")
HOST = "host/root"


class Register:
    def __init__(self, known: Iterable[DeviceId]) -> None:
        self.known = set(known)

    async def device(self, device: DeviceId) -> object:
        if device not in self.known:
            raise NotFound(f"no device {device}")
        return device


class Air:
    """A Downlink: who is connected is a set; what was said is a list."""

    def __init__(self) -> None:
        self.there: set[DeviceId] = set()
        self.said: list[tuple[DeviceId, str, dict[str, object]]] = []
        self.down = False

    def connected(self, device: DeviceId) -> bool:
        return device in self.there

    async def send(self, device: DeviceId, topic: Literal["config", "command"], payload: bytes) -> None:
        if self.down:
            raise Unavailable("no broker")
        self.said.append((device, topic, json.loads(payload)))


class Witness:
    """A Fold that writes down every fact as it is appended."""

    def __init__(self) -> None:
        self.facts: list[PendingFact] = []

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(
            f"{noun}.{verb}"
            for noun, verbs in (
                ("config", ("desired", "applied", "failed")),
                ("command", ("sent", "done", "failed", "refused", "expired")),
            )
            for verb in verbs
        )

    async def fold(self, _tx: Tx, fact: PendingFact) -> Sequence[NewFact]:
        self.facts.append(fact)
        return ()

    def seen(self) -> list[tuple[str, str, str]]:
        return [(f.kind, f.subject, f.actor) for f in self.facts]


class World:
    def __init__(self, store: Store) -> None:
        self.clock = ManualClock()
        self.air = Air()
        self.log = EventLog(store, self.clock)
        self.witness = Witness()
        self.log.add_fold(self.witness)
        self.courier = Courier(store, self.air, self.clock)
        self.messaging = Messaging(store, self.log, self.clock, Register([METER, CAMERA]), self.courier)

    def connect(self, device: DeviceId) -> None:
        self.air.there.add(device)
        self.courier.connected(device)

    def disconnect(self, device: DeviceId) -> None:
        self.air.there.discard(device)
        self.courier.disconnected(device)

    async def event(self, device: DeviceId, **fields: object) -> None:
        await self.messaging.on_event(device, json.dumps(fields).encode())
