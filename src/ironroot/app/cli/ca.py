"""`ca`, `cert`: the hierarchy, its roots, and the certificates it issued."""

from __future__ import annotations

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
    failing,
    pairs,
    show,
    table,
)
from ironroot.app.client import Api


def register(app: typer.Typer) -> None:
    """Add these commands."""
    ca = typer.Typer(help="the certificate authority", no_args_is_help=True)
    ca.command("list")(list_cas)
    ca.command("export")(export)
    ca.command("trust")(trust)
    app.add_typer(ca, name="ca")
    cert = typer.Typer(help="certificates", no_args_is_help=True)
    cert.command("list")(list_certificates)
    cert.command("show")(show_certificate)
    cert.command("revoke")(revoke_certificate)
    app.add_typer(cert, name="cert")


def _show(value: dict[str, Any]) -> None:
    pairs(value.items())


def _cas(answer: dict[str, Any]) -> None:
    table(
        ["name", "role", "issued by", "until", "fingerprint"],
        [(c["name"], c["role"], c["issuer"], c["not_after"][:10], c["fingerprint"]) for c in answer["items"]],
        "no authority yet; `ironroot up` creates it",
    )


def _certificates(answer: dict[str, Any]) -> None:
    table(
        ["serial", "device", "status", "until"],
        [(c["serial"], c["device"], c["status"], c["not_after"]) for c in answer["items"]],
        "no certificates",
    )


@command(_cas)
def list_cas(api: Api) -> Any:
    """The hierarchy: root and issuing authorities."""
    return api.call("GET", "/ca")


def export(
    data: Data = DEFAULT_DATA,
    out: Annotated[Path | None, typer.Option("--out", help="file; standard output without")] = None,
    json: Json = False,
    server: Server = None,
    ca: Ca = None,
) -> None:
    """The current roots, as PEM: what clients and devices trust."""
    with api(data, server, ca, json=json) as calls:
        pem = calls.text("/ca/roots.pem")
    if out is None:
        sys.stdout.write(pem)
        return
    out.write_text(pem)
    show(
        {"path": str(out), "certificates": pem.count("BEGIN CERTIFICATE")},
        json=json,
        human=lambda value: console.print(Text(f"{value['certificates']} root certificate written to {value['path']}")),
    )


def trust(
    data: Data = DEFAULT_DATA,
    json: Json = False,
    remove: Annotated[bool, typer.Option("--remove", help="undo it")] = False,
) -> None:
    """Have this machine's system and browsers trust the platform's root."""
    from ironroot.app import trust_store  # noqa: PLC0415 (this command alone needs it)

    with api(data, None, None, json=json) as calls:
        pem = calls.text("/ca/roots.pem")
    with failing(json=json):
        done = [d.as_dict() for d in (trust_store.remove(pem) if remove else trust_store.add(pem))]
    show(
        {"items": done, "next": None},
        json=json,
        human=lambda value: table(
            ["store", "done", "detail"],
            [(d["store"], "yes" if d["done"] else "no", d["detail"]) for d in value["items"]],
            "no store found",
        ),
    )
    if not any(d["done"] for d in done):
        raise typer.Exit(1)


@command(_certificates)
def list_certificates(
    api: Api,
    device: Annotated[str | None, typer.Option("--device", help="only of this device")] = None,
    status: Annotated[str | None, typer.Option("--status", help="valid, revoked or expired")] = None,
    limit: Limit = 100,
    cursor: CursorOption = None,
) -> Any:
    """Certificates issued here."""
    return api.call("GET", "/certificates", device=device, status=status, limit=limit, cursor=cursor)


@command(_show)
def show_certificate(api: Api, serial: Annotated[str, typer.Argument(help="serial or fingerprint")]) -> Any:
    """One certificate."""
    return api.call("GET", f"/certificates/{serial}")


@command(_show)
def revoke_certificate(
    api: Api,
    serial: Annotated[str, typer.Argument(help="serial or fingerprint")],
    reason: Annotated[str, typer.Option("--reason", help="RFC 5280: keyCompromise, superseded, ...")],
) -> Any:
    """Revoke one certificate."""
    return api.call("POST", f"/certificates/{serial}/revoke", {"reason": reason})
