"""The revisions of the state tables, oldest first."""
