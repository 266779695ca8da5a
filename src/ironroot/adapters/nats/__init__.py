"""nats-server: MQTT door, streams, live connections. Configuration, auth callout, presence and kick, intake."""
