"""What the agent itself can be told to do on a host: how often to speak, and a few harmless commands.

A device with an application of its own gives the agent another `orders.Application`; unknown keys and commands are
refused by name, never ignored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ironroot import __version__
from ironroot.core.errors import Unprocessable
from ironroot.wire.messages import CAPABILITY

log = logging.getLogger("ironroot.agent")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the agent speaks, in seconds."""

    telemetry_interval_s: float = 30.0
    report_interval_s: float = 300.0


LIMITS: Mapping[str, tuple[float, float]] = {
    "telemetry_interval_s": (1, 86_400),
    "report_interval_s": (60, 86_400),
}


def rhythm(config: Mapping[str, Any], default: Rhythm) -> Rhythm:
    """The rhythm a configuration asks for. Raises Unprocessable, naming the key, for anything it does not know."""
    values: dict[str, float] = {}
    for key, value in config.items():
        if key not in LIMITS:
            raise Unprocessable(f"unknown key {key[:64]!r}", remedy=f"known: {', '.join(LIMITS)}")
        low, high = LIMITS[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise Unprocessable(f"{key} is a number of seconds from {low:g} to {high:g}")
        values[key] = float(value)
    return Rhythm(
        values.get("telemetry_interval_s", default.telemetry_interval_s),
        values.get("report_interval_s", default.report_interval_s),
    )


class HostApplication:
    """`orders.Application` of a plain host. Commands: ping, identify, report, renew."""

    def __init__(self, default: Rhythm, *, report: Callable[[], None], renew: Callable[[], None]) -> None:
        self._default = default
        self._report = report
        self._renew = renew
        self.rhythm = default

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take over how often to speak; keys left out go back to their default."""
        self.rhythm = rhythm(config, self._default)

    def command(self, name: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do one command. Raises Unprocessable for an unknown one."""
        if args and name != "identify":
            raise Unprocessable(f"{name[:64]!r} takes no arguments")
        match name:
            case "ping":
                return {"agent": __version__, "capability": CAPABILITY}
            case "identify":
                log.warning("identify: this is the device the platform asks for")
                return {}
            case "report":
                self._report()
                return {}
            case "renew":
                self._renew()
                return {}
            case _:
                raise Unprocessable(f"unknown command {name[:64]!r}", remedy="known: ping, identify, report, renew")
