"""What the platform knows of itself: its doors, who is connected, what is insecure or about to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ironroot.adapters.envoy.admin import Admin
from ironroot.adapters.nats.broker import Broker
from ironroot.app.api.status import Door, HealthWarning
from ironroot.app.config import Config
from ironroot.core.clock import Clock, rfc3339
from ironroot.core.ids import DeviceId
from ironroot.eventlog.log import EventLog

LOOK_S = 1.0
FLEET_S = 120.0


class Stopped:
    """The health of a platform that does not run: commands of this host see this between two runs."""

    async def doors(self) -> Mapping[str, Door]:
        """None is open."""
        return {
            name: Door("", ready=False, detail="the platform does not run")
            for name in ("console", "devices", "mqtt", "plain")
        }

    def ready(self, doors: Mapping[str, Door], blocked: int) -> bool:  # noqa: ARG002 (the protocol's)
        """No."""
        return all(door.ready for door in doors.values())

    def warnings(self) -> Sequence[HealthWarning]:
        """Only that."""
        return [HealthWarning("stopped", "the platform does not run", "start it: `ironroot up`")]

    def connected(self) -> frozenset[DeviceId]:
        """Nobody."""
        return frozenset()

    def connection(self, _device: DeviceId) -> Mapping[str, Any] | None:
        """None."""
        return None


class Live:
    """The health of the running platform. Doors are looked at once a second at most, however many ask."""

    def __init__(self, broker: Broker, admin: Admin, log: EventLog, config: Config, clock: Clock, fleet: int) -> None:
        self._broker = broker
        self._admin = admin
        self._log = log
        self._config = config
        self._clock = clock
        self._fleet = fleet
        self._patience = clock.monotonic() + FLEET_S
        self._looked = -1.0
        self._doors: Mapping[str, Door] = {}
        self._turn = asyncio.Lock()

    async def doors(self) -> Mapping[str, Door]:
        """Each door."""
        async with self._turn:
            if self._clock.monotonic() - self._looked >= LOOK_S:
                self._doors = await self._look()
                self._looked = self._clock.monotonic()
        return self._doors

    async def _look(self) -> Mapping[str, Door]:
        front = await self._admin.ready()
        http = "" if front else "the front door does not answer"
        broker, detail = self._broker.ready()
        if broker:
            missing = await self._broker.missing()
            broker, detail = not missing, ", ".join(f"no {role} answers" for role in missing)
        ports = self._config.listen.ports
        address = self._config.listen.address
        return {
            "console": Door(f"{address}:{ports[0]}", front, http),
            "devices": Door(f"{address}:{ports[1]}", front, http),
            "mqtt": Door(f"{address}:{ports[2]}", broker, detail),
            "plain": Door(f"{address}:{ports[5]}", front, http),
        }

    def ready(self, doors: Mapping[str, Door], blocked: int) -> bool:
        """Every door serves, the record is whole, and the simulated fleet, where one was asked for, came up once:
        all of it that may, or what did within two minutes.
        """
        if len(self._broker.presence) >= self._fleet - blocked or self._clock.monotonic() > self._patience:
            self._fleet = 0
        return all(door.ready for door in doors.values()) and self._log.integrity.problem is None and self._fleet == 0

    def warnings(self) -> Sequence[HealthWarning]:
        """What is insecure or about to fail."""
        stuck = [f"{f.name}: {f.error}" for f in self._log.followers if f.error]
        found = [HealthWarning("follower-stuck", text, "see logs/platform.log in the data directory") for text in stuck]
        if self._log.integrity.problem is not None:
            found.append(
                HealthWarning("log-broken", self._log.integrity.problem, "treat it as an incident; keep a copy")
            )
        return found

    def connected(self) -> frozenset[DeviceId]:
        """Devices connected now."""
        return frozenset(self._broker.presence)

    def connection(self, device: DeviceId) -> Mapping[str, Any] | None:
        """The device's newest connection."""
        connections = self._broker.presence.connections(device)
        if not connections:
            return None
        newest = connections[-1]
        return {"client_id": newest.client_id, "address": newest.address, "since": rfc3339(newest.since)}
