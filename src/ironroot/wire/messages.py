"""The JSON messages between platform and device. Frozen and closed: an unknown field is refused.

Each message has a largest size (`topics.MAX_PAYLOAD_BYTES`), a parser that takes bytes, and one that makes them.

    down/config   {"version": 3, "config": {...}}
    down/command  {"id": "cmd_...", "name": "reboot", "args": {...}, "expires_at": "2026-01-31T12:00:00.000000Z"}
    up/event      {"type": "hello", "capability": 1, "agent": "0.1.0"}
                  {"type": "config", "version": 3, "status": "applied" | "failed", "detail": "..."}
                  {"type": "command", "id": "cmd_...", "status": "done" | "failed" | "refused", "result": {...}}
    up/telemetry  a JSON number, text, boolean, or {"value": number | text | boolean, "at": "RFC 3339"};
                  bytes that are not JSON are taken as text
    up/report     a JSON object: the metrics document of AWS IoT Device Defender, long or short names
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ironroot.core.clock import instant, rfc3339
from ironroot.core.errors import Malformed, TooLarge
from ironroot.core.ids import CommandId
from ironroot.wire.topics import MAX_PAYLOAD_BYTES

CAPABILITY = 1
"""What this build speaks. 1 (2026-11): telemetry, reports, configuration, commands."""

MAX_TEXT = 1024
MAX_DEPTH = 8

Value = bool | int | float | str


class Outcome(StrEnum):
    """How a command or a configuration ended on the device."""

    APPLIED = "applied"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Hello:
    """First event after every connect: what is due is sent again at once."""

    capability: int
    agent: str = ""


@dataclass(frozen=True, slots=True)
class ConfigResult:
    """The device's answer to a desired configuration."""

    version: int
    status: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The device's answer to a command."""

    id: CommandId
    status: Outcome
    result: Mapping[str, Any] = field(default_factory=dict)


Event = Hello | ConfigResult | CommandResult


@dataclass(frozen=True, slots=True)
class DesiredConfig:
    """What the platform wants the device's configuration to be; versions count up per device."""

    version: int
    config: Mapping[str, Any]

    def encode(self) -> bytes:
        """The message's bytes."""
        return _dump({"version": self.version, "config": dict(self.config)})


@dataclass(frozen=True, slots=True)
class Command:
    """Something to do once. Sent until answered or expired, so a device remembers the ids it has done."""

    id: CommandId
    name: str
    args: Mapping[str, Any]
    expires_at: datetime

    def encode(self) -> bytes:
        """The message's bytes."""
        return _dump(
            {"id": self.id, "name": self.name, "args": dict(self.args), "expires_at": rfc3339(self.expires_at)}
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value; `at` is the device's own time, where it gave one."""

    value: Value
    at: datetime | None = None


def encode_event(event: Event) -> bytes:
    """The bytes of an event."""
    match event:
        case Hello():
            return _dump({"type": "hello", "capability": event.capability, "agent": event.agent})
        case ConfigResult():
            return _dump({"type": "config", "version": event.version, "status": event.status, "detail": event.detail})
        case CommandResult():
            return _dump({"type": "command", "id": event.id, "status": event.status, "result": dict(event.result)})


def parse_event(payload: bytes) -> Event:
    """The event in a payload from `up/event`. Raises Malformed or TooLarge."""
    match _load_object(payload):
        case {"type": "hello", "capability": int(capability), **rest} if set(rest) <= {"agent"}:
            return Hello(capability, _text(rest.get("agent", "")))
        case {"type": "config", "version": int(version), "status": str(status), **rest} if set(rest) <= {"detail"}:
            return ConfigResult(version, _outcome(status), _text(rest.get("detail", "")))
        case {"type": "command", "id": str(id_), "status": str(status), **rest} if set(rest) <= {"result"}:
            result = rest.get("result", {})
            if not isinstance(result, dict):
                raise Malformed("result is an object")
            return CommandResult(CommandId(_text(id_)), _outcome(status), result)
        case _:
            raise Malformed("not an event", remedy="type is hello, config or command, with that type's fields only")


def parse_config(payload: bytes) -> DesiredConfig:
    """The desired configuration in a payload from `down/config`. Raises Malformed or TooLarge."""
    match _load_object(payload):
        case {"version": int(version), "config": dict(config), **rest} if not rest:
            return DesiredConfig(version, config)
        case _:
            raise Malformed("not a configuration")


def parse_command(payload: bytes) -> Command:
    """The command in a payload from `down/command`. Raises Malformed or TooLarge."""
    match _load_object(payload):
        case {"id": str(id_), "name": str(name), "args": dict(args), "expires_at": str(expires), **rest} if not rest:
            return Command(CommandId(_text(id_)), _text(name), args, instant(expires))
        case _:
            raise Malformed("not a command")


def parse_report(payload: bytes) -> Mapping[str, Any]:
    """The metrics document in a payload from `up/report`. Raises Malformed or TooLarge."""
    return _load_object(payload)


def parse_sample(payload: bytes) -> Sample:
    """The value in a telemetry payload; text where the bytes are not JSON. Raises Malformed or TooLarge."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"message over {MAX_PAYLOAD_BYTES} bytes")
    try:
        value = _loads(payload)
    except (ValueError, RecursionError):
        try:
            return Sample(_text(payload.decode()))
        except UnicodeDecodeError as e:
            raise Malformed("telemetry is JSON or UTF-8 text") from e
    at = None
    if isinstance(value, dict):
        if not set(value) <= {"value", "at"} or "value" not in value:
            raise Malformed('a telemetry object is {"value": ..., "at": ...}')
        at = instant(value["at"]) if isinstance(value.get("at"), str) else None
        value = value["value"]
    if isinstance(value, str):
        return Sample(_text(value), at)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        if isinstance(value, int) and abs(value) >= 2**63:
            raise Malformed("integers have 64 bits")
        return Sample(value, at)
    raise Malformed("a telemetry value is a number, text or boolean")


def encode_sample(sample: Sample) -> bytes:
    """The bytes of a telemetry value."""
    return _dump(sample.value if sample.at is None else {"value": sample.value, "at": rfc3339(sample.at)})


def _dump(value: Any) -> bytes:
    data = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    if len(data) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"message over {MAX_PAYLOAD_BYTES} bytes")
    return data


def _loads(payload: bytes) -> Any:
    """JSON that others can write down again: no NaN, no half of a surrogate pair. Raises ValueError."""
    value = json.loads(payload, parse_constant=_no_number)
    if b"\\u" in payload:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _load_object(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"message over {MAX_PAYLOAD_BYTES} bytes")
    try:
        value = _loads(payload)
    except (ValueError, RecursionError) as e:
        raise Malformed("not JSON") from e
    if not isinstance(value, dict) or _depth(value) > MAX_DEPTH:
        raise Malformed(f"a message is an object, nested at most {MAX_DEPTH} deep")
    return value


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(item) for item in value), default=0)
    return 0


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise Malformed(f"text of at most {MAX_TEXT} characters")
    return value


def _outcome(text: str) -> Outcome:
    try:
        return Outcome(text)
    except ValueError as e:
        raise Malformed(f"status is one of {', '.join(Outcome)}") from e
