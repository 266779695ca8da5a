"""`audit`: the record of facts: list it, take it away, verify it anywhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ironroot.app.cli.command import command
from ironroot.app.cli.shared import (
    DEFAULT_DATA,
    Ca,
    CursorOption,
    Data,
    Json,
    Limit,
    Server,
    api,
    console,
    facts,
    failing,
    show,
)
from ironroot.app.client import Api
from ironroot.core.errors import Misconfigured
from ironroot.verify import factlog
from ironroot.verify.note import VerifierKey


def register(app: typer.Typer) -> None:
    """Add these commands."""
    audit = typer.Typer(help="the tamper-evident record", no_args_is_help=True)
    audit.command("list")(list_facts)
    audit.command("export")(export)
    audit.command("verify")(verify)
    audit.command("checkpoint")(checkpoint)
    app.add_typer(audit, name="audit")


@command(facts)
def list_facts(
    api: Api,
    after: Annotated[int | None, typer.Option("--after", help="only facts after this number, oldest first")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="only this kind: certificate.revoked, ...")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="only about this: device/ID, user/ID, ...")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="only what this one did")] = None,
    limit: Limit = 50,
    cursor: CursorOption = None,
) -> Any:
    """The latest facts, newest first."""
    wanted = {"after": after, "kind": kind, "subject": subject, "actor": actor}
    return api.call("GET", "/facts", **wanted, limit=limit, cursor=cursor)


def export(
    out: Annotated[Path, typer.Option("--out", help="file to write")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """Write the whole record to a file that anybody with the public key can verify offline."""
    lines = -2  # the header and the checkpoint are no facts
    part = out.with_name(out.name + ".part")
    with api(data, server, ca, json=json) as calls, failing(json=json):
        try:
            with part.open("wb") as file:
                for line in calls.lines("/facts/export"):
                    file.write(line + b"\n")
                    lines += 1
                file.flush()
                os.fsync(file.fileno())
            part.replace(out)
        except OSError as e:
            part.unlink(missing_ok=True)
            raise Misconfigured(f"{out} cannot be written: {e.strerror}", remedy="name another file with --out") from e
    show(
        {"path": str(out), "facts": lines},
        json=json,
        human=lambda value: console.print(Text(f"{value['facts']} facts written to {value['path']}")),
    )


def verify(
    file: Annotated[Path, typer.Argument(help="an export")],
    data: Data = DEFAULT_DATA,
    json: Json = False,
    key: Annotated[str | None, typer.Option("--key", help="public key of the log (a vkey, or a file with one)")] = None,
    older: Annotated[Path | None, typer.Option("--checkpoint", help="an older checkpoint, kept elsewhere")] = None,
) -> None:
    """Verify an export offline: nothing changed, dropped, reordered or cut back. Exit status 1 when something was."""
    with failing(json=json):
        try:
            with file.open("rb") as stream:
                result = factlog.verify(stream, _key(key, data), older=older.read_text() if older else None)
        except OSError as e:
            raise Misconfigured(
                f"{e.filename} cannot be read: {e.strerror}", remedy="name an export, and a checkpoint if any"
            ) from e
    show(
        {
            "verified": True,
            "facts": result.facts,
            "head": result.head.hex(),
            "checkpoint": {"size": result.checkpoint.size, "root": result.checkpoint.root.hex()},
        },
        json=json,
        human=lambda value: console.print(
            Text("verified  ", style="bold green")
            + Text(f"{value['facts']} facts, none changed, dropped or reordered"),
        ),
    )


def _key(given: str | None, data: Path) -> VerifierKey:
    path = data / "log" / "vkey"
    if given is None:
        if not path.is_file():
            raise Misconfigured(
                f"no public key at {path}", remedy="name one: --key VKEY, or --data DIR of the platform"
            )
        given = path.read_text()
    elif Path(given).is_file():
        given = Path(given).read_text()
    return VerifierKey.parse(given.strip())


def checkpoint(
    data: Data = DEFAULT_DATA,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
    out: Annotated[Path | None, typer.Option("--out", help="file to write")] = None,
) -> None:
    """A signed checkpoint of the record now. Keep it elsewhere: it proves later that nothing was cut back."""
    with api(data, server, ca, json=json) as calls:
        note = calls.text("/facts/checkpoint")
    if out is not None:
        out.write_text(note)
    show({"checkpoint": note}, json=json, human=lambda value: sys.stdout.write(value["checkpoint"]))
