"""Ironroot: identity, trust, updates and evidence for fleets of connected devices, in one install."""

__version__ = "0.1.0"
