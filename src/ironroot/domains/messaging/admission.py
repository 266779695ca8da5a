"""Decides what a device may do that knocks at the MQTT door. Pure; deny by default.

Invariants: a client id belongs to the device whose certificate it comes with, so that nobody takes over another's
session (the class of CVE-2026-33215); permissions name the device's own topics and nothing else, ever.

A client that sends no id gets one from the broker, 22 letters and digits, and the callout sees only that. It is let
in because no device id or `ID:suffix` looks like it (it must hold a capital letter, and a device id never does), and
because meeting another's would mean guessing 71 random bits: such ids are shown to nobody.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zlib import crc32

from ironroot.core.errors import Forbidden
from ironroot.core.ids import DeviceId
from ironroot.domains.messaging.model import PUBLISH, PUBLISH_EVENT, SUBSCRIBE, Grant, Knock
from ironroot.domains.messaging.ports import Admitted
from ironroot.wire.topics import MAX_PAYLOAD_BYTES, Up

LONGEST = timedelta(hours=12)
"""A connection is asked for again after this time at the latest."""
SPREAD_S = 2 * 3600
"""Connections end up to so many seconds earlier, each device at its own moment, so that a fleet does not return at once."""
GRAIN = timedelta(seconds=1)
"""The broker counts whole seconds: less than one left is nothing."""
MAX_SUBSCRIPTIONS = 16
OVERHEAD_BYTES = 256
"""What the broker counts beside the payload: its own header."""

_SUFFIX = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_MADE_UP = re.compile(r"(?=[0-9A-Za-z]*[A-Z])[0-9A-Za-z]{22}")


def is_made_up(client_id: str) -> bool:
    """Whether the broker made this client id up (or somebody wrote one that looks so)."""
    return _MADE_UP.fullmatch(client_id) is not None


def shown(client_id: str) -> str:
    """The client id as people may see it: nothing for one that the broker made up."""
    return "" if is_made_up(client_id) else client_id[:128]


def decide(knock: Knock, admitted: Admitted, now: datetime) -> Grant:
    """What the connection may do. Raises Forbidden with the reason as its code."""
    device = admitted.device
    if knock.common_names != (device,):
        raise Forbidden("the certificate names another device", code="certificate-name")
    _own_client_id(knock.client_id, device)
    held = admitted.decision.capabilities
    publish: list[str] = []
    if PUBLISH in held:
        publish += [f"d.{device}.up.{Up.TELEMETRY}.*", f"d.{device}.up.{Up.REPORT}", f"d.{device}.up.{Up.LOG}"]
    if PUBLISH in held or PUBLISH_EVENT in held:
        publish.append(f"d.{device}.up.{Up.EVENT}")
    subscribe = [f"d.{device}.down", f"d.{device}.down.>"] if SUBSCRIBE in held else []
    if not publish and not subscribe:
        raise Forbidden(f"the device is {admitted.decision.state}", code=f"device-{admitted.decision.state}")
    end = min(admitted.not_after, now + LONGEST - timedelta(seconds=crc32(device.encode()) % SPREAD_S))
    if end <= now + GRAIN:
        raise Forbidden("the certificate has expired", code="certificate-expired")
    return Grant(device, tuple(publish), tuple(subscribe), end, MAX_SUBSCRIPTIONS, MAX_PAYLOAD_BYTES + OVERHEAD_BYTES)


def _own_client_id(client_id: str, device: DeviceId) -> None:
    own, colon, suffix = client_id.partition(":")
    if own == device and (not colon or _SUFFIX.fullmatch(suffix)):
        return
    if not is_made_up(client_id):
        raise Forbidden(
            "the client id is not the device's own",
            remedy=f"use {device}, or {device}:NAME for a further connection",
            code="client-id",
        )
