"""The `ironroot` command: a standard-library dispatcher, so that each role imports only what it needs.

`ironroot agent ...` is the device side; the names with an underscore are the supervisor and its children; all
else is the platform's command line.
"""

from __future__ import annotations

import sys
from importlib import import_module

ROLES = {
    "agent": "ironroot.agent.cli",
    "_supervise": "ironroot.app.supervisor.main",
    "_platform": "ironroot.app.platform",
    "_authz": "ironroot.app.authz",
    "_intake": "ironroot.app.intake",
    "_simulator": "ironroot.simulator.main",
}


def main() -> int:
    """Hand the command line to whom it is for; returns the exit status."""
    role = ROLES.get(sys.argv[1]) if len(sys.argv) > 1 else None
    try:
        if role is not None:
            return int(import_module(role).main(sys.argv[2:]))
        return int(import_module("ironroot.app.cli").main())
    except ModuleNotFoundError as e:
        if e.name is None or e.name.startswith("ironroot"):
            raise
        sys.stderr.write(
            f"ironroot: {e.name} is not installed; this is a device's install: the platform is ironroot[server]\n"
        )
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
