"""Makes the broker's streams and our consumers exist, with bounds, before any device is let in.

nats-server makes the MQTT streams itself at the first connect, without bounds and without anybody who wants the
messages; made beforehand under the same names, it takes ours. What is full refuses (the device gets no PUBACK and
keeps its message) where acknowledged messages are at stake, and forgets the oldest where they are not.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ironroot.adapters.nats.config import StreamBounds
from ironroot.adapters.nats.subjects import (
    EVENT,
    EVENTS_CONSUMER,
    INTAKE_CONSUMER,
    MESSAGES,
    MESSAGES_PREFIX,
)
from ironroot.core.errors import Unavailable

SESSIONS = "$MQTT_sess"
RETAINED = "$MQTT_rmsgs"
QOS2 = "$MQTT_qos2in"
OUT = "$MQTT_out"
MAX_ACK_PENDING = 100_000
_SECOND = 1_000_000_000
_NOT_FOUND = 404

Request = Callable[[str, bytes], Awaitable[bytes]]


def stream_configs(bounds: StreamBounds) -> tuple[dict[str, Any], ...]:
    """The streams as nats-server would make them, and their bounds."""
    common = {"storage": "file", "num_replicas": 1}
    return (
        common
        | {
            "name": MESSAGES,
            "subjects": [f"{MESSAGES_PREFIX}>"],
            "retention": "interest",
            "discard": "new",
            "max_bytes": bounds.messages,
        },
        common
        | {
            "name": SESSIONS,
            "subjects": ["$MQTT.sess.>"],
            "retention": "limits",
            "max_msgs_per_subject": 1,
            "max_bytes": bounds.sessions,
        },
        # Nobody needs what a device asks to be retained: it may only publish upwards.
        common
        | {
            "name": RETAINED,
            "subjects": ["$MQTT.rmsgs.>"],
            "retention": "limits",
            "max_msgs_per_subject": 1,
            "max_bytes": bounds.retained,
        },
        # A QoS 2 message waits here for its PUBREL; one that never comes must not block the others for ever.
        common
        | {
            "name": QOS2,
            "subjects": ["$MQTT.qos2.in.>"],
            "retention": "limits",
            "discard": "new",
            "discard_new_per_subject": True,
            "max_msgs_per_subject": 1,
            "max_bytes": bounds.qos2,
            "max_age": 600 * _SECOND,
        },
        common | {"name": OUT, "subjects": ["$MQTT.out.>"], "retention": "interest", "max_bytes": bounds.out},
    )


def consumer_configs() -> tuple[dict[str, Any], ...]:
    """Who wants the messages: the intake all of them, the platform the events.

    The intake's has no filter: with one, nats-server looks up every message by its subject, which made reading a
    stream of 20,000 subjects three times slower (measured), and devices may publish upwards only anyway.
    """
    common = {
        "ack_policy": "all",
        "deliver_policy": "all",
        "ack_wait": 60 * _SECOND,
        "max_ack_pending": MAX_ACK_PENDING,
        "num_replicas": 0,
    }
    return (
        common | {"durable_name": INTAKE_CONSUMER},
        common | {"durable_name": EVENTS_CONSUMER, "filter_subject": f"{MESSAGES_PREFIX}{EVENT}"},
    )


async def ensure(request: Request, bounds: StreamBounds) -> None:
    """Make or mend all of it. Idempotent. Raises Unavailable."""
    for config in stream_configs(bounds):
        name = config["name"]
        found = await _ask(request, f"$JS.API.STREAM.INFO.{name}", {})
        if _missing(found):
            await _do(request, f"$JS.API.STREAM.CREATE.{name}", config)
        elif any(found["config"].get(key) != value for key, value in config.items()):
            await _do(request, f"$JS.API.STREAM.UPDATE.{name}", found["config"] | config)
    for config in consumer_configs():
        name = config["durable_name"]
        wanted = {"stream_name": MESSAGES, "config": config}
        await _do(request, f"$JS.API.CONSUMER.DURABLE.CREATE.{MESSAGES}.{name}", wanted)


def _missing(answer: Mapping[str, Any]) -> bool:
    error = answer.get("error")
    if error is not None and error.get("code") != _NOT_FOUND:
        raise Unavailable(f"the broker's stream cannot be read: {error.get('description')}", remedy="see its log")
    return error is not None


async def _ask(request: Request, subject: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await request(subject, json.dumps(body).encode()))
    return answer


async def _do(request: Request, subject: str, body: Mapping[str, Any]) -> None:
    error = (await _ask(request, subject, body)).get("error")
    if error is not None:
        raise Unavailable(f"the broker refused {subject}: {error.get('description')}", remedy="see its log")
