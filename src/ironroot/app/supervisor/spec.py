"""What the supervisor knows of a child: values only, made in `plan`, carried out in `child`."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

READY = "ready"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a child that ended is started again."""

    first_s: float = 0.2
    most_s: float = 10.0
    stable_s: float = 60.0
    """A child that ran for so long starts from `first_s` again."""

    def delay_s(self, failures: int, jitter: float) -> float:
        """Seconds to wait after `failures` (1, 2, ...) in a row; `jitter` in 0..1 spreads over half the time,
        so that children which fell together do not come back together.
        """
        full = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * jitter)


@dataclass(frozen=True, slots=True)
class Notified:
    """Ready when the child says so on the descriptor in `IRONROOT_NOTIFY_FD` (child-side: `notify.tell`)."""


@dataclass(frozen=True, slots=True)
class Connects:
    """Ready when every address takes a TCP connection."""

    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Answers:
    """Ready when `ask` says so."""

    ask: Callable[[], Awaitable[bool]]


Probe = Notified | Connects | Answers


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process of the platform."""

    name: str
    title: str
    """What a person reads."""
    argv: tuple[str, ...] = field(repr=False)
    probe: Probe = Notified()
    after: tuple[str, ...] = ()
    """Started once these are reached: `platform` (ready) or `platform:prepared` (a milestone it told)."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    pass_fds: tuple[int, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    before_stop: Callable[[], Awaitable[None]] | None = None
    """Asked before the signal, for at most `stop_timeout_s`; skipped when stopping is in a hurry."""
    ready_timeout_s: float = 60.0
    start_attempts: int = 3
    """Ends before the first readiness that are forgiven; later ones always are, with back-off."""
    restart: Literal["always", "never"] = "always"
    backoff: Backoff = Backoff()
