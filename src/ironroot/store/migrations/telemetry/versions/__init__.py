"""The revisions of the telemetry tables, oldest first."""
