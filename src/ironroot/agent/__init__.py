"""The device side: identity, telemetry, commands. Imports core, wire and verify, never the platform."""
