"""The `ironroot` command: a standard-library dispatcher, so that a device needs no server package."""

from __future__ import annotations

import sys


def main() -> int:
    """Hand the command line to the agent (`ironroot agent ...`) or to the platform's command line."""
    if sys.argv[1:2] == ["agent"]:
        from ironroot.agent.cli import main as agent_main  # noqa: PLC0415 (only what the role needs is imported)

        return agent_main(sys.argv[2:])
    try:
        from ironroot.app.cli import main as app_main  # noqa: PLC0415 (as above)
    except ModuleNotFoundError as e:
        if e.name is not None and not e.name.startswith("ironroot"):
            sys.stderr.write(
                f"ironroot: {e.name} is not installed: this is a device's install; the platform is ironroot[server]\n"
            )
            return 1
        raise
    return app_main()


if __name__ == "__main__":
    raise SystemExit(main())
