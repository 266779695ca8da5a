"""Fleets that do not exist: on a virtual clock, or with real keys and sockets."""
