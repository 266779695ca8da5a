"""Carries decisions to the MQTT door: follows the record, and ends the connections of whoever may no longer have them.

The follower's cursor is durable, so a decision that was committed in the moment the process died is still carried out.
What devices do at the door goes the other way: to the watch, and to live pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from ironroot.adapters.nats.broker import Broker
from ironroot.app.api.stream import DeviceNews
from ironroot.core.errors import Unavailable
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.model import Connection, Refusal, Violation
from ironroot.domains.messaging.watch import DoorWatch
from ironroot.domains.pki.facts import CertificateRevoked
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import Fact
from ironroot.trust.facts import TrustDecided
from ironroot.trust.model import CAPABILITIES, Capability, TrustState

ADMITTED = {state for state, may in CAPABILITIES.items() if Capability.SUBSCRIBE in may}
"""States in which a device may be connected; leaving one, or going from one to another, ends the connection."""

_log = structlog.get_logger(__name__)


class Doorkeeper:
    """Follows `trust.decided` and `certificate.revoked`; a `BrokerEvents` in front of the watch."""

    def __init__(self, log: EventLog, broker: Broker, news: DeviceNews, watch: DoorWatch) -> None:
        self._broker = broker
        self._news = news
        self._watch = watch
        log.follow("door.mqtt", self.carry_out, kinds=[TrustDecided.KIND, CertificateRevoked.KIND])
        broker.listen(self)

    async def carry_out(self, facts: Sequence[Fact]) -> None:
        """End what these facts end. Raises Unavailable while the broker does not answer: it is called again."""
        gone: dict[DeviceId, bool] = {}
        for fact in facts:
            kind, _, name = fact.subject.partition("/")
            if kind != "device":
                continue
            device = DeviceId(name)
            if fact.kind == CertificateRevoked.KIND:
                gone.setdefault(device, False)
                continue
            decided = TrustDecided.of(fact)
            if decided.before in ADMITTED:
                gone[device] = gone.get(device, False) or decided.after == TrustState.REVOKED
            self._news.tell({"id": device, "trust": decided.after})
        await asyncio.gather(*(self._end(device, purge=purge) for device, purge in gone.items()))

    async def _end(self, device: DeviceId, *, purge: bool) -> None:
        await self._broker.kick(device)
        if purge:
            try:
                await self._broker.purge_sessions(device)
            except Unavailable as e:
                _log.warning("what the broker keeps for a revoked device is still there", device=device, why=e.message)

    async def connected(self, device: DeviceId, connection: Connection) -> None:
        """A device connected."""
        await self._watch.connected(device, connection)
        self._news.tell({"id": device, "connected": True})

    async def disconnected(self, device: DeviceId, connection: Connection) -> None:
        """A connection of a device ended."""
        await self._watch.disconnected(device, connection)
        self._news.tell({"id": device, "connected": self._broker.connected(device)})

    async def refused(self, refusal: Refusal) -> None:
        """A connect was refused."""
        await self._watch.refused(refusal)

    async def violated(self, violation: Violation) -> None:
        """A connected device did what it may not."""
        await self._watch.violated(violation)
