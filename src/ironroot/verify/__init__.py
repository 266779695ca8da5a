"""Bytes in, value or exception out: checks the platform and a device make the same way."""
