"""The platform's command line. Every command is a call of the API: what the console shows, this does too."""

from __future__ import annotations

import sys

import typer

from ironroot import __version__
from ironroot.app.cli import access, audit, ca, device, platform, simulate

app = typer.Typer(
    name="ironroot",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Ironroot: identity, trust and evidence for fleets of connected devices. Start with `ironroot up --demo 25`.",
)
for part in (platform, device, ca, access, audit, simulate):
    part.register(app)


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"ironroot {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="print the version"),
) -> None:
    pass


def main() -> int:
    """Run the command line; returns the exit status: 0 done, 1 refused, 2 usage."""
    try:
        app()
    except SystemExit as e:
        return e.code if isinstance(e.code, int) else 1
    return 0
