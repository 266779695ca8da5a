"""Reads a durable consumer in large batches, and acknowledges everything up to a message at once.

The danger of acknowledging everything up to a message is a message delivered to somebody who died: acknowledging a
later one would take it along, and it would be lost. Therefore each new link first sets the consumer back to what was
acknowledged, and a gap in the consumer's own numbering ends the link. What was delivered and not acknowledged comes
again; who reads keeps the stream's sequence with what it writes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import NamedTuple

from ironroot.adapters.nats.credentials import Credentials, Role
from ironroot.adapters.nats.link import Link, Message
from ironroot.adapters.nats.subjects import MESSAGES, MESSAGES_PREFIX
from ironroot.core.errors import Unavailable

BATCH = 16_000
"""Messages asked for at a time: a busy broker takes a fifth of a second to hear the next question."""
BATCH_BYTES = 16 << 20
"""And bytes: two questions' worth must fit into what the broker keeps for a reader (`max_pending`) before it hangs up."""
EXPIRES_S = 20
_SECOND = 1_000_000_000
_USED_UP = (b"NATS/1.0 409 Batch Completed", b"NATS/1.0 409 Message Size Exceeds MaxBytes")
_SKIP = len(MESSAGES_PREFIX)


class Delivered(NamedTuple):
    """One message of the stream. `subject` is the device's own, `at_ns` when the broker took it, since 1970."""

    subject: bytes
    payload: bytes
    sequence: int
    at_ns: int
    reply: bytes


_new = tuple.__new__
"""NamedTuple's own constructor costs three times as much."""


class Puller:
    """One link to one consumer, until it ends. Not more than `most_waiting` messages are asked for ahead."""

    def __init__(self, consumer: str, most_waiting: int = 40_000) -> None:
        self.consumer = consumer
        self.stream = ""
        """Which stream of that name this is: when it was made."""
        self._most_waiting = most_waiting
        self._batch = min(BATCH, most_waiting)
        self._link: Link | None = None
        self._waiting: list[Delivered] = []
        self._news = asyncio.Event()
        self._asked = 0
        self._last = 0
        self._broken = ""
        self._inbox = b""

    async def open(self, credentials: Credentials, role: Role) -> None:
        """Connect and start from what was acknowledged last. Raises Unavailable, also while the consumer is missing."""
        link = await Link.open(
            credentials.url, role, credentials.password(role), self._on_messages, f"{self.consumer} puller"
        )
        try:
            info = json.loads(await link.request(f"$JS.API.STREAM.INFO.{MESSAGES}"))
            reset = json.loads(await link.request(f"$JS.API.CONSUMER.RESET.{MESSAGES}.{self.consumer}"))
        except Unavailable:
            link.close()
            raise
        error = info.get("error") or reset.get("error")
        if error is not None:
            link.close()
            raise Unavailable(f"no consumer {self.consumer}: {error.get('description')}", remedy="it starts by itself")
        self.stream = str(info["created"])[:40]
        self._link, self._waiting, self._asked, self._last, self._broken = link, [], 0, 0, ""
        self._inbox = f"_INBOX.{role}.pull{id(link):x}".encode()
        link.subscribe(self._inbox.decode(), 1)
        link.ended.add_done_callback(lambda _: self._news.set())
        self._ask()

    def _ask(self) -> None:
        if self._asked <= self._batch // 2 and len(self._waiting) < self._most_waiting and self._link is not None:
            self._asked += self._batch
            body = b'{"batch":%d,"max_bytes":%d,"expires":%d}' % (self._batch, BATCH_BYTES, EXPIRES_S * _SECOND)
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{MESSAGES}.{self.consumer}".encode()
            self._link.publish(subject, body, self._inbox)

    def _on_messages(self, messages: Sequence[Message]) -> None:
        add = self._waiting.append
        for subject, _, reply, header, payload in messages:
            if not reply:
                self._status(header)
                continue
            # $JS.ACK, stream, consumer, deliveries; then these four, in this order
            _, sequence, number_text, at_ns, _ = reply.rsplit(b".", 4)
            number = int(number_text)
            if self._last and number != self._last + 1:
                self._broken = f"message {self._last + 1} of the consumer is missing"
                break
            self._last = number
            self._asked -= 1
            add(_new(Delivered, (subject[_SKIP:], payload, int(sequence), int(at_ns), reply)))
        self._ask()
        self._news.set()

    def _status(self, header: bytes) -> None:
        """The end of a request: expired, used up, or something is wrong with the consumer."""
        code = header[9:12]
        if code in (b"404", b"408") or header.startswith(_USED_UP):
            left = header.partition(b"Nats-Pending-Messages: ")[2].partition(b"\r\n")[0]
            self._asked -= int(left) if left.isdigit() else self._asked
        elif code != b"100":
            self._broken = header[9:80].decode(errors="replace").partition("\r\n")[0]

    async def take(self, timeout_s: float) -> list[Delivered]:
        """What has arrived, after at most `timeout_s`; maybe nothing. Raises Unavailable when the link is over."""
        if not self._waiting:
            self._news.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        if self._link is None or self._link.ended.done() or self._broken:
            reason = self._broken or "the broker is gone"
            self.close()
            raise Unavailable(f"{self.consumer}: {reason}", remedy="it starts again by itself")
        taken, self._waiting = self._waiting, []
        self._ask()
        return taken

    def ack(self, reply: bytes) -> None:
        """Everything up to the message with this reply is done with."""
        if self._link is not None:
            self._link.publish(reply, b"+ACK")

    def publish(self, subject: str, payload: bytes) -> None:
        """Say something to the platform over the same link."""
        if self._link is not None:
            self._link.publish(subject.encode(), payload)

    async def flush(self) -> None:
        """Return once the broker has the acknowledgements. Raises Unavailable."""
        if self._link is not None:
            await self._link.flush()

    def close(self) -> None:
        """End the link."""
        if self._link is not None:
            self._link.close()
            self._link = None
