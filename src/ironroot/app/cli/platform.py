"""`up`, `status`, `doctor`, `config show`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ironroot.app import config
from ironroot.app.cli.shared import DEFAULT_DATA, Ca, Data, Json, Server, api, console, failing, pairs, show, table
from ironroot.app.client import dumps


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command()(status)
    app.command()(doctor)
    configuration = typer.Typer(help="the configuration", no_args_is_help=True)
    configuration.command("show")(config_show)
    app.add_typer(configuration, name="config")


def up(
    data: Data = DEFAULT_DATA,
    demo: Annotated[int, typer.Option("--demo", min=0, max=5000, help="with a simulated fleet of so many devices")] = 0,
    listen: Annotated[str | None, typer.Option("--listen", help="address to listen on (127.0.0.1)")] = None,
    port_base: Annotated[
        int | None,
        typer.Option("--port-base", min=1024, max=65530, help="console P, devices P+1, MQTT P+2, plain HTTP P+5"),
    ] = None,
    store: Annotated[str | None, typer.Option("--store", help="postgresql+asyncpg://...; SQLite without")] = None,
) -> None:
    """Start everything on this machine, and stay until stopped (Ctrl-C)."""
    argv = [sys.executable, "-m", "ironroot", "_supervise", "--data", str(data), "--demo", str(demo)]
    if listen is not None:
        argv += ["--listen", listen]
    if port_base is not None:
        argv += ["--port-base", str(port_base)]
    if store is not None:
        os.environ[config.STORE_VARIABLE] = store  # may hold a password: not in argv
    sys.stdout.flush()
    os.execv(sys.executable, argv)  # noqa: S606 (the supervisor is a small process of its own)


def status(data: Data = DEFAULT_DATA, json: Json = False, server: Server = None, ca: Ca = None) -> None:
    """Is it ready, who is connected, is the log whole? Exit status 1 when not ready."""
    with api(data, server, ca, json=json) as calls:
        answer = calls.call("GET", "/status")
    show(answer, json=json, human=_status)
    if not answer["ready"]:
        raise typer.Exit(1)


def _status(answer: dict[str, Any]) -> None:
    ready = Text("ready", style="bold green") if answer["ready"] else Text("not ready", style="bold red")
    devices = answer["devices"]
    trust = ", ".join(f"{n} {state}" for state, n in devices["by_trust"].items() if n) or "none"
    log = answer["log"]
    pairs(
        [
            ("platform", ready + Text(f"  {answer['version']}, store {answer['store']['engine']}")),
            ("devices", f"{devices['connected']} of {devices['total']} connected; {trust}"),
            (
                "log",
                f"{log['head']} facts, {'verified' if log['verified'] else 'NOT verified'} to {log['verified_to']}",
            ),
            *(
                (name, f"{door['address']}  {'ready' if door['ready'] else door['detail']}")
                for name, door in answer["doors"].items()
            ),
        ],
    )
    for warning in answer["warnings"]:
        console.print(Text(f"warning  {warning['text']}", style="yellow"))
        console.print(Text(f"         {warning['remedy']}", style="dim"))


def doctor(data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """What is missing or unsafe on this machine, and what to do about it. Exit status 1 when something must be mended."""
    from ironroot.app.doctor import examine  # noqa: PLC0415 (this command alone needs it)

    with failing(json=json):
        findings = [f.as_dict() for f in examine(data)]
    show({"items": findings, "next": None}, json=json, human=lambda answer: _findings(answer["items"]))
    if any(f["severity"] == "error" for f in findings):
        raise typer.Exit(1)


def _findings(findings: list[dict[str, Any]]) -> None:
    table(
        ["severity", "what", "remedy"],
        [(f["severity"], f["text"], f["remedy"]) for f in findings],
        "nothing missing, nothing unsafe",
    )


def config_show(data: Data = DEFAULT_DATA, json: Json = False) -> None:
    """The configuration in force, secrets masked."""
    with failing(json=json):
        shown = config.load(Path(data)).masked()
    show(shown, json=json, human=_sections)


def _sections(value: dict[str, Any]) -> None:
    """As the file has it: what is printed can be put into `ironroot.toml`."""
    for section, keys in value.items():
        console.print(Text(f"[{section}]", style="bold"))
        for key, setting in keys.items():
            listed = list(setting) if isinstance(setting, tuple) else setting
            console.print(Text(f"{key} = {dumps(listed)}"))
