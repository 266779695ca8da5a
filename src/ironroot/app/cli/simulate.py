"""`simulate`: devices that do not exist, with real keys and sockets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ironroot.app.cli.shared import DEFAULT_DATA, Data, Json, api, failing
from ironroot.core.errors import Misconfigured


def register(app: typer.Typer) -> None:
    """Add these commands."""
    simulate = typer.Typer(help="devices that do not exist", no_args_is_help=True)
    simulate.command("fleet")(fleet)
    app.add_typer(simulate, name="simulate")


def fleet(
    data: Data = DEFAULT_DATA,
    count: Annotated[int, typer.Option("--count", min=1, max=10_000, help="how many devices")] = 25,
    churn: Annotated[bool, typer.Option("--churn", help="devices come and go")] = False,
    state: Annotated[Path | None, typer.Option("--state", help="where their keys are kept (DATA/demo)")] = None,
    json: Json = False,
) -> None:
    """Enrol and run a fleet against the platform on this host, until stopped (Ctrl-C)."""
    from ironroot.app.datadir import locate  # noqa: PLC0415 (this command alone needs it)
    from ironroot.simulator.main import main as run  # noqa: PLC0415 (as above)

    with failing(json=json):
        running = locate(data)
        if running is None:
            raise Misconfigured("the platform does not run", remedy="start it first: `ironroot up`")
    with api(data, None, None, json=json) as calls:
        roots = calls.text("/ca/roots.pem")
    state = state or data / "demo"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    (state / "roots.pem").write_text(roots)
    argv = ["--count", str(count), "--state", str(state), "--ca", str(state / "roots.pem")]
    argv += ["--server", f"https://localhost:{running.ports['devices']}"]
    argv += ["--mqtt", f"localhost:{running.ports['mqtt']}"]
    argv += ["--host-socket", str(running.host_socket)] + (["--churn"] if churn else [])
    raise typer.Exit(run(argv))
