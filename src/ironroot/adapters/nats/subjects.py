"""The broker's subjects, streams and consumers that Ironroot uses, in one place."""

from __future__ import annotations

CALLOUT = "$SYS.REQ.USER.AUTH"
QUEUE = "authz"

MESSAGES = "$MQTT_msgs"
"""The stream in which nats-server keeps QoS 1 and 2 messages before it acknowledges them. It keeps them only while a
consumer wants them (interest retention): without our consumers a device would get a PUBACK for a message nobody keeps."""
MESSAGES_PREFIX = "$MQTT.msgs."
UP = "d.*.up.>"
EVENT = "d.*.up.event"
INTAKE_CONSUMER = "intake"
EVENTS_CONSUMER = "events"

PROBES = (f"{MESSAGES_PREFIX}ir.probe", "$MQTT.sess.ir-probe")
"""Words the broker is asked to keep, to see whether it can: one in the messages, one in the sessions."""

REFUSED = "ir.refused"
"""From the callout to the platform: a connect was refused."""
DENY = "ir.deny"
"""From the platform to the callout: refuse a device for a while."""
FLOOD = "ir.flood"
"""From the intake to the platform: a device is over its budget."""
