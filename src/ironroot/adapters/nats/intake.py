"""The intake's loop: from the durable stream into the telemetry tables, acknowledged after the commit.

QoS 1 and 2 come from the stream, each exactly as often as the broker kept it; what is delivered again after a crash
is recognised by its sequence. QoS 0 is taken on the side from the plain subjects, where the broker publishes every
message with its QoS in a header: best effort, dropped first when there is too much. Memory is bounded by the queue,
by the fold and by the number of devices whose names are remembered.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import timedelta

import msgspec
import structlog

from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.adapters.nats.link import Link, Message
from ironroot.adapters.nats.pull import Puller
from ironroot.adapters.nats.subjects import FLOOD, INTAKE_CONSUMER, UP
from ironroot.core.clock import Clock
from ironroot.core.errors import Fault, Malformed, Unavailable
from ironroot.core.ids import DeviceId, device_id
from ironroot.domains.messaging.budget import FloodLimit, FloodMeter
from ironroot.domains.messaging.fold import Fold, at_second
from ironroot.domains.messaging.recorder import CHUNK, Cursor, Recorder
from ironroot.wire.topics import UpTopic, parse_up

FLUSH_S = 1.0
FRESH_S = 60
"""A flood older than this is over: nobody is cut off for it."""
MOST_NAMED = 20_000
MOST_TOPICS = 100_000
MOST_UNKEPT = 50_000
SWEEP_S = 60.0
_QOS0 = b"Nmqtt-Pub:0"

_log = structlog.get_logger(__name__)


class Intake:
    """One worker. At most one per consumer may run."""

    def __init__(
        self,
        credentials: Credentials,
        recorder: Recorder,
        clock: Clock,
        *,
        history: timedelta = timedelta(days=2),
        limit: FloodLimit | None = None,
    ) -> None:
        self._credentials = credentials
        self._recorder = recorder
        self._clock = clock
        self._history = history
        self._meter = FloodMeter(limit or FloodLimit())
        self._puller = Puller(INTAKE_CONSUMER)
        self._fold = Fold(history)
        self._names: OrderedDict[DeviceId, set[str]] = OrderedDict()
        self._topics: dict[bytes, tuple[DeviceId, UpTopic | None] | None] = {}
        self._unkept: list[tuple[bytes, bytes, float]] = []
        self._stop = False
        self.reading = asyncio.Event()
        """Set once messages reach us for the first time."""
        self.kept = 0
        """Messages committed since the start."""
        self.dropped = 0
        """QoS 0 messages dropped, because there were too many at once."""

    def stop(self) -> None:
        """Write what is in hand and end."""
        self._stop = True

    async def run(self) -> None:
        """Until stopped: read, fold, write, acknowledge. Starts again by itself when broker or store fail."""
        side = [asyncio.create_task(self._hear_unkept()), asyncio.create_task(self._sweep())]
        wait = 0.1
        try:
            while not self._stop:
                try:
                    await self._puller.open(self._credentials, Role.INTAKE)
                    wait = 0.1
                    self.reading.set()
                    await self._session()
                except Fault as e:
                    _log.warning("the intake starts again", reason=e.message)
                    self._fold = Fold(self._history)
                    self._puller.close()
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, 2.0)
        finally:
            for task in side:
                task.cancel()
            await asyncio.gather(*side, return_exceptions=True)
            self._puller.close()

    async def _session(self) -> None:
        cursor = await self._recorder.cursor()
        done = cursor.sequence if cursor is not None and cursor.stream == self._puller.stream else 0
        reply = b""
        due = self._clock.monotonic() + FLUSH_S
        while True:
            messages = await self._puller.take(max(0.0, min(due - self._clock.monotonic(), 0.2)))
            fresh = [(m.subject, m.payload, m.at_ns / 1e9) for m in messages if m.sequence > done]
            unkept, self._unkept = self._unkept, []
            await self._take(fresh)
            await self._take(unkept)
            if messages:
                done, reply = max(done, messages[-1].sequence), messages[-1].reply
            if self._stop or self._fold.full() or self._clock.monotonic() >= due:
                await self._flush(Cursor(self._puller.stream, done), reply)
                reply = b""
                due = self._clock.monotonic() + FLUSH_S
            if self._stop:
                await self._puller.flush()
                return

    async def _take(self, messages: Sequence[tuple[bytes, bytes, float]]) -> None:
        """Fold messages (subject, payload, seconds since 1970)."""
        known = [(self._topic(subject), payload, at) for subject, payload, at in messages]
        await self._learn({found[0] for found, _, _ in known if found is not None})
        for found, payload, at in known:
            if found is not None:
                device, topic = found
                try:
                    self._fold.add(device, topic, payload, at_second(at), self._names[device])
                except Exception:  # noqa: BLE001 (one message must not stop the intake for everybody, for ever)
                    _log.exception("a message was skipped", device=device)

    async def _learn(self, devices: Collection[DeviceId]) -> None:
        unknown = []
        for device in devices:
            if device in self._names:
                self._names.move_to_end(device)
            else:
                unknown.append(device)
        if unknown:
            self._names.update(await self._recorder.names(unknown))
        while len(self._names) > max(MOST_NAMED, len(devices)):
            self._names.popitem(last=False)

    def _topic(self, subject: bytes) -> tuple[DeviceId, UpTopic | None] | None:
        try:
            return self._topics[subject]
        except KeyError:
            pass
        if len(self._topics) >= MOST_TOPICS:
            self._topics.clear()
        found = self._topics[subject] = _parse(subject)
        return found

    async def _flush(self, cursor: Cursor, reply: bytes) -> None:
        fold = self._fold
        if fold.messages:
            await self._recorder.flush(fold, cursor)
            self._fold = Fold(self._history)
            self.kept += fold.messages
            self._report_floods(fold)
        if reply:
            self._puller.ack(reply)

    def _report_floods(self, fold: Fold) -> None:
        oldest = self._clock.now().timestamp() - FRESH_S
        for device, excess in self._meter.add(fold.per_second).items():
            if any(second >= oldest for (d, second) in fold.per_second if d == device):
                self._puller.publish(FLOOD, msgspec.json.encode({"device": device, "messages": excess}))

    # --- QoS 0

    async def _hear_unkept(self) -> None:
        password = self._credentials.password(Role.INTAKE)
        while True:
            try:
                link = await Link.open(self._credentials.url, Role.INTAKE, password, self._on_unkept, "intake qos 0")
            except Unavailable:
                await asyncio.sleep(0.5)
                continue
            link.subscribe(UP, 1)
            try:
                await asyncio.shield(link.ended)
            finally:
                link.close()
            await asyncio.sleep(0.2)

    def _on_unkept(self, messages: Sequence[Message]) -> None:
        now = self._clock.now().timestamp()
        for message in messages:
            if _QOS0 in message.header:
                if len(self._unkept) >= MOST_UNKEPT:
                    self.dropped += 1
                else:
                    self._unkept.append((message.subject, message.payload, now))

    # --- retention

    async def _sweep(self) -> None:
        pause = SWEEP_S
        while True:
            await asyncio.sleep(pause)
            try:
                gone = await self._recorder.forget_before(self._clock.now(), self._history)
                pause = 0.05 if gone >= CHUNK else SWEEP_S
            except Fault as e:
                _log.warning("old telemetry was not deleted", reason=e.message)


def _parse(subject: bytes) -> tuple[DeviceId, UpTopic | None] | None:
    """Whose message it is and on which topic; a topic of None is none of ours, all None is nobody's."""
    text = subject.decode(errors="replace")
    parts = text.split(".")
    if len(parts) < 3 or parts[0] != "d" or parts[2] != "up":
        return None
    try:
        device = device_id(parts[1])
    except Malformed:
        return None
    try:
        return device, parse_up(text.replace(".", "/"))
    except Malformed:
        return device, None
