"""What waits to be sent: bounded in count and bytes, in order, kept until the platform has acknowledged it.

When it is full the oldest telemetry goes first, then the oldest report or log, an event last of all: a lost
measurement is a gap in a curve, a lost answer leaves the platform asking. What was dropped is counted.
Invariant: a message leaves by `acknowledge` or by being dropped, never by being taken.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from threading import Lock
from typing import Any

OVERHEAD_BYTES = 256
"""What a waiting message costs beside its topic and payload; counted, so that the bound is one of memory."""


class Rank(IntEnum):
    """What is dropped first: the lowest."""

    TELEMETRY = 0
    RECORD = 1
    EVENT = 2


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish."""

    topic: str
    payload: bytes
    rank: Rank = Rank.TELEMETRY

    @property
    def size_bytes(self) -> int:
        """What it counts against the bound."""
        return len(self.topic) + len(self.payload) + OVERHEAD_BYTES


class Buffer:
    """Messages between the agent and its link. Safe to use from both their threads."""

    def __init__(self, max_count: int = 2_000, max_bytes: int = 1024 * 1024) -> None:
        self.max_count = max_count
        self.max_bytes = max_bytes
        self._waiting: dict[Rank, OrderedDict[int, Message]] = {rank: OrderedDict() for rank in Rank}
        self._in_flight: OrderedDict[int, Message] = OrderedDict()
        self._numbers = count(1)
        self._size_bytes = 0
        self._dropped = 0
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            return self._count()

    @property
    def size_bytes(self) -> int:
        """Bytes held, in flight included."""
        return self._size_bytes

    @property
    def dropped(self) -> int:
        """Messages dropped since the agent started; only grows."""
        return self._dropped

    def add(self, message: Message) -> None:
        """Let a message wait; whatever no longer fits is dropped and counted, this one too if all else matters more."""
        with self._lock:
            self._waiting[message.rank][next(self._numbers)] = message
            self._size_bytes += message.size_bytes
            while self._count() > self.max_count or self._size_bytes > self.max_bytes:
                if not self._drop_one():
                    break

    def take(self) -> tuple[int, Message] | None:
        """The next message to send and its number: events first, else in order of arrival. None: nothing waits."""
        with self._lock:
            queue = self._waiting[Rank.EVENT]
            if not queue:
                queues = [q for q in self._waiting.values() if q]
                if not queues:
                    return None
                queue = min(queues, key=lambda q: next(iter(q)))
            number, message = queue.popitem(last=False)
            self._in_flight[number] = message
            return number, message

    def acknowledge(self, number: int) -> None:
        """The platform has it: forget it. An unknown number is ignored (acknowledged twice)."""
        with self._lock:
            message = self._in_flight.pop(number, None)
            if message is not None:
                self._size_bytes -= message.size_bytes

    def put_back(self) -> None:
        """What was sent and not acknowledged waits again, before everything newer."""
        with self._lock:
            while self._in_flight:
                number, message = self._in_flight.popitem()
                queue = self._waiting[message.rank]
                queue[number] = message
                queue.move_to_end(number, last=False)

    def dump(self) -> bytes:
        """Everything held, in order, for `load` after a restart."""
        with self._lock:
            held = dict(self._in_flight)
            for queue in self._waiting.values():
                held.update(queue)
        rows = [[m.topic, int(m.rank), base64.b64encode(m.payload).decode()] for _, m in sorted(held.items())]
        return json.dumps({"format": 1, "messages": rows}, separators=(",", ":")).encode()

    def load(self, content: bytes) -> int:
        """Add what `dump` wrote; returns how many messages. Damaged content is nothing: they were only measurements."""
        try:
            value: Any = json.loads(content)
            rows = value["messages"] if value["format"] == 1 else []
            messages = [Message(str(t), base64.b64decode(p, validate=True), Rank(r)) for t, r, p in rows]
        except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
            return 0
        for message in messages:
            self.add(message)
        return len(messages)

    def _count(self) -> int:
        return len(self._in_flight) + sum(len(queue) for queue in self._waiting.values())

    def _drop_one(self) -> bool:
        for rank in Rank:
            if self._waiting[rank]:
                _, message = self._waiting[rank].popitem(last=False)
                self._size_bytes -= message.size_bytes
                self._dropped += 1
                return True
        return False
