"""The platform's process: every domain wired together, behind its doors or for one command of this host."""

from __future__ import annotations


def main(argv: list[str]) -> int:
    """Run the process; see `online`."""
    from ironroot.app.platform.online import main as run  # noqa: PLC0415 (the rest of the package serves commands too)

    return run(argv)
