"""The device's MQTT connection: 3.1.1 over mutual TLS, kept up, one thread, nothing lost while it lasts.

A session is one paho client from CONNECT to the end of the socket; the next session is a new one and reads
certificate and key anew. Messages leave the buffer only when their PUBACK has come, so what was in flight when a
session ended is sent again in the next. Between sessions the wait is jittered and grows; it starts over only after a
connection has been useful for a while, because a device that is kicked at once must not hammer the door.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from ironroot.agent.backoff import Backoff
from ironroot.agent.buffer import Buffer
from ironroot.agent.http import Address
from ironroot.core.clock import Clock
from ironroot.core.errors import IronrootError
from ironroot.core.ids import DeviceId
from ironroot.wire import topics

log = logging.getLogger("ironroot.agent")

WINDOW = 16
"""Messages sent and not yet acknowledged."""
STABLE_S = 60.0
"""A connection that lasted this long was a good one: the wait after it starts from the beginning."""
ANSWER_S = 20.0
"""How long CONNACK, SUBACK or a PUBACK may take. The platform decides on a connection within five seconds."""
TICK_S = 1.0


class Phase(StrEnum):
    """Where the link is."""

    DOWN = "down"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class _Client(mqtt.Client):
    """paho's client with a socket of ours: its own leaks the one whose handshake failed, at every attempt."""

    def _create_socket(self) -> ssl.SSLSocket:
        if self._ssl_context is None:
            raise RuntimeError("no MQTT without TLS")
        plain = socket.create_connection((self._host, self._port), timeout=ANSWER_S)
        try:
            return self._ssl_context.wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise


@dataclass(slots=True)
class _Session:
    """One connection's own facts."""

    client: mqtt.Client
    began: float
    in_flight: dict[int, tuple[int | None, float]] = field(default_factory=dict)
    ready_at: float | None = None
    ended: str = ""


class Link:
    """Keeps a device connected. `run` blocks in its own thread; everything else may be called from any thread."""

    def __init__(
        self,
        device: DeviceId,
        broker: Address,
        context: Callable[[], ssl.SSLContext],
        buffer: Buffer,
        *,
        hello: bytes,
        on_down: Callable[[str, bytes], None],
        clock: Clock,
        randomness: Callable[[], float],
        on_change: Callable[[Phase, str], None] = lambda _phase, _why: None,
        backoff: Backoff | None = None,
        keepalive_s: int = 60,
    ) -> None:
        self._device = device
        self._broker = broker
        self._context = context
        self._buffer = buffer
        self._hello = hello
        self._on_down = on_down
        self._clock = clock
        self._randomness = randomness
        self._on_change = on_change
        self._backoff = backoff or Backoff()
        self._keepalive_s = keepalive_s
        self._closing = False
        self._renewing = False
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def run(self) -> None:
        """Connect, and connect again, until `close`."""
        failures = 0
        while not self._closing:
            self._renewing = False
            self._on_change(Phase.CONNECTING, "")
            lasted, why = self._one_session()
            self._buffer.put_back()
            if self._is_asked():
                continue
            failures = 1 if lasted >= STABLE_S else failures + 1
            wait = self._backoff.delay_s(failures, self._randomness())
            log.info("not connected (%s); next attempt in %.1f s", why, wait)
            self._on_change(Phase.DOWN, why)
            self._sleep(wait)
        self._on_change(Phase.CLOSED, "")

    def wake(self) -> None:
        """Something was added to the buffer: send it now rather than at the next tick."""
        os.eventfd_write(self._wakeup, 1)

    def renew(self) -> None:
        """Hang up and come back at once with the certificate that is on disk now."""
        self._renewing = True
        self.wake()

    def close(self) -> None:
        """Hang up and let `run` return."""
        self._closing = True
        self.wake()

    def _is_asked(self) -> bool:
        """Whether somebody wants the session or the wait to end."""
        return self._closing or self._renewing

    def _sleep(self, seconds: float) -> None:
        deadline = self._clock.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            while not self._is_asked():
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return
                if selector.select(min(left, TICK_S)):
                    self._drain_wakeup()

    def _drain_wakeup(self) -> None:
        try:
            os.eventfd_read(self._wakeup)
        except BlockingIOError:
            return

    def _one_session(self) -> tuple[float, str]:
        """Run one connection to its end. Returns how long it was of use, in seconds, and why it ended."""
        client = _Client(CallbackAPIVersion.VERSION2, self._device, clean_session=True, protocol=mqtt.MQTTv311)
        session = _Session(client, self._clock.monotonic())
        try:
            client.tls_set_context(self._context())
            self._set_callbacks(session)
            client.connect(self._broker.host, self._broker.port, self._keepalive_s)
            self._pump(session)
        except ssl.SSLCertVerificationError as e:
            session.ended = f"the broker is not the one this device trusts: {e.verify_message}"
        except (OSError, ValueError) as e:
            session.ended = session.ended or str(e) or type(e).__name__
        except IronrootError as e:
            session.ended = e.message
        finally:
            client.disconnect()
        ready_at = session.ready_at
        return (self._clock.monotonic() - ready_at if ready_at is not None else 0.0), session.ended or "connection lost"

    def _set_callbacks(self, session: _Session) -> None:
        client = session.client

        def connected(_c: mqtt.Client, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
            if reason.is_failure:
                session.ended = f"refused: {reason}"
                return
            client.subscribe(topics.down(self._device), qos=0)

        def subscribed(_c: mqtt.Client, _u: Any, _mid: int, reasons: list[Any], _p: Any) -> None:
            if any(reason.is_failure for reason in reasons):
                session.ended = "refused: may not hear its own commands"
                return
            session.ready_at = self._clock.monotonic()
            self._publish(session, None, topics.up(self._device, topics.Up.EVENT), self._hello)
            self._on_change(Phase.CONNECTED, "")

        def published(_c: mqtt.Client, _u: Any, mid: int, _r: Any, _p: Any) -> None:
            number, _ = session.in_flight.pop(mid, (None, 0.0))
            if number is not None:
                self._buffer.acknowledge(number)

        def received(_c: mqtt.Client, _u: Any, message: mqtt.MQTTMessage) -> None:
            if len(message.payload) <= topics.MAX_PAYLOAD_BYTES:
                self._on_down(message.topic, bytes(message.payload))

        client.on_connect = connected
        client.on_subscribe = subscribed
        client.on_publish = published
        client.on_message = received

    def _publish(self, session: _Session, number: int | None, topic: str, payload: bytes) -> None:
        sent = session.client.publish(topic, payload, qos=1)
        if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            session.in_flight[sent.mid] = (number, self._clock.monotonic())

    def _pump(self, session: _Session) -> None:
        """Move bytes until the connection ends, or ends by `session.ended`."""
        client = session.client
        with selectors.DefaultSelector() as selector:
            selector.register(self._wakeup, selectors.EVENT_READ)
            opened = client.socket()
            if opened is None:  # refused between handshake and here
                return
            sock = _over_tls(opened)
            selector.register(sock, selectors.EVENT_READ)
            interest = selectors.EVENT_READ
            while not session.ended and not self._is_asked():
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.want_write() else 0)
                if wanted != interest:
                    selector.modify(sock, wanted)
                    interest = wanted
                pending = sock.pending() > 0
                ready = {key.fd: events for key, events in selector.select(0 if pending else TICK_S)}
                if self._wakeup in ready:
                    self._drain_wakeup()
                if pending or ready.get(sock.fileno(), 0) & selectors.EVENT_READ:
                    client.loop_read()
                if client.want_write():
                    client.loop_write()
                client.loop_misc()
                if client.socket() is not sock:  # paho closed it
                    return
                self._fill_window(session)
                self._check_answers(session)

    def _fill_window(self, session: _Session) -> None:
        while session.ready_at is not None and len(session.in_flight) < WINDOW:
            taken = self._buffer.take()
            if taken is None:
                return
            number, message = taken
            self._publish(session, number, message.topic, message.payload)

    def _check_answers(self, session: _Session) -> None:
        """A broker that takes bytes and answers nothing is as good as gone."""
        now = self._clock.monotonic()
        if session.ready_at is None and now - session.began > ANSWER_S:
            session.ended = "no answer to CONNECT or SUBSCRIBE"
        oldest = min((at for _, at in session.in_flight.values()), default=now)
        if now - oldest > ANSWER_S:
            session.ended = "a message was not acknowledged"


def _over_tls(opened: object) -> ssl.SSLSocket:
    if not isinstance(opened, ssl.SSLSocket):
        raise RuntimeError("no MQTT without TLS")  # noqa: TRY004 (whatever paho became, this must not go on)
    return opened
