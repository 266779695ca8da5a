"""Desired configurations and commands: set, sent, answered, expired; and what devices say on `up/event`."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import structlog
from sqlalchemy import insert, update

from ironroot.core.clock import Clock, rfc3339
from ironroot.core.errors import Fault, Malformed, Refused, TooLarge, TooMany
from ironroot.core.ids import CommandId, DeviceId, new_id, plain_name
from ironroot.domains.messaging import facts, tables
from ironroot.domains.messaging.courier import Courier
from ironroot.domains.messaging.model import Command, CommandState, ConfigStatus, DesiredConfig
from ironroot.domains.messaging.ports import Devices
from ironroot.eventlog.log import EventLog
from ironroot.eventlog.model import PLATFORM, Body, about_device
from ironroot.store.engine import Store
from ironroot.store.sql import upsert
from ironroot.wire import messages as wire

LIFETIME = timedelta(hours=1)
LONGEST_LIFETIME = timedelta(days=30)
MOST_PENDING = 64
MAX_RESULT_BYTES = 16_384
SWEEP_S = 2.0
SWEEP_ROWS = 200

_log = structlog.get_logger(__name__)
_ENDED: Mapping[wire.Outcome, tuple[CommandState, type[facts.CommandDone | facts.CommandFailed | facts.CommandRefused]]]
_ENDED = {
    wire.Outcome.DONE: (CommandState.DONE, facts.CommandDone),
    wire.Outcome.FAILED: (CommandState.FAILED, facts.CommandFailed),
    wire.Outcome.REFUSED: (CommandState.REFUSED, facts.CommandRefused),
}


class Messaging:
    """What devices are told, and what they answer."""

    def __init__(self, store: Store, log: EventLog, clock: Clock, devices: Devices, courier: Courier) -> None:
        self._store = store
        self._log = log
        self._clock = clock
        self._devices = devices
        self._courier = courier

    async def set_config(self, device: DeviceId, config: Mapping[str, Any], actor: str) -> DesiredConfig:
        """A new version of the device's desired configuration. Raises NotFound, TooLarge, Malformed."""
        await self._devices.device(device)
        text = _text(config)
        async with self._store.write() as tx:
            known = await tables.config_of(tx.conn, device)
            version = known.version + 1 if known else 1
            wire.parse_config(wire.DesiredConfig(version, config).encode())
            values = {
                "version": version,
                "config": text,
                "status": ConfigStatus.PENDING,
                "detail": "",
                "updated_at": self._clock.now(),
            }
            row = upsert(self._store.engine_name, tables.desired_config).values(device_id=device, **values)
            await tx.execute(row.on_conflict_do_update(index_elements=[tables.desired_config.c.device_id], set_=values))
            fact = facts.ConfigDesired(version, sha256(text.encode()).hexdigest())
            await self._log.append(tx, fact.fact(about_device(device), actor))
            tx.on_commit(lambda: self._courier.wake(device))
        found = await self.config(device)
        assert found is not None  # noqa: S101 (written above, and never deleted)
        return found

    async def config(self, device: DeviceId) -> DesiredConfig | None:
        """The device's desired configuration, if it has one."""
        async with self._store.read() as conn:
            return await tables.config_of(conn, device)

    async def send_command(
        self,
        device: DeviceId,
        name: str,
        args: Mapping[str, Any],
        actor: str,
        lifetime: timedelta = LIFETIME,
    ) -> Command:
        """A new command, said to the device until it answers or the lifetime is over.

        Raises NotFound, Malformed, TooLarge, and TooMany when 64 already wait for this device.
        """
        await self._devices.device(device)
        if lifetime > LONGEST_LIFETIME:
            raise Malformed("a command lives at most 30 days", remedy="choose an earlier expiry")
        text = _text(args)
        now = self._clock.now()
        id_ = CommandId(new_id("cmd", secrets.token_bytes(16)))
        command = wire.Command(id_, plain_name(name, "command"), args, now + lifetime)
        wire.parse_command(command.encode())
        async with self._store.write() as tx:
            if await tables.pending_count(tx.conn, device) >= MOST_PENDING:
                raise TooMany(
                    f"{MOST_PENDING} commands wait for {device}",
                    remedy="wait until the device answers, or they expire",
                    retry_after_s=60,
                )
            await tx.execute(
                insert(tables.command).values(
                    id=id_,
                    device_id=device,
                    name=name,
                    args=text,
                    state=CommandState.PENDING,
                    created_at=now,
                    expires_at=now + lifetime,
                )
            )
            fact = facts.CommandSent(id_, name, sha256(text.encode()).hexdigest(), rfc3339(now + lifetime))
            await self._log.append(tx, fact.fact(about_device(device), actor))
            tx.on_commit(lambda: self._courier.wake(device))
        return Command(id_, device, name, dict(args), CommandState.PENDING, now, now + lifetime, None, None)

    async def commands(
        self, device: DeviceId, before: tuple[datetime, str] | None = None, limit: int = 100
    ) -> list[Command]:
        """Commands to a device, newest first. Raises NotFound."""
        await self._devices.device(device)
        async with self._store.read() as conn:
            return await tables.commands_of(conn, device, before, limit)

    async def on_event(self, device: DeviceId, payload: bytes) -> None:
        """Handle a message from `up/event`. What is malformed or not awaited changes nothing, so a device cannot
        make facts at will. Raises Fault alone (the store does not answer), and may then be called again.
        """
        try:
            match wire.parse_event(payload):
                case wire.Hello():
                    self._courier.wake(device)
                case wire.ConfigResult() as result:
                    await self._config_answered(device, result)
                case wire.CommandResult() as result:
                    await self._command_answered(device, result)
        except (Refused, ValueError, ArithmeticError) as e:
            _log.info("an event was not understood", device=device, error=str(e)[:200])

    async def _config_answered(self, device: DeviceId, result: wire.ConfigResult) -> None:
        if result.status is wire.Outcome.DONE:
            raise Malformed("a configuration is applied, failed or refused")
        applied = result.status is wire.Outcome.APPLIED
        table = tables.desired_config
        async with self._store.write() as tx:
            known = await tables.config_of(tx.conn, device)
            if known is None or result.version > known.version:
                return
            awaited = result.version == known.version and known.status is not ConfigStatus.APPLIED
            if applied and result.version > (known.applied_version or 0):
                values: dict[str, Any] = {"applied_version": result.version}
                if awaited:
                    values |= {"status": ConfigStatus.APPLIED, "detail": result.detail}
                body: Body = facts.ConfigApplied(result.version)
            elif not applied and awaited and known.status is ConfigStatus.PENDING:
                values = {"status": ConfigStatus.FAILED, "detail": result.detail}
                body = facts.ConfigFailed(result.version, str(result.status), result.detail)
            else:
                return
            await tx.execute(update(table).where(table.c.device_id == device).values(**values))
            await self._log.append(tx, body.fact(about_device(device), f"device/{device}"))

    async def _command_answered(self, device: DeviceId, answer: wire.CommandResult) -> None:
        if answer.status not in _ENDED:
            raise Malformed("a command is done, failed or refused")
        state, body = _ENDED[answer.status]
        text = _text(answer.result)
        if len(text) > MAX_RESULT_BYTES:
            raise TooLarge(f"a result over {MAX_RESULT_BYTES} bytes")
        async with self._store.write() as tx:
            known = await tables.command_by_id(tx.conn, answer.id)
            if known is None or known.device != device:
                return
            if await tables.end(tx, answer.id, state, self._clock.now(), text):
                fact = body(answer.id, known.name).fact(about_device(device), f"device/{device}")
                await self._log.append(tx, fact)

    async def expire(self) -> int:
        """End the commands nobody answered in time, at most 200. Returns how many."""
        now = self._clock.now()
        async with self._store.read() as conn:
            overdue = await tables.overdue(conn, now, SWEEP_ROWS)
        if not overdue:
            return 0
        async with self._store.write() as tx:
            for command in overdue:
                if await tables.end(tx, command.id, CommandState.EXPIRED, now, None):
                    fact = facts.CommandExpired(command.id, command.name)
                    await self._log.append(tx, fact.fact(about_device(command.device), PLATFORM))
        return len(overdue)

    async def run_expiry(self) -> None:
        """Until cancelled: expire what is overdue, every two seconds."""
        while True:
            try:
                while await self.expire() == SWEEP_ROWS:
                    pass
            except Fault as e:
                _log.warning("commands could not be expired", error=e.message)
            await asyncio.sleep(SWEEP_S)


def _text(value: Mapping[str, Any]) -> str:
    """JSON text that any engine stores: ASCII. Raises Malformed for numbers and text that JSON does not have."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
        return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as e:
        raise Malformed("not JSON", remedy="use objects, lists, text, finite numbers, booleans and null") from e
