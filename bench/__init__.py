"""Measurements against the peers, on this machine and in one run: `python -m bench --list`."""
