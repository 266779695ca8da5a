"""Devices, groups and their lifecycle."""
