"""`agent run`: the loop that measures, reports, obeys and renews, beside the thread that keeps the connection.

One thread owns the link; this one owns the state directory and does everything that may take its time, so that a
slow renewal never costs the connection. What arrives goes through a bounded queue: a flood of orders is dropped here
and resent by the platform.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from ironroot import __version__
from ironroot.agent.backoff import Backoff
from ironroot.agent.buffer import Buffer, Message, Rank
from ironroot.agent.files import read_bounded, write_atomic
from ironroot.agent.host import HostApplication, Rhythm
from ironroot.agent.http import NotNow
from ironroot.agent.link import Link, Phase
from ironroot.agent.metrics import Host
from ironroot.agent.orders import Orders
from ironroot.agent.renew import Attempts, Due, certificate_randomness, due
from ironroot.agent.state import Settings, State
from ironroot.agent.tls import client_context
from ironroot.core.clock import Clock, rfc3339
from ironroot.core.errors import Fault, IronrootError, NotFound, TooMany
from ironroot.wire import topics
from ironroot.wire.messages import CAPABILITY, Hello, Sample, encode_event, encode_sample

log = logging.getLogger("ironroot.agent")

MAX_QUEUED = 64
RENEWAL_CHECK_S = 60.0
SAVE_S = 300.0
"""How often what waits is written to disk while offline: often enough to matter, seldom enough for flash."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run may be told; the defaults are a device's."""

    rhythm: Rhythm = field(default_factory=Rhythm)
    backoff: Backoff = field(default_factory=Backoff)
    persist_buffer: bool = True
    max_buffered: int = 2_000
    max_buffered_bytes: int = 1024 * 1024


def _uniform() -> float:
    return secrets.randbelow(2**32) / 2**32


class _Timer:
    """Something due every so often. The first time comes after a random part of the interval."""

    def __init__(self, now: float, interval_s: Callable[[], float], first: float) -> None:
        self._interval_s = interval_s
        self.at = now + first * interval_s()

    def due(self, now: float) -> bool:
        """Whether it is time; if so the next time is set, without catching up on what was missed."""
        self.at = min(self.at, now + self._interval_s())  # a shorter interval takes effect at once
        if now < self.at:
            return False
        self.at = now + self._interval_s()
        return True


class Agent:
    """One running device. `run` returns after `stop`."""

    def __init__(
        self,
        state: State,
        settings: Settings,
        clock: Clock,
        *,
        options: RunOptions | None = None,
        randomness: Callable[[], float] = _uniform,
    ) -> None:
        self._state = state
        self._settings = settings
        self._clock = clock
        self._options = options or RunOptions()
        self._randomness = randomness
        self.buffer = Buffer(self._options.max_buffered, self._options.max_buffered_bytes)
        self._host = Host(clock)
        self._inbox: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
        self._stopping = False
        self._attempts = Attempts()
        self._renew_asked = False
        self._told_dropped = 0
        self._phase = Phase.DOWN
        self._why = ""
        self._told: tuple[Phase, str] | None = None
        self.application = HostApplication(
            self._options.rhythm, report=self._report, renew=lambda: setattr(self, "_renew_asked", True)
        )
        self._orders = Orders(settings.device, state.directory, self.application, clock, durable=state.durable)
        self.link = Link(
            settings.device,
            settings.broker,
            lambda: client_context(state.roots_path, state.certificate_path, state.keys.tls_path),
            self.buffer,
            hello=encode_event(Hello(CAPABILITY, __version__)),
            on_down=self._received,
            clock=clock,
            randomness=randomness,
            on_change=self._changed,
            backoff=self._options.backoff,
        )

    def stop(self) -> None:
        """Ask `run` to return. Safe in a signal handler."""
        self._stopping = True
        self._inbox.put(None)

    def run(self) -> None:
        """Be the device until `stop`. Raises what the state directory raises; never for the network."""
        self._state.recover()
        if self._state.certificate() is None:
            raise NotFound(f"no certificate in {self._state.directory}", remedy="run `ironroot agent enrol`")
        self._orders.restore()
        self._load_buffer()
        thread = threading.Thread(target=self.link.run, name="link", daemon=True)
        thread.start()
        try:
            self._loop(thread)
        finally:
            self.link.close()
            thread.join(timeout=10)
            self._save_buffer()
            self._tell()

    def _loop(self, link: threading.Thread) -> None:
        now = self._clock.monotonic()
        rhythm = self.application
        telemetry = _Timer(now, lambda: rhythm.rhythm.telemetry_interval_s, 0.0)
        report = _Timer(now, lambda: rhythm.rhythm.report_interval_s, self._randomness() / 10)
        renewal = _Timer(now, lambda: RENEWAL_CHECK_S, 0.0)
        save = _Timer(now, lambda: SAVE_S, 1.0)
        while not self._stopping:
            if not link.is_alive():
                raise Fault("the connection's thread ended", remedy="restart the agent, and report its log")
            now = self._clock.monotonic()
            if telemetry.due(now):
                self._measure()
            if report.due(now):
                self._report()
            if renewal.due(now) or self._renew_asked:
                self._renew_if_due()
            if save.due(now) and self._phase is not Phase.CONNECTED:
                self._save_buffer()
            self._tell()
            next_at = min(timer.at for timer in (telemetry, report, renewal, save))
            self._serve(max(0.0, min(next_at - self._clock.monotonic(), 5.0)))

    def _serve(self, wait_s: float) -> None:
        """Handle one thing from the inbox, waiting for it at most `wait_s`."""
        try:
            item = self._inbox.get(timeout=wait_s)
        except Empty:
            return
        if item is None:
            return
        answer = self._orders.handle(*item)
        if answer is not None:
            self._send(topics.up(self._settings.device, topics.Up.EVENT), encode_event(answer), Rank.EVENT)

    def _received(self, topic: str, payload: bytes) -> None:
        """In the link's thread: keep, or drop when the queue is full (the platform sends orders again)."""
        if self._inbox.qsize() < MAX_QUEUED:
            self._inbox.put((topic, payload))

    def _changed(self, phase: Phase, why: str) -> None:
        """In the link's thread."""
        self._phase, self._why = phase, why
        if phase is Phase.CONNECTED:
            log.info("connected to %s as %s", self._settings.broker.netloc, self._settings.device)
        self._inbox.put(None)

    def _send(self, topic: str, payload: bytes, rank: Rank) -> None:
        self.buffer.add(Message(topic, payload, rank))
        self.link.wake()

    def _measure(self) -> None:
        at = self._clock.now()
        values = self._host.telemetry()
        if self.buffer.dropped != self._told_dropped:
            self._told_dropped = self.buffer.dropped
            values["agent_dropped"] = self._told_dropped
        for name, value in values.items():
            topic = topics.telemetry(self._settings.device, name)
            self._send(topic, encode_sample(Sample(value, at)), Rank.TELEMETRY)

    def _report(self) -> None:
        document = json.dumps(self._host.report(), separators=(",", ":")).encode()
        self._send(topics.up(self._settings.device, topics.Up.REPORT), document, Rank.RECORD)

    def _renew_if_due(self) -> None:
        asked, self._renew_asked = self._renew_asked, False
        certificate = self._state.certificate()
        if certificate is None:
            return
        now = self._clock.now()
        randomness = certificate_randomness(certificate.fingerprint)
        what = due(now, certificate.not_before, certificate.not_after, randomness)
        if what is Due.EXPIRED:
            log.error("the certificate expired at %s: enrol again with a new claim", rfc3339(certificate.not_after))
            return
        if not asked and (what is Due.NOT_YET or not self._attempts.may_try(now)):
            return
        from ironroot.agent.enrol import renew  # noqa: PLC0415 (2 MB that a device needs once in a certificate's life)

        try:
            new = renew(self._state, self._clock)
        except IronrootError as e:
            retry_after_s = e.retry_after_s if isinstance(e, NotNow | TooMany) else None
            self._attempts = self._attempts.failed(now, certificate.not_after, self._randomness(), retry_after_s)
            log.warning("certificate not renewed: %s; next attempt at %s", e, self._attempts.next_at)
            return
        self._attempts = Attempts()
        log.info("certificate renewed, valid until %s", rfc3339(new.not_after))
        self.link.renew()

    def _tell(self) -> None:
        """Leave word for `agent status` when something changed."""
        if (self._phase, self._why) == self._told:
            return
        self._told = (self._phase, self._why)
        try:
            self._state.save_runtime(
                {
                    "connected": self._phase is Phase.CONNECTED,
                    "phase": self._phase,
                    "detail": self._why,
                    "since": rfc3339(self._clock.now()),
                    "config_version": self._orders.config_version,
                    "buffered": len(self.buffer),
                    "dropped": self.buffer.dropped,
                }
            )
        except IronrootError as e:
            log.warning("%s", e)

    def _load_buffer(self) -> None:
        path = self._state.directory / "buffer"
        if not self._options.persist_buffer or not path.exists():
            return
        try:
            count = self.buffer.load(read_bounded(path))
        except (OSError, IronrootError) as e:
            log.warning("what waited is lost: %s", e)
            return
        if count:
            log.info("%d messages from before wait to be sent", count)

    def _save_buffer(self) -> None:
        path = self._state.directory / "buffer"
        if not self._options.persist_buffer:
            return
        try:
            if len(self.buffer):
                write_atomic(path, self.buffer.dump(), private=True, durable=self._state.durable)
            else:
                path.unlink(missing_ok=True)
        except (OSError, IronrootError) as e:
            log.warning("what waits could not be written down: %s", e)
