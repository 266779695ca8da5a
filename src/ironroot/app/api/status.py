"""Is it ready, what needs attention: the two answers an operator asks for first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from fastapi import APIRouter

from ironroot import __version__
from ironroot.app.api import attention
from ironroot.app.projections import Activity
from ironroot.core.clock import Clock, rfc3339
from ironroot.core.ids import DeviceId
from ironroot.domains.inventory.model import Filter
from ironroot.domains.inventory.service import Inventory
from ironroot.edge.authorize import require_permission, requires_auth
from ironroot.eventlog.log import EventLog
from ironroot.trust.model import TrustState
from ironroot.trust.service import Trust
from ironroot.trust.tables import devices_in

MOST_REFUSALS = 500


@dataclass(frozen=True, slots=True)
class Door:
    """A door's address, whether it serves, and what is wrong where it does not."""

    address: str
    ready: bool
    detail: str = ""

    def show(self) -> dict[str, Any]:
        """As the API shows it."""
        return {"address": self.address, "ready": self.ready, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class HealthWarning:
    """Something insecure or about to fail, for as long as it is so."""

    code: str
    text: str
    remedy: str


class Health(Protocol):
    """What the running platform knows of itself."""

    async def doors(self) -> Mapping[str, Door]:
        """Each door."""
        ...

    def ready(self, doors: Mapping[str, Door], blocked: int) -> bool:
        """Whether all that was asked for at the start is there; `blocked` devices may not connect."""
        ...

    def warnings(self) -> Sequence[HealthWarning]:
        """What is insecure or about to fail."""
        ...

    def connected(self) -> frozenset[DeviceId]:
        """Devices connected now."""
        ...


@dataclass(frozen=True, slots=True)
class Figures:
    """Where the overview's numbers come from."""

    certificates: Callable[[], Awaitable[Mapping[str, int]]]
    messages: Callable[[], Awaitable[Mapping[str, Any]]]


class Status:
    """Puts the answers together."""

    def __init__(
        self,
        health: Health,
        inventory: Inventory,
        trust: Trust,
        log: EventLog,
        activity: Activity,
        figures: Figures,
        clock: Clock,
    ) -> None:
        self._health = health
        self._inventory = inventory
        self._trust = trust
        self._log = log
        self._activity = activity
        self._figures = figures
        self._clock = clock

    async def status(self) -> dict[str, Any]:
        """`/status`."""
        doors = await self._health.doors()
        by_trust = await self._trust.counts()
        head = await self._log.head()
        return {
            "ready": self._health.ready(doors, by_trust[TrustState.REVOKED] + by_trust[TrustState.QUARANTINED]),
            "version": __version__,
            "doors": {name: door.show() for name, door in doors.items()},
            "devices": {
                "total": sum(by_trust.values()),
                "connected": len(self._health.connected()),
                "by_trust": by_trust,
            },
            "store": {"engine": self._log.store.engine_name},
            "log": {"head": head.seq, "verified": self._log.verified, "verified_to": self._log.verified_to},
            "warnings": [{"code": w.code, "text": w.text, "remedy": w.remedy} for w in self._health.warnings()],
        }

    async def overview(self) -> dict[str, Any]:
        """`/overview`."""
        now = self._clock.now()
        by_trust = await self._trust.counts()
        head = await self._log.head()
        hours = await self._activity.since(now - timedelta(hours=24))
        return {
            "devices": {
                "total": sum(by_trust.values()),
                "connected": len(self._health.connected()),
                "by_trust": by_trust,
                "by_type": await self._inventory.counts_by_type(),
            },
            "certificates": await self._figures.certificates(),
            "messages": await self._figures.messages(),
            "activity": [{"at": rfc3339(at), "kinds": kinds} for at, kinds in hours.items()],
            "attention": await self._attention(),
            "log": {"head": head.seq, "verified": self._log.verified},
        }

    async def _attention(self) -> list[dict[str, Any]]:
        now = self._clock.now()
        held = await self._inventory.devices(Filter(), None, attention.MOST, devices_in(TrustState.QUARANTINED))
        decisions = await self._trust.decisions([d.id for d in held])
        late = await self._trust.late(attention.MOST)
        facts = await self._log.read(kinds=attention.KINDS, limit=MOST_REFUSALS, newest_first=True)
        refusals = [f for f in facts if f.at > now - timedelta(days=1)]
        return [item.show() for item in attention.items(decisions.values(), late, refusals, now)]


def api_router(status: Status) -> APIRouter:
    """`/status` and `/overview`."""
    router = APIRouter(tags=["status"])

    @router.get("/status")
    @requires_auth
    @require_permission("status.read")
    async def show_status() -> dict[str, Any]:
        """Is it ready, who is connected, is the log whole?"""
        return await status.status()

    @router.get("/overview")
    @requires_auth
    @require_permission("status.read")
    async def show_overview() -> dict[str, Any]:
        """The numbers that matter, and what needs attention."""
        return await status.overview()

    return router
